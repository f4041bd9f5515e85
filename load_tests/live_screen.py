"""The table on a terminal while a run runs: rates, latencies, answers, states and processes, each with its trend."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from load_tests.report import number

#: seconds of a trend
_TREND = 24
_BLOCKS = " ▁▂▃▄▅▆▇█"
#: answers that no run should see many of
_ERRORS = ("internal", "unavailable", "unknown", "no answer", "rate_limited", "failed")
_WIDTH = 78

Row = dict[str, Any]


def trend(values: Sequence[float]) -> str:
    """The newest values as blocks, the highest of them full; something is never nothing."""
    most = max(values, default=0.0)
    if most <= 0:
        return _BLOCKS[0] * len(values)
    full = len(_BLOCKS) - 1
    return "".join(_BLOCKS[max(1, round(value / most * full)) if value > 0 else 0] for value in values)


class Screen:
    """A panel in place; see ``live.Progress``."""

    def __init__(self, console: Console, title: str) -> None:
        self._title = title
        self._trends: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_TREND))
        self._live = Live(Text("starting …"), console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, row: Row, note: str = "") -> None:
        """Replace it by this second."""
        self._live.update(self._panel(row, note), refresh=True)

    def _panel(self, row: Row, note: str) -> Panel:
        parts: list[RenderableType] = []
        for part in (self._rates, self._latencies, self._answers, self._states, self._processes):
            table = part(row)
            if table.row_count:
                parts += [Text(""), table] if parts else [table]
        parts += [Text(""), Text(note or "Ctrl-C ends it; what ran so far is judged and reported.", style="dim")]
        title = f"[bold]{self._title}[/bold] · {row['phase']} · {row['t_s']:.0f} s"
        return Panel(Group(*parts), title=title, title_align="left", width=_WIDTH, border_style="blue")

    def _trend(self, name: str, value: float) -> Text:
        values = self._trends[name]
        values.append(value)
        return Text(trend(list(values)), style="blue")

    def _rates(self, row: Row) -> Table:
        table = _table("a second", ("now", 12), ("trend", _TREND))
        for name, rate in row["rates"].items():
            table.add_row(name, number(rate), self._trend(f"rate {name}", rate))
        return table

    def _latencies(self, row: Row) -> Table:
        table = _table("latency, ms", ("p50", 10), ("p99", 10), ("p99, trend", _TREND))
        for name, seen in row["latency_us"].items():
            slow = self._trend(f"latency {name}", seen["p99"])
            table.add_row(name, _ms(seen["p50"]), _ms(seen["p99"]), slow)
        return table

    def _answers(self, row: Row) -> Table:
        table = _table("answers", ("now", 12))
        for name, count in sorted(row.get("codes", {}).items(), key=lambda item: -item[1])[:8]:
            bad = any(error in name for error in _ERRORS)
            table.add_row(Text(name, style="bold red" if bad else ""), f"{count:,}")
        return table

    def _states(self, row: Row) -> Table:
        table = _table("state", ("now", 12), ("trend", _TREND))
        for name, value in row["gauges"].items():
            table.add_row(name, number(value), self._trend(f"state {name}", value))
        return table

    def _processes(self, row: Row) -> Table:
        table = _table("process", ("CPU", 7), ("of a core", 20), ("memory", 10))
        for name, share in row["cpu"].items():
            full = round(min(share, 1.0) * 20)
            bar = Text("█" * full, style=_heat(share)) + Text("·" * (20 - full), style="dim")
            table.add_row(name, f"{share * 100:.0f} %", bar, f"{row['memory_mib'].get(name, 0):,.0f} MiB")
        return table


def _table(head: str, *columns: tuple[str, int]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(head, min_width=24, max_width=32, no_wrap=True)
    for name, width in columns:
        left = width >= 20
        table.add_column(name, min_width=width, justify="left" if left else "right", no_wrap=True)
    return table


def _heat(share: float) -> str:
    return "red" if share > 0.9 else "yellow" if share > 0.6 else "green"


def _ms(us: float) -> str:
    return f"{us / 1000:,.1f}"
