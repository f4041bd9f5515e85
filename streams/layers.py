"""Which layer of a simulcast picture a viewer gets: the highest that its path carries. Pure; seconds are arguments.

    free ──worse──► limited ──better──► probe ──proven──► trial ──proven──► limited, or free where the limit is gone
                       ▲                  │                 │
                       └──────worse───────┴──────worse──────┘   what failed is tried again after twice the time

A **probe** sends old packets once more, for a moment, as many as the next layer would add: a path that does not carry
them shows it by loss or delay while the picture stays the smaller one. (Without it a path of 800 kbit/s had the larger
picture, broken, in 18 % of the time, and the waits that kept it from being more made a wide path wait for 36 s.)

Layers are numbered by **rank**: 0 is the smallest picture. What a viewer is limited to is a rank and not a layer, so
that a host whose top layer comes and goes (Chromium drops it when the upload or the processor is short) moves only
those who see it, and they return with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from streams.bandwidth import Verdict

#: layers a host may send
MAX_LAYERS = 3
#: bad reports in a row before a viewer steps down; one is enough where most is lost
BAD_REPORTS = 2
#: seconds after a step in which reports still tell of what was before
SETTLE_S = 1.5
#: the same after a step up, whose keyframe takes a moment: a queue that still fills then is stopped by one report
TRIED_S = 1.0
#: seconds a path has to be good before the next step up, and at most after failures: a path that has become wide is
#: to be used within 20 s, by two steps if need be
HOLD_S = 2.0
MAX_HOLD_S = 6.0
#: seconds in which a probe sends (no longer than a home router's queue takes it), after which it is judged (a report
#: from after it has come), and after a failure until that queue has emptied
PROBE_S = 0.5
#: of what the next layer needs a probe sends so much: in so short a time what just exceeds a path fills no queue that
#: anybody could see (a path of 290 kbit/s "carried" 305 three times of four), and sound and headers come on top
PROBE_SHARE = 1.25
PROBED_S = 1.5
PROBE_SETTLE_S = 2.5
#: seconds a step up has to last to count as proven
TRIAL_S = 3.0
#: share of what arrived that a layer may need when a viewer steps down to it: the rest empties the queue that is full
#: (with 0.9 a layer that just fitted kept 0.7 s of queue full until it lost packets, for 1.6 s without a frame)
HEADROOM = 0.7


class Layer(NamedTuple):
    """One layer as far as the choice needs it."""

    #: its place in the host's offer: no order at all
    slot: int
    #: width times height of its newest keyframe
    pixels: int
    bits_per_s: int
    #: packets arrive
    active: bool


def ranked(layers: Sequence[Layer]) -> list[Layer]:
    """Smallest first: by the size of the picture, then by bits a second; names and places tell nothing."""
    return sorted(layers, key=lambda each: (each.pixels, each.bits_per_s, each.slot))


def choose(order: Sequence[Layer], limit: int | None) -> Layer | None:
    """The highest layer that flows and is within the limit, else the lowest that flows; ``order`` as ranked."""
    flowing = [(rank, layer) for rank, layer in enumerate(order) if layer.active]
    if not flowing:
        return None
    within = [layer for rank, layer in flowing if limit is None or rank <= limit]
    return within[-1] if within else flowing[0][1]


def surplus(now: Layer, upper: Layer) -> int:
    """The bits a second that a probe adds to the layer that is sent, to see whether there is room for the next."""
    return max(0, round(PROBE_SHARE * upper.bits_per_s) - now.bits_per_s)


def fitting(order: Sequence[Layer], bits_per_s: int | None) -> int:
    """The highest rank whose bits fit into what arrives; the lowest where none does, or nothing is known."""
    if bits_per_s is None:
        return len(order) - 1
    fits = [rank for rank, layer in enumerate(order) if layer.active and layer.bits_per_s <= HEADROOM * bits_per_s]
    return max(fits, default=0)


class Phase(StrEnum):
    """How free a viewer is."""

    FREE = "free"
    LIMITED = "limited"
    #: it is sent more for a moment, to see whether its path carries that
    PROBE = "probe"
    TRIAL = "trial"


class Sign(StrEnum):
    """What the path's reports add up to."""

    WORSE = "worse"
    BETTER = "better"
    PROVEN = "proven"


class Step(StrEnum):
    """What to do."""

    DOWN = "down"
    UP = "up"
    #: send more for a moment
    PROBE = "probe"
    #: no step, and wait longer before the next probe
    WAIT = "wait"
    #: down, and wait longer before the next step up
    FALL_BACK = "fall back"
    KEEP = "keep"


_STEPS: dict[tuple[Phase, Sign], tuple[Phase, Step]] = {
    (Phase.FREE, Sign.WORSE): (Phase.LIMITED, Step.DOWN),
    (Phase.LIMITED, Sign.WORSE): (Phase.LIMITED, Step.DOWN),
    (Phase.LIMITED, Sign.BETTER): (Phase.PROBE, Step.PROBE),
    (Phase.PROBE, Sign.WORSE): (Phase.LIMITED, Step.WAIT),
    (Phase.PROBE, Sign.PROVEN): (Phase.TRIAL, Step.UP),
    (Phase.TRIAL, Sign.WORSE): (Phase.LIMITED, Step.FALL_BACK),
    (Phase.TRIAL, Sign.PROVEN): (Phase.LIMITED, Step.KEEP),
}


def step(phase: Phase, sign: Sign) -> tuple[Phase, Step]:
    """The next phase and what to do; what is not in the table changes nothing."""
    return _STEPS.get((phase, sign), (phase, Step.KEEP))


class LayerChoice:
    """One viewer's limit, moved by what its reports say."""

    __slots__ = ("_bad", "_good_since_s", "_settled_s", "_stepped_s", "hold_s", "limit", "phase")

    def __init__(self) -> None:
        self.phase = Phase.FREE
        #: the highest rank it may get; None is no limit
        self.limit: int | None = None
        #: seconds the path has to be good before the next step up
        self.hold_s = HOLD_S
        self._bad = 0
        self._good_since_s: float | None = None
        self._settled_s = self._stepped_s = 0.0

    def judge(self, verdict: Verdict, now_s: float, *, rank: int, top: int, fits: int) -> bool:
        """Note a verdict on a viewer that gets ``rank`` of ``top``; whether its limit has changed.

        ``fits`` is the highest rank that what arrives has room for (:func:`fitting`).
        """
        if now_s < self._settled_s:
            return False
        sign = self._sign(verdict, now_s)
        if sign is None or (sign is Sign.WORSE and rank == 0 and self.phase is not Phase.PROBE):
            return False
        self.phase, what = step(self.phase, sign)
        if what is Step.KEEP:
            if sign is Sign.PROVEN:
                self._proven(top)
            return False
        self._bad, self._stepped_s = 0, now_s
        if what is Step.PROBE:
            return False
        self._good_since_s = None
        self._settled_s = now_s + {Step.WAIT: PROBE_SETTLE_S, Step.UP: TRIED_S}.get(what, SETTLE_S)
        if what in (Step.FALL_BACK, Step.WAIT):
            self.hold_s = min(MAX_HOLD_S, 2 * self.hold_s)
        elif what is Step.DOWN:
            self.hold_s = HOLD_S
        if what is Step.WAIT:
            return False
        self.limit = self._limit(what, rank, top, fits)
        return True

    def _sign(self, verdict: Verdict, now_s: float) -> Sign | None:
        if verdict in (Verdict.BAD, Verdict.WORST):
            self._good_since_s = None
            # In a probe and on trial one is enough: nothing is lost by waiting, but the picture by going on.
            tried = self.phase in (Phase.PROBE, Phase.TRIAL)
            self._bad += BAD_REPORTS if verdict is Verdict.WORST or tried else 1
            return Sign.WORSE if self._bad >= BAD_REPORTS else None
        self._bad = 0
        lasts_s = {Phase.TRIAL: TRIAL_S, Phase.PROBE: PROBED_S}.get(self.phase)
        if lasts_s is not None and now_s - self._stepped_s >= lasts_s:
            # What is doubtful after a probe is no path for more.
            return Sign.WORSE if self.phase is Phase.PROBE and verdict is not Verdict.GOOD else Sign.PROVEN
        if verdict is Verdict.UNSURE:
            self._good_since_s = None
            return None
        if self._good_since_s is None:
            self._good_since_s = now_s
        return Sign.BETTER if self.phase is Phase.LIMITED and now_s - self._good_since_s >= self.hold_s else None

    def _limit(self, what: Step, rank: int, top: int, fits: int) -> int:
        """The limit after a step."""
        if what is Step.UP:
            return min(top, (self.limit if self.limit is not None else top) + 1)
        return max(0, min(rank - 1, fits))

    def _proven(self, top: int) -> None:
        """A step up has lasted: what failed before is past, and at the top there is no limit any more."""
        self.hold_s = HOLD_S
        if self.limit is not None and self.limit >= top:
            self.phase, self.limit = Phase.FREE, None
