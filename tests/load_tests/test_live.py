"""Progress: lines where there is no terminal, a table where there is one."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from load_tests.live import Lines, Silent, line, progress
from load_tests.live_screen import Screen, trend


def row(t_s: float, phase: str = "sale", offered: float = 0.0) -> dict[str, Any]:
    latency = {"claim": {"count": 5.0, "p50": 1500.0, "p99": 9000.0}} if offered else {}
    rates = {"offered": offered} if offered else {}
    codes = {"http: sold_out": 5, "http: internal": 1}
    return {"t_s": t_s, "phase": phase, "rates": rates, "latency_us": latency, "gauges": {"units left": 7.0},
            "codes": codes, "cpu": {"worker 1": 0.5}, "memory_mib": {"worker 1": 99.0}}  # fmt: skip


def test_a_line_says_what_a_second_was_like() -> None:
    said = line(row(3, offered=1234.0))
    for text in ("3 s  sale", "offered 1,234/s", "claim p50 1.5 p99 9.0 ms", "units left 7", "worker 1 50 %"):
        assert text in said


def test_lines_come_each_few_seconds_and_when_something_begins() -> None:
    out = io.StringIO()
    shown = Lines(Console(file=out, width=200))
    for second in range(1, 7):
        shown.show(row(second, offered=100.0 if second >= 2 else 0.0))
    shown.show(row(7, phase="after", offered=100.0), "stopping")
    printed = [text.split()[0] for text in out.getvalue().splitlines()]
    assert printed == ["1", "2", "5", "7"]
    assert out.getvalue().rstrip().endswith("stopping")


def test_a_terminal_gets_a_table_in_place() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    with Screen(console, "flash-sale") as shown:
        shown.show(row(3, offered=1234.0))
    for text in ("flash-sale", "1,234", "1.5", "9.0", "http: internal", "99 MiB", "██████████"):
        assert text in out.getvalue()


def test_a_trend_shows_the_highest_as_full_and_a_little_as_something() -> None:
    assert trend([0, 1, 50, 100]) == " ▁▄█"
    assert trend([0, 0]) == "  "
    assert trend([]) == ""


def test_where_it_goes_decides_how_it_looks() -> None:
    assert isinstance(progress(Console(file=io.StringIO()), "t"), Lines)
    assert isinstance(progress(Console(file=io.StringIO(), force_terminal=True), "t"), Screen)
    assert isinstance(progress(Console(file=io.StringIO()), "t", quiet=True), Silent)
