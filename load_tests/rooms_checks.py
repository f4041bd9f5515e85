"""What must be so of a room's histories, whoever watched and talked."""

from __future__ import annotations

from load_tests.report import Check
from load_tests.room_history import missing, wrong_stock
from load_tests.rooms_people import Deeds
from load_tests.rooms_tally import Tally


def histories(tally: Tally, deeds: Deeds) -> list[Check]:
    """Nothing lost, nothing doubled, the same for all, and every acknowledged message in it."""
    lost = missing(tally.ids, deeds.said)
    stock = list(wrong_stock(tally.stock))
    return [
        Check("somebody was told something", bool(tally.ids), f"{len(tally.ids):,} events"),
        Check("no event was lost", tally.lost == 0, f"{tally.lost}"),
        Check("no event came twice or out of order", tally.doubled == 0, f"{tally.doubled}"),
        Check("all viewers saw the same log", tally.forks == 0, f"{tally.forks} differ"),
        Check("every viewer has the newest event", tally.behind == 0, f"{tally.behind} behind"),
        Check("nobody was told of a hole", tally.announced == 0, f"{tally.announced}"),
        Check("every acknowledged message is in the log", lost == 0, f"{lost} of {len(deeds.said):,} missing"),
        Check("the stock in the log follows from what was taken", not stock, "; ".join(stock[:2]) or "every step"),
    ]


def answers(deeds: Deeds) -> list[Check]:
    """Every question has an answer, and none of them is the server's own fault."""
    internal = {what: n for what, n in {**deeds.refused, **deeds.again}.items() if what.endswith("internal")}
    open_ = deeds.begun - deeds.done
    return [
        Check("every command was answered", open_ == 0, f"{open_:,} of {deeds.begun:,} were not"),
        Check("nothing went wrong inside the server", not internal, ", ".join(internal)),
    ]


def presence(shown: int, counted: int, inside: int) -> list[Check]:
    """The number of viewers: as shown in the room, as the stream says, and as it is."""
    right = shown == counted == inside
    return [
        Check("the number of viewers is right", right, f"{shown:,} shown, {counted:,} by the stream, {inside:,} there")
    ]
