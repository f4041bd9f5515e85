"""The tables of the README: small runs of every benchmark hold, and only what passed is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import psutil
import pytest
from click.testing import CliRunner

from load_tests import bench
from load_tests.bench import BEGIN, END
from load_tests.bench_list import BENCHMARKS, Benchmark, Row, Share
from load_tests.bench_table import Outcome, tables
from load_tests.cli import main as tool

ROWS = (Row("the rate", "rate"), Row("its cost", "cost", "floor", "a|b"), Row("nothing", "none"))
ONE = Benchmark(subject="Tool", name="one", words=("generator",), rows=ROWS, takes_s=1, quick=("generator",))


def outcome(passed: bool = True) -> Outcome:
    spread = [1.0, 3.0]
    figures: dict[str, Any] = {
        "rate": {"value": 2.0, "unit": "claims/s", "better": "higher", "note": "of one run", "spread": spread},
        "cost": {"value": 30.0, "unit": "µs", "better": "lower", "note": "", "spread": None},
        "floor": {"value": 20.0, "unit": "µs", "better": "lower", "note": "", "spread": None},
    }
    check = {"name": "it held", "passed": passed, "detail": "why"}
    return Outcome(ONE, {"passed": passed, "figures": figures, "checks": [check]}, words=("generator", "--rate", "5"))


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    return path


def bench_once(monkeypatch: pytest.MonkeyPatch, made: Outcome, *words: str) -> Any:
    monkeypatch.setattr(bench, "BENCHMARKS", [ONE])
    monkeypatch.setattr(bench, "run", lambda _benchmark, _words: made)
    return CliRunner().invoke(bench.main, list(words))


def test_a_subject_has_its_table_and_its_commands() -> None:
    rows = tables([outcome(), outcome()]).splitlines()
    assert rows[0] == "**Tool**"
    assert rows[4] == "| the rate | 2 claims/s (1 to 3) |  |"
    assert rows[5] == "| its cost | 30 µs | 20 µs, a\\|b: 1.50 × |"
    assert rows[6] == "| nothing | **missing** |  |"
    assert rows.count(".venv/bin/python -m load_tests generator --rate 5") == 2
    assert "cores that load, server and Valkey share" in rows[-1]
    assert "to other machines" not in rows[-1]


def test_what_the_host_gave_to_other_machines_is_said() -> None:
    assert tables([outcome()], 0.071).endswith(" The host gave 7% of the CPU to other machines meanwhile.")
    before = psutil.cpu_times()
    assert 0 <= bench.stolen(before) <= 1
    kinds = before._asdict()
    earlier = type(before)(**{**kinds, "steal": kinds["steal"] - 5, "idle": kinds["idle"] - 15})
    assert 0.2 < bench.stolen(earlier) < 0.3


def test_a_rate_is_a_share_of_what_was_found_before() -> None:
    later = replace(ONE, name="later", rate=Share("one", "rate", 0.8))
    assert bench.words_of(later, [outcome()]) == ("generator", "--rate", "2")
    with pytest.raises(click.ClickException, match="needs a figure of one"):
        bench.words_of(later, [])


def test_a_part_of_the_tables_is_never_written(readme: Path) -> None:
    result = CliRunner().invoke(bench.main, ["--only", "one", "--readme", str(readme)])
    assert (result.exit_code, "does not go with" in result.output) == (2, True)


def test_the_table_goes_between_the_markers(readme: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench_once(monkeypatch, outcome(), "--readme", str(readme)).exit_code == 0
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\n**Tool**\n")
    assert text.endswith(f"\n{END}\nafter\n")
    assert "old" not in text


@pytest.mark.parametrize("made", [outcome(passed=False), Outcome(ONE, None, "it did not start")])
def test_what_failed_is_named_and_not_written(readme: Path, made: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    result = bench_once(monkeypatch, made, "--readme", str(readme))
    assert result.exit_code == 1
    assert "FAIL one" in result.output
    assert "it held: why" in result.output or "it did not start" in result.output
    assert "**failed**" in result.output
    assert "old" in readme.read_text()


@pytest.mark.parametrize("text", ["", BEGIN, f"{END} {BEGIN}", f"{BEGIN} {END} {BEGIN} {END}"])
def test_a_file_without_its_markers_is_refused_before_anything_runs(tmp_path: Path, text: str) -> None:
    path = tmp_path / "README.md"
    path.write_text(text)
    result = CliRunner().invoke(bench.main, ["--readme", str(path)])
    assert (result.exit_code, "bench:begin" in result.output) == (2, True)


def test_every_benchmark_is_a_command_that_there_is() -> None:
    context = click.Context(tool)
    for benchmark in BENCHMARKS:
        for words in (benchmark.words, benchmark.quick):
            if not words:
                continue
            command = tool.get_command(context, words[0])
            assert command is not None, benchmark.name
            command.make_context(words[0], [*words[1:], "--json", "x"], parent=context)
    assert sum(benchmark.takes_s for benchmark in BENCHMARKS) <= 600, "make bench takes at most ten minutes"


def test_small_runs_of_every_benchmark_keep_every_promise() -> None:
    result = CliRunner().invoke(bench.main, ["--quick"])
    assert result.exit_code == 0, result.output
    assert result.output.count("ok  ") == sum(bool(benchmark.quick) for benchmark in BENCHMARKS)


def test_a_command_that_does_not_start_is_a_failure_with_its_words() -> None:
    broken = replace(ONE, words=("generator", "--no-such-option"))
    made = bench.run(broken, broken.words)
    assert not made.passed
    assert "no-such-option" in made.why.lower()
