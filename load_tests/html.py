"""A report as one self-contained page: plots drawn here, no script, nothing fetched; what failed stands on top."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from load_tests.html_style import STYLE
from load_tests.plots import plots_of
from load_tests.report import Check, Figure, Report, Rows, number
from load_tests.svg import MOST_CURVES, Plot, draw

#: figures shown large
_TILES = 4
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(report: Report) -> str:
    """The whole document."""
    sections = [
        _head(report),
        _tiles(report),
        _section("Checks", f'<div class="card">{_checks(report.checks)}</div>' if report.checks else ""),
        _section("Over time", f'<div class="plots">{"".join(_plot(p) for p in plots_of(report))}</div>'),
        _section("Latency", _latency(report)),
        _section("Answers", f'<div class="two">{"".join(_codes(*item) for item in report.codes.items())}</div>'),
        *(_section(rows.title, _rows(rows)) for rows in report.tables),
        _section("All figures", _figures(report)),
        _section("Each run", _runs(report)),
        _section("Where and how", _facts(report)),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.command)} · livecommerce load test</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


def write(report: Report, path: Path) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(report), "utf-8")


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if _has_content(body) else ""


def _has_content(body: str) -> bool:
    return body not in ("", '<div class="plots"></div>', '<div class="two"></div>')


def _head(report: Report) -> str:
    failed = sum(not check.passed for check in report.checks)
    words = f"{failed} of {len(report.checks)} checks failed" if failed else f"all {len(report.checks)} checks passed"
    kind = "bad" if failed else "good"
    pill = f'<span class="pill {kind}">{words}</span>' if report.checks else ""
    if report.interrupted:
        pill += '<span class="pill bad">interrupted: the figures are those of the part that ran</span>'
    seconds = report.timeline[-1]["t_s"] if report.timeline else 0
    when = f"{report.started_at.replace('T', ' ').replace('+00:00', ' UTC')} · {seconds:.0f} s"
    sizes = [f"{value:,} {name}" for name, value in report.settings.items() if _is_size(name, value)]
    asked = f'<p class="asked">{escape(" · ".join(sizes))}</p>' if sizes else ""
    notes = f'<p class="note">{escape(report.shared)}</p>'
    notes += "".join(f'<p class="heed">{escape(note)}</p>' for note in report.notes)
    return f'<header><h1>{escape(report.command)}</h1>{pill}</header><p class="dim">{escape(when)}</p>{asked}{notes}'


def _is_size(name: str, value: Any) -> bool:
    """Whether a setting is how many of something there were."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 1 and name != "seed"


def _tiles(report: Report) -> str:
    tiles: list[str] = []
    for name, figure in report.figures.items():
        if isinstance(figure, Figure) and len(tiles) < _TILES:
            note = f"<span>{escape(figure.note)}</span>" if figure.note else ""
            value = f"<b>{number(figure.value)} <small>{escape(figure.unit)}</small></b>"
            tiles.append(f'<div class="card tile"><span class="name">{escape(name)}</span>{value}{note}</div>')
    return f'<div class="tiles">{"".join(tiles)}</div>' if tiles else ""


def _checks(checks: Iterable[Check]) -> str:
    items = []
    for check in sorted(checks, key=lambda check: check.passed):
        mark = (
            '<b class="good" aria-label="passed">✓</b>' if check.passed else '<b class="bad" aria-label="failed">✗</b>'
        )
        name = f'<strong class="bad">{escape(check.name)}</strong>' if not check.passed else escape(check.name)
        detail = f'<span class="dim">{escape(check.detail)}</span>' if check.detail else ""
        items.append(f"<li>{mark}<div>{name}{detail}</div></li>")
    return f'<ul class="checks">{"".join(items)}</ul>'


def _plot(plot: Plot) -> str:
    shown = plot.lines[:MOST_CURVES]
    names = [f'<span><i class="s{n}"></i>{escape(line.name)}</span>' for n, line in enumerate(shown)]
    told = len(shown) == 1 and shown[0].name.lower() == plot.title.lower()
    legend = "" if told else f'<div class="legend">{"".join(names)}</div>'
    unit = f' <span class="dim">{escape(plot.unit)}</span>' if plot.unit else ""
    return f'<div class="card"><h3>{escape(_capital(plot.title))}{unit}</h3>{draw(plot)}{legend}</div>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int = 1) -> str:
    """Cells are HTML already; columns from ``numbers_from`` on are numbers."""
    kinds = ['class="n"' if at >= numbers_from else 'class="wide"' for at in range(len(head))]
    top = "".join(f"<th {kind}>{escape(name)}</th>" for kind, name in zip(kinds, head, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td {kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="card scroll"><table><tr>{top}</tr>{body}</table></div>'


def _latency(report: Report) -> str:
    names = ("count", "mean", "p50", "p90", "p99", "p99.9", "max")
    rows = [
        [escape(what), *(number(s[n]) if n == "count" else f"{s[n] / 1000:,.2f}" for n in names)]
        for what, s in report.latency_us.items()
    ]
    note = (
        '<p class="note">Milliseconds from when the work was due, not from when it was sent: waiting is part of it.</p>'
    )
    return _table(("what", *names), rows) + note if rows else ""


def _codes(table: str, codes: Mapping[str, int]) -> str:
    most = max(codes.values(), default=1)
    rows = [
        [f'{escape(code)}<span class="bar" style="width:{100 * count / most:.1f}%"></span>', f"{count:,}"]
        for code, count in codes.items()
    ]
    return _table((table, "answers"), rows)


def _rows(rows: Rows) -> str:
    cells = [[escape(one) if isinstance(one, str) else number(float(one)) for one in row] for row in rows.rows]
    note = f'<p class="note">{escape(rows.note)}</p>' if rows.note else ""
    return _table(rows.columns, cells) + note


def _figures(report: Report) -> str:
    rows = []
    for name, figure in report.figures.items():
        if isinstance(figure, Figure):
            spread = f" ({number(figure.spread[0])} to {number(figure.spread[1])})" if figure.spread else ""
            note = f'<br><span class="note">{escape(figure.note)}</span>' if figure.note else ""
            rows.append([escape(name) + note, f"{number(figure.value)} {escape(figure.unit)}{spread}"])
        else:
            rows.append([escape(name), escape(f"{figure:,.1f}" if isinstance(figure, float) else str(figure))])
    return _table(("what", "figure"), rows) if rows else ""


def _runs(report: Report) -> str:
    if not report.runs:
        return ""
    names = list(dict.fromkeys(name for run in report.runs for name in run))
    head = ("what", *(f"run {n}" for n in range(1, len(report.runs) + 1)))
    rows = [[escape(name), *(number(run[name]) if name in run else "–" for run in report.runs)] for name in names]
    return _table(head, rows)


def _facts(report: Report) -> str:
    groups: dict[str, Mapping[str, Any]] = {
        "machine": report.machine,
        "server": report.server,
        "settings": report.settings,
        "versions": report.versions,
    }
    tables = [
        _table((title, ""), [[escape(name), escape(_said(value))] for name, value in facts.items()], numbers_from=9)
        for title, facts in groups.items()
        if facts
    ]
    return f'<div class="two">{"".join(tables)}</div>'


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _said(value: Any) -> str:
    return "yes" if value is True else "no" if value is False else "–" if value is None else str(value)
