"""A show's verdict: a whole show passes, and each check fails on a doctored one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from load_tests import chaos, show_figures, soak
from load_tests.arrivals import Pace
from load_tests.faults import Fault
from load_tests.history import Final, History, Operation, Window
from load_tests.room_history import StockStep
from load_tests.rooms_people import Deeds, Purchase
from load_tests.rooms_tally import Tally
from load_tests.run import Options, Run
from load_tests.show_checks import Evidence, judge
from load_tests.show_plan import ShowPlan, in_the_room, purchases
from load_tests.show_viewer import RepairingViewer
from load_tests.show_watched import Watched, missed
from load_tests.target import Target
from load_tests.whep_peer import RTX, VP8, Shared
from streams import rtcp
from streams.rtp import FIXED

PLAN = ShowPlan(video=2, chat=3, pace=Pace.constant(1), buyers=3, units=2)
FAULTS = [Fault(1.0, "kill-worker")]
DONE = ["worker 7 killed"]


def claim(buyer: str, outcome: str, order_id: str | None, at_s: float) -> Operation:
    return Operation(
        client="c", verb="claim", buyer=buyer, key=buyer, units=1, invoked_s=at_s, returned_s=at_s + 0.1,
        outcome=outcome, order_id=order_id,
    )  # fmt: skip


def whole() -> Evidence:
    operations = [claim("a", "accepted", "o1", 1), claim("b", "accepted", "o2", 2), claim("c", "sold_out", None, 3)]
    final = Final(left=0, held=0, sold=2, orders={("a", "a"): "o1", ("b", "b"): "o2"})
    return Evidence(
        plan=PLAN,
        tally=Tally(ids={1: "m"}, stock={2: StockStep("d", 2, 0)}),
        deeds=Deeds(said=[(1, "m")], begun=1, done=1, paid=["o1", "o2"], operations=operations),
        watched=Watched(packets=100, verified=20, frames=10),
        playing=2,
        history=History(
            stock=2, limit=1, operations=operations, final=final, window=Window(open_invoked_s=0, open_returned_s=0.5)
        ),
        claimed=Counter(["o1", "o2"]),
        states={"o1": "paid", "o2": "paid"},
        relay_dropped=Counter(),
        backlog_dropped=0,
        shown=3,
        counted=3,
        inside=3,
        afterwards=0,
    )


def failed(evidence: Evidence) -> set[str]:
    return {check.name for check in judge(evidence) if not check.passed}


def test_a_whole_show_passes() -> None:
    assert failed(whole()) == set()
    assert all(check.passed for check in chaos.judge_chaos(whole(), FAULTS, DONE))
    assert all(check.passed for check in soak.judge_soak(whole(), 1, []))


def history(evidence: Evidence, **changes: Any) -> Evidence:
    return replace(evidence, history=msgspec.structs.replace(evidence.history, **changes))


def final(evidence: Evidence, **changes: Any) -> Evidence:
    assert evidence.history.final is not None
    return history(evidence, final=msgspec.structs.replace(evidence.history.final, **changes))


Doctor = Callable[[Evidence], Evidence]
DOCTORS: list[tuple[Doctor, str]] = [
    (lambda e: replace(e, tally=Tally(ids={1: "m"}, lost=1)), "no event was lost"),
    (lambda e: replace(e, deeds=replace(e.deeds, begun=2)), "every command was answered"),
    (lambda e: replace(e, tally=replace(e.tally, stock={1: StockStep("d", 1, 5), 2: StockStep("d", 1, 5)})),
     "the stock in the log follows from what was taken"),
    (lambda e: replace(e, tally=Tally()), "somebody was told something"),
    (lambda e: replace(e, tally=replace(e.tally, doubled=1)), "no event came twice or out of order"),
    (lambda e: replace(e, tally=replace(e.tally, forks=1)), "all viewers saw the same log"),
    (lambda e: replace(e, tally=replace(e.tally, behind=1)), "every viewer has the newest event"),
    (lambda e: replace(e, tally=replace(e.tally, announced=1)), "nobody was told of a hole"),
    (lambda e: replace(e, deeds=replace(e.deeds, said=[(1, "m"), (2, "n")])),
     "every acknowledged message is in the log"),
    (lambda e: replace(e, deeds=replace(e.deeds, refused=Counter(["chat.send: internal"]))),
     "nothing went wrong inside the server"),
    (lambda e: replace(e, shown=2), "the number of viewers is right"),
    (lambda e: replace(e, afterwards=1), "nobody is counted who has left"),
    (lambda e: replace(e, watched=replace(e.watched, lost=1, missed=1)), "the picture's sequence is whole"),
    (lambda e: replace(e, watched=replace(e.watched, duplicates=1)), "the picture's sequence is whole"),
    (lambda e: replace(e, watched=replace(e.watched, frames_incomplete=1)), "the picture's sequence is whole"),
    (lambda e: replace(e, watched=Watched()), "the picture's sequence is whole"),
    (lambda e: replace(e, watched=replace(e.watched, unauthentic=1)), "every packet is authentic"),
    (lambda e: replace(e, watched=replace(e.watched, verified=0)), "every packet is authentic"),
    (lambda e: replace(e, watched=replace(e.watched, lost=2, dropped_here=2)),
     "the load kept up with its own viewers"),
    (lambda e: replace(e, playing=1), "everybody has the picture at the end"),
    (lambda e: history(e, stock=1), "the sale's history is right"),
    (lambda e: history(e, limit=0), "the sale's history is right"),
    (lambda e: final(e, orders={("a", "a"): "o1"}), "the sale's history is right"),
    (lambda e: final(e, orders={("a", "a"): "o2", ("b", "b"): "o2"}), "the sale's history is right"),
    (lambda e: final(e, left=1, sold=1), "what enough people wanted was sold"),
    (lambda e: replace(e, claimed=Counter(["o1"])), "every yes is in the journal, once"),
    (lambda e: replace(e, claimed=Counter(["o1", "o1", "o2"])), "every yes is in the journal, once"),
    (lambda e: replace(e, states={"o1": "paid", "o2": "held"}), "what was paid is paid"),
    (lambda e: replace(e, states={"o1": "paid", "o2": "expired"}), "the journal and the deal agree"),
]  # fmt: skip


@pytest.mark.parametrize(("doctor", "check"), DOCTORS)
def test_each_check_of_a_show_fails_on_a_doctored_one(doctor: Doctor, check: str) -> None:
    assert check in failed(doctor(whole()))


def test_chaos_excuses_the_picture_while_it_is_broken_and_nothing_else() -> None:
    torn = replace(whole(), watched=replace(whole().watched, lost=9, missed=9, frames_incomplete=1))
    assert all(check.passed for check in chaos.judge_chaos(torn, FAULTS, DONE))
    dark = replace(whole(), playing=1)
    assert not all(check.passed for check in chaos.judge_chaos(dark, FAULTS, DONE))


@pytest.mark.parametrize(
    ("evidence", "done", "check"),
    [
        (whole(), [], "every fault was injected"),
        (whole(), ["no worker to kill"], "every fault was injected"),
        (final(whole(), orders={("a", "a"): "o1"}), DONE, "every key that was told yes finds its order"),
    ],
)
def test_each_check_of_chaos_fails_on_a_doctored_one(evidence: Evidence, done: list[str], check: str) -> None:
    names = {one.name for one in chaos.judge_chaos(evidence, FAULTS, done) if not one.passed}
    assert check in names


def test_memory_that_grows_is_not_flat() -> None:
    filling = [float(100 - max(0, 20 - n)) for n in range(80)]
    assert soak.flat(filling).passed
    assert not soak.flat([mib + n * 0.2 for n, mib in enumerate(filling)]).passed
    assert soak.flat([100.0]).passed


@pytest.mark.parametrize(("sales", "broken"), [(0, []), (3, ["oversold: 3 of 2"])])
def test_a_soak_needs_sales_and_all_of_them_right(sales: int, broken: list[str]) -> None:
    names = {check.name for check in soak.judge_soak(whole(), sales, broken) if not check.passed}
    assert names == {"every sale's history is right"}


def test_what_the_viewers_own_buffers_dropped_is_said_and_not_held_against_the_server() -> None:
    ours = replace(whole(), watched=replace(whole().watched, lost=5, dropped_here=5, frames_incomplete=1))
    assert failed(ours) == {"the load kept up with its own viewers"}
    assert failed(replace(ours, watched=replace(ours.watched, packets=1000))) == set()
    [said] = [check.detail for check in judge(ours) if check.name == "the picture's sequence is whole"]
    assert "5 lost" in said
    assert "5 dropped in the viewers' own buffers" in said
    assert (missed(7, 4), missed(5, 9)) == (3, 0)


def test_a_load_that_drops_packets_itself_says_so_in_the_report() -> None:
    for dropped, notes in ((0, 0), (5, 1)):
        run = Run("show", {}, Options(), Target("http://x", "s" * 32))
        show_figures.media(run, Watched(packets=95, lost=5, dropped_here=dropped, gaps_ms=[40.0]))
        assert len(run.report.notes) == notes


def test_a_frame_may_be_torn_only_where_it_had_to_be_repaired() -> None:
    torn = replace(whole().watched, frames_incomplete=1)
    assert "the picture's sequence is whole" in failed(replace(whole(), watched=torn))
    assert failed(replace(whole(), watched=replace(torn, repaired=2))) == set()


async def test_a_viewer_asks_for_what_it_lost_and_takes_it_once() -> None:
    shared = Shared()
    viewer, sent = RepairingViewer(shared, 1), list[bytes]()
    viewer.peer.send_rtcp = sent.append  # type: ignore[assignment,method-assign]

    def arrive(payload_type: int, sequence: int, payload: bytes) -> None:
        packet = FIXED.pack(0x80, payload_type, sequence, 0, 7) + payload
        shared.receive.view[: len(packet)] = packet
        viewer._rtp(len(packet))

    try:
        for sequence in (10, 11, 14):
            arrive(VP8, sequence, bytes(20))
        viewer.ask_again()
        [nack] = [message for message in rtcp.parse(sent[0]) if isinstance(message, rtcp.Nack)]
        assert list(nack.sequences) == [12, 13]
        for original in (12, 12, 13, 99):
            arrive(RTX, 500, original.to_bytes(2, "big") + bytes(20))
        assert (viewer.video.lost, viewer.video.duplicates, viewer.repaired) == (0, 0, 2)
        viewer.ask_again()
        assert len(sent) == 1, "nothing is missing any more"
    finally:
        viewer.peer.close()


def test_a_seed_gives_the_same_buyers_again_and_most_come_at_once() -> None:
    plan = replace(PLAN, buyers=1000, chat=600, rush_s=10.0)
    all_ = purchases(plan, random.Random(3))
    assert all_ == purchases(plan, random.Random(3)) != purchases(plan, random.Random(4))
    assert all(0 <= p.after_s <= 10 for p in all_)
    assert sum(p.after_s < 2.5 for p in all_) > 550
    steady = purchases(replace(plan, steady=True), random.Random(3))
    assert 200 < sum(p.after_s < 2.5 for p in steady) < 300
    here, elsewhere = in_the_room(plan, all_)
    assert (len(here), len(elsewhere)) == (600, 400)
    assert here[5].seated(2) == Purchase(2, "show-5", "show-5", here[5].after_s, here[5].think_s)
