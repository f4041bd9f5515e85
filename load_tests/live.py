"""Progress while a run runs: a table that changes in place on a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console

from load_tests.live_screen import Screen
from load_tests.report import number

#: between two lines where there is no terminal
LINE_EVERY_S = 3.0


class Progress(Protocol):
    """Shows a second's row; see ``meter.Timeline.tick``."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, row: dict[str, Any], note: str = "") -> None:
        """Show a second."""


class Silent:
    """Nothing at all."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, row: dict[str, Any], note: str = "") -> None:
        """Show nothing."""


class Lines(Silent):
    """A line each few seconds, and one whenever the phase changes or load begins or ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next_s, self._kind = 0.0, ("", False)

    def show(self, row: dict[str, Any], note: str = "") -> None:
        """Print the line when it is time."""
        kind = row["phase"], bool(row["rates"])
        if row["t_s"] < self._next_s and kind == self._kind:
            return
        self._kind, self._next_s = kind, row["t_s"] + LINE_EVERY_S
        self._console.print(line(row) + (f"  {note}" if note else ""), highlight=False, markup=False, soft_wrap=True)


def progress(console: Console, title: str, *, quiet: bool = False) -> Progress:
    """The right one for where the output goes."""
    if quiet:
        return Silent()
    return Screen(console, title) if console.is_terminal else Lines(console)


def line(row: dict[str, Any]) -> str:
    """A second in one line."""
    parts = [f"{row['t_s']:6.0f} s  {row['phase']}"]
    parts += [f"{name} {number(rate)}/s" for name, rate in row["rates"].items() if rate]
    for name, latency in row["latency_us"].items():
        parts.append(f"{name} p50 {_ms(latency['p50'])} p99 {_ms(latency['p99'])} ms")
    parts += [f"{name} {number(value)}" for name, value in row["gauges"].items()]
    if row["cpu"]:
        parts.append("CPU " + " ".join(f"{name} {share * 100:.0f} %" for name, share in row["cpu"].items()))
    return "  ·  ".join(parts)


def _ms(us: float) -> str:
    return f"{us / 1000:,.1f}"
