"""The framework: meters add up across processes, a barrier holds, Ctrl-C stops and still reports."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from load_tests import session
from load_tests.meter import Meter, Timeline
from load_tests.options import common_options, options_of, pace_options
from load_tests.own_server import ServerError
from load_tests.processes import Generator, GeneratorFailed, Generators
from load_tests.report import Figure, Report, median_of
from load_tests.run import Options, Run
from load_tests.target import Target

OPTIONS = Options(url="http://127.0.0.1:1", secret="s" * 32, quiet=True)


def a_run() -> Run:
    return Run("trial", {}, OPTIONS, Target("http://127.0.0.1:1", "s" * 32))


def test_what_two_meters_saw_is_added_and_each_second_stands_alone() -> None:
    one, other, timeline = Meter(), Meter(), Timeline(100.0)
    for meter, us in ((one, 1000), (other, 3000)):
        meter.count("offered", 5)
        meter.record("claim", us)
        meter.code("http", "sold_out")
        meter.gauge("viewers", 2)
    timeline.add("a", one.take())
    timeline.add("b", other.take())
    row = timeline.tick(102.0, "sale")
    assert (row["t_s"], row["phase"]) == (2.0, "sale")
    assert row["rates"] == {"offered": 5.0}
    assert (row["latency_us"]["claim"]["count"], row["latency_us"]["claim"]["max"]) == (2, 3000)
    assert row["gauges"] == {"viewers": 4}
    timeline.add("a", one.take())
    later = timeline.tick(103.0, "sale")
    assert later["rates"] == {}
    assert later["gauges"] == {"viewers": 4}
    assert timeline.total.codes["http", "sold_out"] == 2


async def _work(generator: Generator, share: int) -> tuple[int, float, float, Any]:
    prepared_s = time.monotonic()
    start_s = await generator.ready()
    generator.meter.count("done", share)
    return share, prepared_s, start_s, await generator.messages.get()


async def _until_stopped(generator: Generator, _share: None) -> str:
    await generator.ready()
    await generator.stopped.wait()
    return "stopped"


async def _double(generator: Generator, share: int) -> None:
    await generator.ready()
    while (value := await generator.messages.get()) is not None:
        generator.answer(value * share)


async def _fail(_generator: Generator, _share: None) -> None:
    raise ValueError("broken share")


async def test_generators_begin_together_hear_what_they_are_told_and_are_counted() -> None:
    run = a_run()
    async with Generators(run, _work, [3, 4]) as generators:
        await generators.until_ready()
        start_s = generators.go()
        generators.tell("hello")
        results = await generators.results()
    assert [share for share, *_ in results] == [3, 4]
    assert all(prepared_s < start_s == began_s for _, prepared_s, began_s, _ in results)
    assert all(message == "hello" for *_, message in results)
    assert run.timeline.total.counters["done"] == 7
    await generators.aclose()


async def test_generators_are_asked_and_answer_in_order() -> None:
    async with Generators(a_run(), _double, [2, 3]) as generators:
        await generators.until_ready()
        generators.go()
        answers = await asyncio.gather(generators.ask(1), generators.ask(10))
        generators.tell(None)
        await generators.results()
        with pytest.raises(GeneratorFailed, match="has ended"):
            await generators.ask(1)
    assert answers == [[2, 3], [20, 30]]


async def test_a_generator_that_fails_says_where() -> None:
    async with Generators(a_run(), _fail, [None]) as generators:
        with pytest.raises(GeneratorFailed, match="broken share"):
            await generators.until_ready()


async def test_stopping_the_run_stops_its_generators() -> None:
    run = a_run()
    async with Generators(run, _until_stopped, [None]) as generators:
        await generators.until_ready()
        generators.go()
        run.stopping.set()
        async with asyncio.timeout(20):
            assert await generators.results() == ["stopped"]


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "server_facts", lambda _url: {"durable": True})


@pytest.mark.usefixtures("no_server")
def test_an_interrupted_run_is_judged_and_reported() -> None:
    async def scenario(run: Run) -> None:
        with run.phase("waiting"):
            os.kill(os.getpid(), signal.SIGINT)
            assert not await run.sleep(30)
        run.check("it was judged", True)

    report = session.execute("trial", scenario, {}, OPTIONS)
    assert report.interrupted
    assert [check.name for check in report.checks] == ["it was judged"]
    assert [name for name, *_ in report.phases] == ["waiting"]


@pytest.mark.usefixtures("no_server")
def test_a_second_interrupt_ends_the_judging_too_and_still_reports() -> None:
    async def scenario(run: Run) -> None:
        run.meter.count("done", 3)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    report = session.execute("trial", scenario, {}, OPTIONS)
    assert report.interrupted
    assert sum(row["rates"].get("done", 0) for row in report.timeline) > 0


@pytest.mark.usefixtures("no_server")
def test_an_interrupted_run_that_cannot_be_judged_is_a_failed_one() -> None:
    async def scenario(run: Run) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await run.stopping.wait()
        raise OSError("the server is gone")

    report = session.execute("trial", scenario, {}, OPTIONS)
    assert report.interrupted
    [check] = report.checks
    assert (check.name, check.passed) == ("what ran before the interruption could be judged", False)
    assert "the server is gone" in check.detail


@pytest.mark.usefixtures("no_server")
def test_several_runs_are_their_median_and_all_their_checks() -> None:
    values = iter([30.0, 10.0, 20.0])

    async def scenario(run: Run) -> None:
        value = next(values)
        run.figure("rate", value, "/s", "higher")
        run.check("below 25", value < 25)

    report = session.execute("trial", scenario, {}, Options(url="http://x", secret="s" * 32, quiet=True, runs=3))
    assert report.figures["rate"] == Figure(20.0, "/s", "higher", "", (10.0, 30.0))
    assert [check.passed for check in report.checks] == [False, True, True]
    assert report.runs == [{"rate": 30.0}, {"rate": 10.0}, {"rate": 20.0}]


def test_one_report_is_its_own_median() -> None:
    report = Report("trial", {})
    assert median_of([report]) is report


def test_a_server_that_is_not_there_is_said_so() -> None:
    with pytest.raises(ServerError, match="readyz"):
        session.server_facts("http://127.0.0.1:9")


@click.command("flash-sale")
@click.option("--buyers", default=7, type=click.IntRange(1, 100))
@click.option("--over", multiple=True)
@pace_options
@common_options
def command(buyers: int, over: tuple[str, ...], **values: Any) -> None:
    options = options_of(values)
    click.echo(f"{buyers} {','.join(over)} {options.pace} {options.seed}")


def invoke(tmp_path: Path, text: str, *words: str) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return CliRunner().invoke(command, ["--scenario", str(path), *words]).output


def test_a_file_gives_options_and_the_command_line_wins(tmp_path: Path) -> None:
    text = 'scenario = "flash-sale"\nbuyers = 9\nover = ["http", "x"]\nramp = "1:2:3"\nseed = 4'
    assert invoke(tmp_path, text) == "9 http,x 1 to 2/s in 3 s 4\n"
    assert invoke(tmp_path, text, "--buyers", "5", "--seed", "6") == "5 http,x 1 to 2/s in 3 s 6\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("byers = 9", "Did you mean 'buyers'"),
        ("buyers = 900", "buyers = 900: 900 is not in the range"),
        ('buyers = "many"', "not a valid integer"),
        ("buyers = {a = 1}", "a single value"),
        ("self-host = 3", "true or false"),
        ('scenario = "show"', "is for 'show', not for 'flash-sale'"),
        ("buyers =", "Invalid value"),
        ('ramp = "1:2"', "a ramp is from:to:seconds"),
        ('scenario = "flash-sale"\nzzz = 1', "There are:"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_words(tmp_path: Path, text: str, said: str) -> None:
    # click wraps what it prints
    assert said in " ".join(invoke(tmp_path, text).split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rate", "5", "--ramp", "1:2:3"], "two ways"),
        (["--url", "http://x"], "--secret"),
        (["--url", "http://x", "--secret", "s", "--self-host"], "contradict"),
        (["--url", "x:80", "--secret", "s"], "--url is a server's own address"),
        (["--ramp", "a:2:3"], "not 'a:2:3'"),
        (["--json", f"{__file__}/x.json"], "cannot be written"),
        (["--think", "1"], "No such option"),
    ],
)
def test_options_that_contradict_each_other_are_refused(words: list[str], said: str) -> None:
    result = CliRunner().invoke(command, words)
    assert (result.exit_code, said in result.output) == (2, True)


def test_a_child_whose_parent_is_gone_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a run that leaves its generators behind, then closing ends them at once."""

    async def leave() -> list[int]:
        async with Generators(a_run(), _until_stopped, [None]) as generators:
            await generators.until_ready()
            return [process.pid or 0 for process in generators._processes]

    [pid] = asyncio.run(leave())
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        pytest.fail("it lives")
