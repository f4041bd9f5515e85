"""What buyers asked and were told, in columns: hundreds of thousands of claims in little room, cheap to send on."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from load_tests.history import ACCEPTED, UNKNOWN, Operation

#: outcomes that are no answer: the claim may have happened
UNANSWERED = frozenset({"", "no answer", "outcome_unknown", "unavailable"})
#: how keys are written: by generator and row
_KEY = "{}-{:08d}"


class Claim(NamedTuple):
    """One row."""

    way: str
    buyer: int
    key: str
    #: when it was meant to be sent, was sent, and was answered, by the monotonic clock of this machine
    due_s: float
    sent_s: float
    ended_s: float
    #: ``accepted`` or the refusal's code; empty when no answer came
    outcome: str
    order_id: str | None


class Claims:
    """Claims of one generator in the order in which they fell due."""

    def __init__(self, generator: int = 0) -> None:
        self.generator = generator
        self.ways: list[str] = []
        self.buyers = array("l")
        #: the row whose key this one uses: its own, or that of the claim it repeats
        self.key_rows = array("l")
        self.due_s, self.sent_s, self.ended_s = array("d"), array("d"), array("d")
        self.outcomes: list[str] = []
        self.order_ids: list[str | None] = []

    def add(self, way: str, buyer: int, due_s: float, key_row: int | None = None) -> int:
        """A claim that is about to be sent; its row."""
        row = len(self.outcomes)
        self.ways.append(way)
        self.buyers.append(buyer)
        self.key_rows.append(row if key_row is None else key_row)
        self.due_s.append(due_s)
        self.sent_s.append(math.nan)
        self.ended_s.append(math.inf)
        self.outcomes.append("")
        self.order_ids.append(None)
        return row

    def __len__(self) -> int:
        return len(self.outcomes)

    def __iter__(self) -> Iterator[Claim]:
        for row in range(len(self)):
            yield self[row]

    def __getitem__(self, row: int) -> Claim:
        return Claim(
            self.ways[row],
            self.buyers[row],
            _KEY.format(self.generator, self.key_rows[row]),
            self.due_s[row],
            self.sent_s[row],
            self.ended_s[row],
            self.outcomes[row],
            self.order_ids[row],
        )


def operations(claims: Sequence[Claim], units: int = 1) -> list[Operation]:
    """As a history for ``checker.py``; what was never sent is left out."""
    return [
        Operation(
            client=claim.way,
            verb="claim",
            buyer=str(claim.buyer),
            key=claim.key,
            units=units,
            invoked_s=claim.sent_s,
            returned_s=math.inf if claim.outcome in UNANSWERED else claim.ended_s,
            outcome=UNKNOWN if claim.outcome in UNANSWERED else claim.outcome,
            order_id=claim.order_id if claim.outcome == ACCEPTED else None,
        )
        for claim in claims
        if not math.isnan(claim.sent_s)
    ]
