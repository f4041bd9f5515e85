"""Every scenario of rooms and shows, tiny, against real servers: it runs, its checks hold, its report is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from load_tests import idle_sockets
from load_tests.cli import main
from load_tests.rooms_floor import measure_floor

#: what the time from a message's due moment to its reading is made of
CAUSES = ["it was sent", "it came to a viewer's machine", "the generator read it"]


def run(folder: Path, *words: str) -> dict[str, Any]:
    """The report of a run that passed."""
    path = folder / "report.json"
    result = CliRunner().invoke(main, [*words, "--json", str(path)], catch_exceptions=False)
    report: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"checks": []}
    wrong = [check for check in report["checks"] if not check["passed"]]
    assert (result.exit_code, wrong) == (0, []), result.output
    return report


def test_a_chat_storm_stands_beside_a_rival_and_a_bare_loop(tmp_path: Path) -> None:
    report = run(tmp_path, "chat-storm", "--viewers", "20", "--seconds", "0.5", "--messages", "40")
    table, causes = report["tables"]
    assert [(row[0], row[2]) for row in table["rows"]] == [("livecommerce", 20), ("plain", 20)]
    assert [row[2] for row in causes["rows"][:3]] == CAUSES
    assert causes["rows"][1][-1] <= causes["rows"][2][-1]
    assert report["figures"]["livecommerce, 40/s: CPU of a tick's send to a viewer, times the floor"]["value"] > 0
    for driver in ("livecommerce", "plain"):
        assert report["figures"][f"{driver}, 40/s: CPU a delivery, times the floor"]["value"] > 0
        assert report["latency_us"][f"{driver}, 40/s: to a viewer"]["count"] == 20 * 20


def test_a_reconnect_storm_of_two_workers_loses_nothing(tmp_path: Path) -> None:
    words = ("--viewers", "60", "--workers", "2", "--generators", "2", "--storms", "1")
    report = run(tmp_path, "reconnect-storm", *words)
    assert report["figures"]["commands to Valkey a join"]["value"] > 0


SHOW = ("--chat", "8", "--buyers", "12", "--units", "5", "--ramp-up", "0.2", "--thought", "0.2")


def test_a_whole_show_in_small_passes_every_check(tmp_path: Path) -> None:
    report = run(tmp_path, "show", *SHOW, "--video", "3", "--live", "0.2", "--rush", "0.2")
    assert len(report["checks"]) >= 20
    assert [name for name, *_ in report["phases"]] == ["ramp up", "live", "pay", "deal opens", "wind down"]
    assert report["figures"]["orders"]["value"] == 5


@pytest.mark.timeout(180)
def test_a_show_whose_worker_is_killed_and_whose_network_is_cut_keeps_every_promise(tmp_path: Path) -> None:
    words = ("--seconds", "3", "--every", "2", "--fault", "kill-worker", "--fault", "cut-network", "--seed", "2")
    report = run(tmp_path, "chaos", *SHOW, "--video", "2", *words)
    assert {what.split(",")[0].split("  ")[-1] for _, what in report["events"]} == {
        "kill -9 of a worker",
        "every connection through the proxy cut",
    }


def test_chaos_refuses_a_server_that_it_did_not_start() -> None:
    result = CliRunner().invoke(main, ["chaos", "--url", "http://127.0.0.1:1", "--secret", "s"])
    assert (result.exit_code, "one of its own" in result.output) == (2, True)


def test_a_soak_says_how_long_it_takes_and_sells_again_and_again(tmp_path: Path) -> None:
    words = ("--minutes", "0.05", "--deal-every", "1", "--rush", "0.2", "--rate", "50")
    report = run(tmp_path, "soak", *SHOW, "--video", "0", *words)
    assert report["figures"]["deals sold"]["value"] >= 2


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_ten_minutes_of_two_hundred_messages_a_second_keep_memory_flat(tmp_path: Path) -> None:
    run(tmp_path, "soak", "--minutes", "10")


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_stalled_reader_is_closed_and_comes_back_whole(tmp_path: Path) -> None:
    run(
        tmp_path,
        "chat-storm",
        "--viewers",
        "10",
        "--seconds",
        "1",
        "--no-floor",
        "--stalled",
        "--driver",
        "livecommerce",
    )


def test_the_floor_is_a_cost() -> None:
    assert 0 < measure_floor(5, 200, 50, 0.2) < 10_000


def test_idle_sockets_are_weighed_pinged_and_still_hear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle_sockets, "SETTLE_S", 0.1)
    report = run(tmp_path, "idle-sockets", "--sockets", "60", "--generators", "2", "--seconds", "1")
    assert 1 < report["figures"]["resident memory an idle joined connection"]["value"] < idle_sockets.GOAL_KB
    assert report["figures"]["workers' CPU while nothing happens"]["value"] > 0
