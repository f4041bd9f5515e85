"""Line plots as inline SVG: no script, no font, no colour of their own (the page's style sheet has them)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 440, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 22, 26
#: curves that can be told apart; the style sheet has as many colours
MOST_CURVES = 8
#: points up to which each one is a dot that says its value
_DOTS = 40


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: (seconds, value)."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves with one axis; ``phases`` are shaded, ``marks`` are upright lines."""

    title: str
    unit: str
    lines: Sequence[Line]
    phases: Sequence[tuple[str, float, float]] = ()
    marks: Sequence[tuple[float, str]] = ()
    #: steps instead of slopes: a stock stays until it changes
    steps: bool = False
    #: the stretch of time that is shown; that of the points where empty
    span: tuple[float, float] | None = None


def ticks(highest: float, wanted: int = 4) -> list[float]:
    """Round numbers from 0 to at least ``highest``."""
    if highest <= 0 or not math.isfinite(highest):
        return [0.0, 1.0]
    step = 10 ** math.floor(math.log10(highest / wanted))
    while highest / step > wanted:
        step *= 2 if f"{step:e}"[0] in "15" else 2.5
    return [round(step * n, 12) for n in range(math.ceil(highest / step) + 1)]


def short(value: float) -> str:
    """A number for an axis."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if letter == 'k' else limit):g}{letter}"
    return f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"


class _Scale:
    def __init__(self, plot: Plot) -> None:
        xs = [x for line in plot.lines for x, _ in line.points]
        self.low, self.high = plot.span or (min(xs, default=0.0), max(xs, default=1.0))
        if self.high - self.low < 1e-6:
            self.low, self.high = self.low - 0.5, self.high + 0.5
        self.ticks = ticks(max((y for line in plot.lines for _, y in line.points), default=1.0))

    def x(self, at_s: float) -> float:
        share = min(1.0, max(0.0, (at_s - self.low) / (self.high - self.low)))
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - _BOTTOM - value / self.ticks[-1] * (HEIGHT - _TOP - _BOTTOM), 1)


def draw(plot: Plot) -> str:
    """The plot as one ``<svg>``; curves have the classes ``s0`` to ``s7``."""
    scale = _Scale(plot)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(plot.title)}">',
        *_phases(plot, scale),
        *_grid(plot, scale),
        *_marks(plot, scale),
    ]
    for number, line in enumerate(plot.lines[:MOST_CURVES]):
        parts += _curve(line, number, plot, scale)
    return "".join(parts) + "</svg>"


def _phases(plot: Plot, scale: _Scale) -> list[str]:
    parts, begun = [], sorted(plot.phases, key=lambda phase: phase[1])
    for number, (name, from_s, to_s) in enumerate(begun):
        # One within another ends it here: names must not stand upon each other.
        next_s = begun[number + 1][1] if number + 1 < len(begun) else to_s
        left, right = scale.x(from_s), scale.x(min(to_s, next_s))
        if right - left < 1:
            continue
        parts.append(
            f'<rect class="phase p{number % 2}" x="{left}" y="{_TOP}" width="{right - left:.1f}" '
            f'height="{HEIGHT - _TOP - _BOTTOM}"><title>{escape(name)}</title></rect>'
        )
        if right - left > 6.2 * len(name):
            parts.append(f'<text class="name" x="{(left + right) / 2:.1f}" y="{_TOP - 8}">{escape(name)}</text>')
    return parts


def _grid(plot: Plot, scale: _Scale) -> list[str]:
    parts = []
    for value in scale.ticks:
        y = scale.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="y" x="{_LEFT - 6}" y="{y + 4}">{short(value)}</text>')
    span = scale.high - scale.low
    for at in ticks(span, 5):
        if at <= span + 1e-9:
            x = scale.x(scale.low + at)
            parts.append(f'<text class="x" x="{x}" y="{HEIGHT - 9}">{at:g} s</text>')
    return parts


def _marks(plot: Plot, scale: _Scale) -> list[str]:
    return [
        f'<line class="mark" x1="{scale.x(at_s)}" x2="{scale.x(at_s)}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}">'
        f"<title>{escape(what)}</title></line>"
        for at_s, what in plot.marks
        if scale.low <= at_s <= scale.high
    ]


def _curve(line: Line, number: int, plot: Plot, scale: _Scale) -> list[str]:
    points = [(scale.x(x), scale.y(y), x, y) for x, y in line.points if math.isfinite(y)]
    way = []
    for at, (x, y, _, _) in enumerate(points):
        if plot.steps and at:
            way.append(f"{x},{points[at - 1][1]}")
        way.append(f"{x},{y}")
    parts = [f'<polyline class="line s{number}" points="{" ".join(way)}"/>'] if len(points) > 1 else []
    if len(points) <= _DOTS:
        parts += [
            f'<circle class="dot s{number}" cx="{x}" cy="{y}" r="2.6"><title>{escape(line.name)}: '
            f"{value:,.4g} {escape(plot.unit)} at {at_s - scale.low:.2f} s</title></circle>"
            for x, y, at_s, value in points
        ]
    return parts
