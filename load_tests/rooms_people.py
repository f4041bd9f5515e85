"""What the viewers of a crowd do beside watching: some talk, some buy. Every answer is written down."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from load_tests.arrivals import Pace
from load_tests.history import ACCEPTED, DONE, UNKNOWN, Operation
from load_tests.rooms_crowd import Crowd
from load_tests.rooms_hearing import spoken
from load_tests.rooms_viewer import Errand, Json, Viewer

#: of a message's text, about what people write
FILLER = "this lamp looks great on my desk " * 2
#: a temporary refusal without a time of its own is asked again after this
AGAIN_S = 0.3


@dataclass(frozen=True, slots=True)
class Purchase:
    """How a person buys: as which viewer, how long after the opening, and after how long a thought they pay."""

    viewer: int
    buyer: str
    key: str
    after_s: float
    think_s: float = 1.0
    #: gives the order back instead of paying it
    regrets: bool = False

    def seated(self, viewer: int) -> Purchase:
        """The same, as this viewer of a crowd."""
        return replace(self, viewer=viewer)


@dataclass
class Deeds:
    """What people did, as they were told that it went."""

    #: (offset, id) of every message that was acknowledged
    said: list[tuple[int, str]] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    #: orders that were answered ``paid``
    paid: list[str] = field(default_factory=list)
    #: commands begun (those still to be due, too) and those answered for good
    begun: int = 0
    done: int = 0
    #: purchases that are not over
    buying: int = 0
    #: refusals by command and code
    refused: Counter[str] = field(default_factory=Counter)
    #: temporary refusals by command and code: each was asked again
    again: Counter[str] = field(default_factory=Counter)

    def add(self, other: Deeds) -> None:
        """Add another process's."""
        self.said += other.said
        self.operations += other.operations
        self.paid += other.paid
        self.begun += other.begun
        self.done += other.done
        self.buying += other.buying
        self.refused.update(other.refused)
        self.again.update(other.again)


class People:
    """The talkers and buyers among a crowd's viewers."""

    def __init__(self, crowd: Crowd, name: str) -> None:
        self._crowd, self._name = crowd, name
        self.deeds = Deeds()
        self._open: dict[Errand, tuple[Purchase, str]] = {}
        self._talking = 0
        self._said = 0

    # talking

    def talk(self, pace: Pace, seconds: float, from_s: float, filler: str = FILLER) -> None:
        """Say things as random viewers, open loop: at an even pace, whatever the answers take."""
        self._talking += 1
        self._next(pace, 0, from_s, from_s + seconds, self._talking, filler)

    def hush(self) -> None:
        """Say no more."""
        self._talking += 1

    def _next(self, pace: Pace, number: int, from_s: float, end_s: float, talking: int, filler: str) -> None:
        due_s = from_s + pace.due_s(number)
        if due_s >= end_s:
            return

        def say() -> None:
            if talking == self._talking:
                self._say(due_s, filler)
                self._next(pace, number + 1, from_s, end_s, talking, filler)

        self._crowd.at(due_s, say)

    def _say(self, due_s: float, filler: str) -> None:
        self._said += 1
        self._crowd.meter.timed(spoken(self._crowd.hearing.delivery), due_s)
        # Told apart by their numbers: a duplicate filter must not meet them.
        text = f"t:{int(due_s * 1e9)} {self._name} {self._said} {filler}"
        fields = {"do": "chat.send", "text": text[:300], "key": f"{self._name}-{self._said}"}
        self.deeds.begun += 1
        self._crowd.ask(self._crowd.random.choice(self._crowd.viewers), Errand(fields, due_s, self._heard))

    def _heard(self, viewer: Viewer, errand: Errand, reply: Json) -> None:
        if self._over(viewer, errand, reply):
            self._crowd.meter.timed("chat.send", errand.due_s)
            if "ok" in reply:
                self.deeds.said.append((reply["ok"]["offset"], reply["ok"]["id"]))

    # buying

    def buy(self, deal_id: str, purchases: Sequence[Purchase], from_s: float) -> None:
        """Claim a unit each when it is due, and pay for it (or give it back) after a thought."""
        for purchase in purchases:
            fields = {"do": "deal.claim", "deal_id": deal_id, "units": 1, "key": purchase.key}
            viewer = self._crowd.viewers[purchase.viewer]
            self._later(viewer, fields, from_s + purchase.after_s, purchase, self._claimed)

    def _later(self, viewer: Viewer, fields: Json, due_s: float, purchase: Purchase, answered: Any) -> None:
        errand = Errand(fields, due_s, answered)
        self._open[errand] = purchase, fields.get("order_id", "")
        self.deeds.begun += 1
        self._crowd.at(due_s, self._crowd.ask, viewer, errand)

    def _claimed(self, viewer: Viewer, errand: Errand, reply: Json) -> None:
        if not self._over(viewer, errand, reply):
            return
        purchase, _ = self._open.pop(errand)
        self._crowd.meter.timed("deal.claim", errand.due_s)
        order_id = reply["ok"]["order"]["id"] if "ok" in reply else None
        outcome = ACCEPTED if "ok" in reply else reply["err"]["code"]
        self._crowd.meter.code("deal.claim", outcome)
        self._write("claim", purchase, errand, outcome, order_id)
        if order_id is None:
            return
        due_s = time.monotonic() + purchase.think_s
        if purchase.regrets:
            fields = {"do": "order.cancel", "order_id": order_id}
            self._later(viewer, fields, due_s, purchase, self._given_back)
        else:
            fields = {"do": "order.pay", "order_id": order_id, "payment_token": "pm_ok"}
            self._later(viewer, fields, due_s, purchase, self._paid)

    def _given_back(self, viewer: Viewer, errand: Errand, reply: Json) -> None:
        if self._over(viewer, errand, reply):
            purchase, order_id = self._open.pop(errand)
            # A cancellation that is asked again after a lost answer finds the order cancelled.
            outcome = DONE if "ok" in reply else UNKNOWN if errand.tries > 1 else reply["err"]["code"]
            self._write("release", purchase, errand, outcome, order_id)

    def _paid(self, viewer: Viewer, errand: Errand, reply: Json) -> None:
        if self._over(viewer, errand, reply):
            self._open.pop(errand)
            self._crowd.meter.timed("order.pay", errand.due_s)
            self._crowd.meter.code("order.pay", "paid" if "ok" in reply else reply["err"]["code"])
            if "ok" in reply and reply["ok"]["order"]["state"] == "paid":
                self.deeds.paid.append(reply["ok"]["order"]["id"])

    # both

    def _over(self, viewer: Viewer, errand: Errand, reply: Json) -> bool:
        """Whether this is the answer for good; a temporary refusal is asked again, with the same key."""
        refusal = reply.get("err")
        if refusal is not None and refusal["temporary"] and refusal["code"] != "duplicate":
            self.deeds.again[f"{errand.fields['do']}: {refusal['code']}"] += 1
            wait_s = refusal.get("retry_after_ms", AGAIN_S * 1000) / 1000
            self._crowd.at(time.monotonic() + wait_s, self._crowd.ask, viewer, errand)
            return False
        self.deeds.done += 1
        if refusal is not None:
            self.deeds.refused[f"{errand.fields['do']}: {refusal['code']}"] += 1
        return True

    def _write(self, verb: Any, purchase: Purchase, errand: Errand, outcome: str, order_id: str | None) -> None:
        self.deeds.operations.append(
            Operation(
                client=self._name,
                verb=verb,
                buyer=purchase.buyer,
                key=purchase.key if verb == "claim" else "",
                units=1,
                invoked_s=errand.due_s,
                returned_s=math.inf if outcome == UNKNOWN else time.monotonic(),
                outcome=outcome,
                order_id=order_id,
            )
        )

    def glance(self) -> Deeds:
        """How much was done so far."""
        return Deeds(begun=self.deeds.begun, done=self.deeds.done, buying=len(self._open))

    def result(self) -> Deeds:
        """What was done so far; a claim that has no answer yet is ``unknown``."""
        unknown = [
            (purchase, errand) for errand, (purchase, order_id) in self._open.items() if not order_id and errand.tries
        ]
        known = len(self.deeds.operations)
        for purchase, errand in unknown:
            self._write("claim", purchase, errand, UNKNOWN, None)
        whole, self.deeds.operations = self.deeds.operations, self.deeds.operations[:known]
        return Deeds(**{**self.deeds.__dict__, "operations": whole})
