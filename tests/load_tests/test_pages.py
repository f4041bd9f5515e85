"""The report as a page, as Markdown, and beside another one."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from load_tests import compare, html, markdown
from load_tests.plots import plots_of
from load_tests.report import Curve, Report, Rows
from load_tests.run import Options, Run
from load_tests.session import finish
from load_tests.svg import WIDTH, Line, Plot, draw, short, ticks
from load_tests.target import Target

NASTY = '<script>alert("x")</script>|&'


def a_run(rate: float = 100.0) -> Run:
    run = Run("flash-sale", {"buyers": 7, "note": NASTY}, Options(), Target("http://x", "s" * 32))
    run.figure("accepted", rate, "claims/s", "higher", "3 in 1 s")
    run.floor("accepted", rate, 400.0, "claims/s", "bare script calls", better="higher")
    run.report.figures["words"] = "plain text"
    for second in range(1, 6):
        run.meter.count("offered", 50)
        run.meter.record("claim", 1000 * second)
        run.meter.code("http", "sold_out", 5)
        run.meter.gauge("viewers", second)
        run.timeline.add("", run.meter.take())
        run.timeline.tick(run.began_s + second, "sale", {"worker 1": 0.5}, {"worker 1": 80.0})
    run.report.timeline = run.timeline.rows
    run.report.latency_us = {n: h.summary() for n, h in run.timeline.total.histograms.items()}
    run.report.codes = {"http": {"sold_out": 25, NASTY: 1}}
    run.report.phases.append(("sale", 0.5, 4.5))
    run.report.events.append((2.0, "a worker was killed"))
    run.report.curves.append(Curve("units left", "units", [(1.0, 10), (1.5, 3), (2.0, 0)]))
    run.report.tables.append(Rows("Fairness", ("arrived", "got"), [("0–10 %", 3)], "by tenths"))
    run.note(NASTY)
    run.check("nothing oversold", True, NASTY)
    return run


class Elements(HTMLParser):
    """Every start tag, its attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_stands_alone_and_shows_everything() -> None:
    page = html.page(a_run().report)
    found = Elements(page)
    assert "script" not in found.tags
    assert "link" not in found.tags
    assert not [value for name, value in found.attributes if name in ("src", "href") or name.startswith("on")]
    assert "url(" not in page
    assert "@import" not in page
    for text in (
        "all 1 checks passed",
        "nothing oversold",
        "bare script calls",
        "sold_out",
        "25",
        "0–10 %",
        "by tenths",
    ):
        assert text in found.text
    for text in ("share this machine", "buyers", "aiohttp", "cores", "plain text", NASTY):
        assert text in found.text
    assert found.text.count("a worker was killed") == found.tags.count("svg")
    assert "prefers-color-scheme: dark" in page
    assert "width=device-width" in page


def test_a_failed_check_stands_first_and_an_interruption_is_said() -> None:
    report = a_run().report
    report.check("one order a key", False, "2 orders")
    report.interrupted = True
    page = html.page(report)
    assert "1 of 2 checks failed" in page
    assert page.index("one order a key") < page.index("nothing oversold")
    assert "interrupted" in Elements(page).text
    written = markdown.text(report)
    assert "**1 of 2 checks failed**" in written
    assert written.index("one order a key") < written.index("nothing oversold")
    assert "Interrupted" in written


def test_an_empty_report_has_a_page_too() -> None:
    assert "trial" in html.page(Report("trial", {}))
    assert "trial" in markdown.text(Report("trial", {}))


def test_every_kind_of_measurement_has_its_plot() -> None:
    titles = [plot.title for plot in plots_of(a_run().report)]
    assert titles == ["units left", "Rates", "Latency: claim", "Viewers", "CPU by process", "Memory by process"]


def test_a_small_rate_is_not_a_flat_line_under_a_large_one_and_no_loss_is_a_line_at_zero() -> None:
    run = Run("show", {}, Options(), Target("http://x", "s" * 32))
    for second in range(1, 5):
        for name, by in (("deliveries", 10_000), ("commands", 5), ("packets repaired", 0)):
            run.meter.count(name, by)
        run.timeline.add("", run.meter.take())
        run.timeline.tick(run.began_s + second, "live")
    run.report.timeline = run.timeline.rows
    drawn = {plot.title: [line.name for line in plot.lines] for plot in plots_of(run.report)}
    assert drawn == {
        "Rates": ["deliveries"],
        "Rates, the smaller ones": ["commands"],
        "Packet loss": ["packets repaired"],
    }


def test_a_phase_within_another_does_not_write_over_its_name() -> None:
    phases = [("pay", 4.0, 9.0), ("the deal opens", 3.0, 9.5)]
    drawn = ET.fromstring(draw(Plot("p", "ms", [Line("one", [(0.0, 1.0), (10.0, 2.0)])], phases)))
    assert [text.text for text in drawn.iter("text") if text.get("class") == "name"] == ["pay"]


def test_several_runs_are_shown_beside_each_other() -> None:
    report = a_run().report
    report.runs = [{"accepted": 90.0}, {"accepted": 110.0, "more": 1.0}]
    assert "run 2" in html.page(report)


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 1), (1, 1), (7, 8), (37, 40), (1000, 1000), (12_345, 15_000), (0.3, 0.3)]
)
def test_an_axis_ends_at_a_round_number(highest: float, top: float) -> None:
    values = ticks(highest)
    assert values[0] == 0
    assert top == pytest.approx(values[-1])
    assert 2 <= len(values) <= 7


def test_numbers_on_an_axis_are_short() -> None:
    assert [short(v) for v in (0, 0.25, 5, 1500, 25_000, 3e6)] == ["0", "0.25", "5", "1,500", "25k", "3M"]


def test_a_plot_is_well_formed_and_within_its_frame() -> None:
    lines = [Line(NASTY, [(n, float(n * n)) for n in range(100)]), Line("one", [(5.0, 7.0)]), Line("none", [])]
    drawn = ET.fromstring(draw(Plot(NASTY, "ms", lines, [("phase <1>", 0, 50)], [(3, NASTY)])))
    coordinates = [
        float(value) for line in drawn.iter("polyline") for value in re.split(r"[ ,]", line.get("points", ""))
    ]
    assert min(coordinates) >= 0
    assert max(coordinates) <= WIDTH


def test_a_stock_falls_in_steps() -> None:
    flat = draw(Plot("stock", "", [Line("left", [(0, 2), (1, 1)])]))
    stepped = draw(Plot("stock", "", [Line("left", [(0, 2), (1, 1)])], steps=True))
    count = [len(re.findall(r"[\d.]+,[\d.]+", re.search(r'points="([^"]*)"', text)[1])) for text in (flat, stepped)]  # type: ignore[index]
    assert count == [2, 3]


def test_markdown_keeps_a_cell_a_cell() -> None:
    report = a_run().report
    report.figures["a|b"] = "c|d\ne"
    [row] = [line for line in markdown.text(report).splitlines() if line.startswith("| a\\|")]
    assert row == "| a\\|b | c\\|d e |"


def test_the_files_that_were_asked_for_are_written_and_a_failed_check_ends_with_1(tmp_path: Path) -> None:
    options = Options(
        json_path=tmp_path / "new" / "r.json",
        html_path=tmp_path / "r.html",
        markdown_path=tmp_path / "r.md",
        quiet=True,
    )
    report = a_run().report
    finish(report, options)
    written = json.loads((tmp_path / "new" / "r.json").read_text())
    assert written["figures"]["accepted"]["value"] == 100.0
    assert written["latency_us"]["claim"]["count"] == 5
    assert written["timeline"][0]["rates"]["offered"] > 0
    assert "<svg" in (tmp_path / "r.html").read_text()
    assert "bare script calls" in (tmp_path / "r.md").read_text()
    report.check("it held", False)
    with pytest.raises(SystemExit) as ended:
        finish(report, options)
    assert ended.value.code == 1


def test_two_reports_are_compared_with_directions(tmp_path: Path) -> None:
    for name, rate in (("a", 100.0), ("b", 150.0)):
        run = a_run(rate)
        run.figure("cost", rate, "µs", "lower")
        run.figure("size", rate, "MiB")
        run.figure("steady", 10.0 + rate / 1000, "ms", "lower")
        run.settings["buyers"] = rate
        run.check("it held", name == "a")
        run.report.write(tmp_path / f"{name}.json")
    old, new = (compare.load(tmp_path / f"{name}.json") for name in "ab")
    said = {one.name: one for one in compare.differences(old, new)}
    directions = {name: said[name].direction for name in ("accepted", "cost", "size", "steady", "claim: p99")}
    assert directions == {
        "accepted": "better",
        "cost": "worse",
        "size": "changed",
        "steady": "same",
        "claim: p99": "same",
    }
    assert said["cost"].share == 0.5
    result = CliRunner().invoke(compare.main, [str(tmp_path / "a.json"), str(tmp_path / "b.json")])
    assert result.exit_code == 0
    for text in (
        "+50.0 %",
        "worse",
        " better, ",
        "Of one run each",
        "buyers was 100.0, is 150.0",
        "after: failed: it held",
    ):
        assert text in result.output


def test_several_runs_whose_ranges_meet_are_the_same() -> None:
    def report(value: float, low: float, high: float) -> dict[str, Any]:
        figure = {"value": value, "unit": "ms", "better": "lower", "spread": [low, high]}
        return {"figures": {"p99": figure}, "latency_us": {}}

    [meets] = compare.differences(report(10, 8, 12), report(14, 11, 16))
    [apart] = compare.differences(report(10, 8, 12), report(14, 13, 16))
    assert (meets.direction, apart.direction) == ("same", "worse")


@pytest.mark.parametrize("text", ["", "[]", '{"command": "x"}'])
def test_what_is_no_report_is_not_compared(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    result = CliRunner().invoke(compare.main, [str(path), str(path)])
    assert (result.exit_code, "r.json" in result.output) == (1, True)
