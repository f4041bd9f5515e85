"""The room benchmarks at a tiny size: they run, their checks hold, and their figures are there."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from load_tests.cli import main
from load_tests.rooms_floor import measure_floor
from load_tests.rooms_server import missing
from load_tests.rooms_viewers import STEP_NS, Tally, client_frame


def run(*words: str) -> str:
    result = CliRunner().invoke(main, ["rooms", *words])
    assert result.exit_code == 0, result.output
    assert "FAIL" not in result.output
    return result.output


def test_fanout_stands_beside_a_bare_loop(tmp_path: Path) -> None:
    output = run("fanout", "--viewers", "20", "--seconds", "1", "--rate", "20", "--json", str(tmp_path / "r.json"))
    for figure in ("bare send loop", "ratio", "deliveries per core·second", "aiohttp send_str", "share this machine's"):
        assert figure in output
    assert '"passed": true' in (tmp_path / "r.json").read_text()


def test_a_storm_of_two_workers_loses_nothing() -> None:
    output = run("storm", "--viewers", "60", "--workers", "2", "--processes", "2")
    assert "60 of 60" in output


def test_a_crowd_hears_every_acknowledged_message() -> None:
    assert "100.00" in run("crowd", "--viewers", "30", "--seconds", "1", "--workers", "1")


@pytest.mark.timeout(180)
def test_a_stalled_reader_is_closed_and_recovers() -> None:
    assert "closed after" in run("stalled", "--viewers", "10", "--seconds", "1", "--rate", "400")


@pytest.mark.soak
def test_ten_minutes_of_two_hundred_events_a_second_keep_memory_flat() -> None:
    assert "memory is flat" in run("soak")


def test_the_floor_is_a_cost() -> None:
    assert 0 < measure_floor(5, 200, 50, 0.2) < 10_000
    assert not multiprocessing.active_children()


def test_what_was_acknowledged_and_not_seen_is_counted() -> None:
    tally = Tally(ids={1: "a", 2: "b"})
    assert missing(tally, [(1, "a"), (2, "x"), (3, "c")]) == 2


def test_tallies_of_two_processes_that_disagree_are_a_fork() -> None:
    total = Tally(ids={1: "a"}, latency=Counter({3: 1}))
    total.add(Tally(ids={1: "b", 2: "c"}, latency=Counter({3: 1, 99: 2})))
    assert (total.forks, total.ids[2], total.latency[3]) == (1, "c", 2)
    assert total.percentile_ms(50) == 4 * STEP_NS / 1e6
    assert total.percentile_ms(99) == 100 * STEP_NS / 1e6


@pytest.mark.parametrize("size", [0, 125, 126, 5000])
def test_a_clients_frame_is_masked_and_says_its_size(size: int) -> None:
    frame = client_frame(0x1, b"x" * size)
    assert frame[0] == 0x81
    assert frame[1] & 0x80
    assert frame.endswith(b"x" * size)
    assert len(frame) == size + (6 if size < 126 else 8)
