"""What must be so after a show, all of it together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from load_tests import rooms_checks
from load_tests.checker import check
from load_tests.history import ACCEPTED, History
from load_tests.report import Check
from load_tests.rooms_people import Deeds
from load_tests.rooms_tally import Tally
from load_tests.show_plan import ShowPlan
from load_tests.show_watched import Watched

#: how old a sold-out answer may be: a worker's short cut (deals/sold_out.py)
STALE_S = 1.0
#: share of the packets that the load itself may lose for good before its verdict on the picture is worth nothing
MOST_LOST_HERE = 0.01
#: states in which an order's units are taken
_TAKEN = ("held", "paying", "paid")


@dataclass
class Evidence:
    """What a show left behind: what people were told, and what the server's books say afterwards."""

    plan: ShowPlan
    tally: Tally
    deeds: Deeds
    watched: Watched
    #: each viewer of the picture had a whole frame in the last moments
    playing: int
    history: History
    #: how often each order was claimed by the journal, and its state after the last entry
    claimed: Counter[str]
    states: Mapping[str, str]
    #: what the relay says that it had to throw away
    relay_dropped: Counter[str]
    #: by this machine's kernel, before any socket, meanwhile
    backlog_dropped: int
    #: viewers shown in the room, by the stream, and there; and by the stream when all had left
    shown: int
    counted: int
    inside: int
    afterwards: int


def judge(evidence: Evidence) -> list[Check]:
    """Every check of a show."""
    return [
        *rooms_checks.histories(evidence.tally, evidence.deeds),
        *rooms_checks.answers(evidence.deeds),
        *presence(evidence),
        *media(evidence),
        *deal(evidence),
        *books(evidence),
    ]


def presence(evidence: Evidence) -> list[Check]:
    """Right while all were there, and nobody left over."""
    gone = Check("nobody is counted who has left", evidence.afterwards == 0, f"{evidence.afterwards}")
    return [*rooms_checks.presence(evidence.shown, evidence.counted, evidence.inside), gone]


def media(evidence: Evidence) -> list[Check]:
    """Every packet came once, authentic, to everybody; what the viewers' own buffers dropped is not held against it."""
    seen, plan = evidence.watched, evidence.plan
    if not plan.video:
        return []
    whole = seen.lost_by_others == seen.duplicates == 0 and seen.frames > 0
    # Without a loss nothing may be torn; a repaired frame was incomplete when its last packet came.
    torn = seen.frames_incomplete > 0 and not seen.repaired and not seen.lost
    unverified = f"{seen.unauthentic} are not, of {seen.verified:,} that were checked"
    return [
        Check("the picture's sequence is whole", whole and not torn, _losses(evidence)),
        kept_up(seen),
        Check("every packet is authentic", seen.unauthentic == 0 and seen.verified > 0, unverified),
        back(evidence),
    ]


def kept_up(seen: Watched) -> Check:
    """The load read what it was sent: a measure that loses packets itself proves nothing of the picture."""
    lost_here = seen.lost - seen.lost_by_others
    share = lost_here / max(1, seen.packets + seen.lost)
    detail = f"{lost_here:,} lost for good in the viewers' own buffers, {share:.1%}"
    return Check("the load kept up with its own viewers", share <= MOST_LOST_HERE, detail)


def _losses(evidence: Evidence) -> str:
    """Where packets went, in words."""
    seen = evidence.watched
    text = f"{seen.packets:,} packets, {seen.duplicates} twice, {seen.lost:,} lost, {seen.repaired:,} repaired"
    if not seen.lost and not seen.repaired and not seen.dropped_here:
        return text
    return (
        f"{text}; with sound {seen.missed:,} were missed on the way to the viewers (the relay dropped "
        f"{evidence.relay_dropped['runs_dropped']:,} late bursts to all, with these "
        f"{evidence.relay_dropped['packets_dropped']:,} packets were not sent; "
        f"{evidence.relay_dropped['packets_lost']:,} never came from the host; "
        f"of what viewers asked for {evidence.relay_dropped['retransmissions_missing']:,} were not there and "
        f"{evidence.relay_dropped['retransmissions_refused']:,} over the limit; at the relay's own sockets the kernel "
        f"dropped {evidence.relay_dropped['datagrams_overflowed']:,} and refused "
        f"{evidence.relay_dropped['datagrams_unsent']:,}; {evidence.backlog_dropped:,} before any socket), "
        f"{seen.dropped_here:,} dropped in the viewers' own buffers"
    )


def back(evidence: Evidence) -> Check:
    """Whether all see the picture at the end."""
    everybody = evidence.playing == evidence.plan.video
    failures = "; ".join(evidence.watched.failures[:2])
    return Check("everybody has the picture at the end", everybody, f"{evidence.playing} {failures}".strip())


def deal(evidence: Evidence) -> list[Check]:
    """The sale's history by ``checker.py``, and all sold where enough wanted it."""
    history, final = evidence.history, evidence.history.final
    broken = check(history, stale_s=STALE_S)
    checks = [Check("the sale's history is right", not broken, "; ".join(f"{v.rule}: {v.detail}" for v in broken[:3]))]
    if final is not None and evidence.plan.regrets == 0:
        wanted = min(evidence.plan.units, sum(o.verb == "claim" for o in history.operations))
        sold = f"{final.sold} sold, {final.held} held, {final.left} left"
        checks.append(Check("what enough people wanted was sold", final.sold + final.held >= wanted, sold))
    return checks


def books(evidence: Evidence) -> list[Check]:
    """The journal has every order that was promised, once, and what was paid is paid."""
    promised = {o.order_id for o in evidence.history.operations if o.outcome == ACCEPTED and o.order_id}
    lost = promised - set(evidence.claimed)
    twice = [order for order, count in evidence.claimed.items() if count > 1]
    unpaid = [order for order in evidence.deeds.paid if evidence.states.get(order) != "paid"]
    final = evidence.history.final
    taken = sum(state in _TAKEN for state in evidence.states.values())
    told = 0 if final is None else final.held + final.sold
    return [
        Check("every yes is in the journal, once", not lost and not twice, f"{len(lost)} lost, {len(twice)} twice"),
        Check("what was paid is paid", not unpaid, f"{len(unpaid)} of {len(evidence.deeds.paid):,} are not"),
        Check("the journal and the deal agree", taken == told, f"{taken} taken by the journal, {told} by the deal"),
    ]
