"""Judges the history of a sale: rules that scale to any length, and linearizability for short ones.

Each rule allows everything that some order of the real moments would explain, so what it names is certainly wrong:
a yes counts from when it came back, a release from when it was asked for.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from load_tests.history import ACCEPTED, DONE, UNKNOWN, History, Operation

#: the longest history whose orders of moments are all tried
MOST_TRIED = 40


class Violation(NamedTuple):
    """A rule that was broken, and by what."""

    rule: str
    detail: str


def check(history: History, *, stale_s: float = 0.0) -> list[Violation]:
    """Every violation. ``stale_s``: how old a sold-out answer may be (a worker's short cut), no more than 1 s."""
    return [
        *_oversold(history),
        *_one_order_a_key(history),
        *_limit(history),
        *_window(history),
        *_sold_out_too_soon(history, stale_s),
        *_final(history),
    ]


def _claims(history: History, outcome: str) -> list[Operation]:
    return [o for o in history.operations if o.verb == "claim" and o.outcome == outcome]


def _firsts(history: History) -> list[Operation]:
    """One operation an accepted order, from the first time its key was asked to the first time it was answered yes."""
    begun: dict[tuple[str, str], float] = {}
    for o in history.operations:
        if o.verb == "claim" and o.outcome in (ACCEPTED, UNKNOWN):
            begun[o.buyer, o.key] = min(o.invoked_s, begun.get((o.buyer, o.key), math.inf))
    first: dict[str | None, Operation] = {}
    for o in sorted(_claims(history, ACCEPTED), key=lambda o: o.returned_s):
        first.setdefault(o.order_id, o)
    return [_begun_at(o, begun[o.buyer, o.key]) for o in first.values()]


def _begun_at(o: Operation, invoked_s: float) -> Operation:
    return Operation(
        **{name: getattr(o, name) for name in o.__struct_fields__ if name != "invoked_s"}, invoked_s=invoked_s
    )


def _releases(history: History) -> list[Operation]:
    """Those that happened, or may have."""
    return [o for o in history.operations if o.verb == "release" and o.outcome in (DONE, UNKNOWN)]


def _most_at_once(taken: Iterable[Operation], released: Iterable[Operation]) -> int:
    """The least number of units that must have been out at the worst moment."""
    # At equal times the release first: it may have been.
    steps = sorted([(o.returned_s, 1, o.units) for o in taken] + [(o.invoked_s, 0, -o.units) for o in released])
    out = most = 0
    for _, _, units in steps:
        out += units
        most = max(most, out)
    return most


def _oversold(history: History) -> Iterator[Violation]:
    most = _most_at_once(_firsts(history), _releases(history))
    if most > history.stock:
        yield Violation("oversold", f"{most} units were out at once, of {history.stock}")


def _limit(history: History) -> Iterator[Violation]:
    taken, released = defaultdict[str, list[Operation]](list), defaultdict[str, list[Operation]](list)
    for o in _firsts(history):
        taken[o.buyer].append(o)
    for o in _releases(history):
        released[o.buyer].append(o)
    for buyer, operations in taken.items():
        most = _most_at_once(operations, released[buyer])
        if most > history.limit:
            yield Violation("limit", f"{buyer} had {most} units at once, {history.limit} allowed")


def _one_order_a_key(history: History) -> Iterator[Violation]:
    orders, of_key = (
        defaultdict[tuple[str, str], set[str | None]](set),
        defaultdict[str | None, set[tuple[str, str]]](set),
    )
    for o in _claims(history, ACCEPTED):
        orders[o.buyer, o.key].add(o.order_id)
        of_key[o.order_id].add((o.buyer, o.key))
    for key, ids in orders.items():
        if len(ids) > 1:
            yield Violation("one order a key", f"{key} has {len(ids)} orders: {sorted(map(str, ids))}")
    for order_id, keys in of_key.items():
        if len(keys) > 1:
            yield Violation("one order a key", f"order {order_id} answers {len(keys)} keys: {sorted(keys)}")


def _window(history: History) -> Iterator[Violation]:
    w = history.window
    for o in _firsts(history):
        if o.returned_s < w.open_invoked_s:
            yield Violation("window", f"{o.order_id} was accepted before the deal opened")
        if o.invoked_s > w.close_returned_s:
            yield Violation("window", f"{o.order_id} was accepted after the deal had closed")
    for o in history.operations:
        if o.outcome == "not_open" and o.invoked_s > w.open_returned_s:
            yield Violation("window", f"{o.buyer} was told not_open after the deal had opened")
        if o.outcome == "closed" and o.returned_s < w.close_invoked_s:
            yield Violation("window", f"{o.buyer} was told closed before the deal was closed")


def _sold_out_too_soon(history: History, stale_s: float) -> Iterator[Violation]:
    """A no that had ended before a later yes began, for no fewer units, and no release between to explain it."""
    later = sorted(_firsts(history), key=lambda o: o.invoked_s)
    begins = [o.invoked_s for o in later]
    # For each place the largest yes from there on would do; the first three are enough to name one.
    releases = _releases(history)
    for no in _claims(history, "sold_out"):
        for yes in later[bisect_right(begins, no.returned_s) :]:
            overlaps = any(r.invoked_s < yes.returned_s and r.returned_s > no.invoked_s - stale_s for r in releases)
            if overlaps:
                break  # and so does it for every later yes
            if yes.units >= no.units:
                yield Violation(
                    "sold out too soon", f"{no.buyer} was told sold_out, {yes.order_id} was accepted after that"
                )
                break


def _final(history: History) -> Iterator[Violation]:
    final = history.final
    if final is None:
        return
    if final.left + final.held + final.sold != history.stock or final.left < 0:
        counts = f"{final.left} left + {final.held} held + {final.sold} sold"
        yield Violation("conservation", f"{counts}, of {history.stock}")
    for o in _firsts(history):
        found = final.orders.get((o.buyer, o.key))
        if found != o.order_id:
            yield Violation("lost", f"{(o.buyer, o.key)} was answered {o.order_id}, and finds {found}")
    done = all(o.outcome != UNKNOWN for o in history.operations if o.verb == "release")
    if done:
        units = {(o.buyer, o.key): o.units for o in history.operations if o.verb == "claim"}
        # an order of a key that nobody asked with counts nothing here, and something there
        out = sum(units.get(key, 0) for key in final.orders) - sum(o.units for o in _releases(history))
        if out != final.held + final.sold:
            yield Violation("conservation", f"orders of {out} units, {final.held + final.sold} held or sold")


# linearizability (Wing and Gong 1993, with Lowe's memory of states already seen)


class _State(NamedTuple):
    left: int
    #: units of each buyer, and the units of each accepted key
    used: frozenset[tuple[str, int]]
    keys: frozenset[tuple[str, str, int]]


def linearizable(history: History) -> bool:
    """Whether some order of moments explains the whole history, the deal being open throughout."""
    operations = sorted(history.operations, key=lambda o: o.invoked_s)
    if len(operations) > MOST_TRIED:
        raise ValueError(f"a history of {len(operations)} operations has too many orders to try")
    every = (1 << len(operations)) - 1
    must = sum(1 << i for i, o in enumerate(operations) if o.outcome != UNKNOWN)
    stack = [(0, _State(history.stock, frozenset(), frozenset()))]
    seen = set(stack)
    while stack:
        done, state = stack.pop()
        if done & must == must:
            return True
        # What has not begun when another one has ended cannot come before it.
        end_s = min(o.returned_s for i, o in enumerate(operations) if not done >> i & 1)
        for i, o in enumerate(operations):
            if done >> i & 1 or o.invoked_s > end_s or (after := _step(state, o, history.limit)) is None:
                continue
            step = (done | 1 << i) & every, after
            if step not in seen:
                seen.add(step)
                stack.append(step)
    return False


def _step(state: _State, o: Operation, limit: int) -> _State | None:
    """The state after an operation that answered as this one did; None where it could not have."""
    used = dict(state.used)
    mine = used.get(o.buyer, 0)
    if o.verb == "release":
        if o.outcome not in (DONE, UNKNOWN):
            return state  # refused: it changed nothing
        if mine < o.units:
            return None
        used[o.buyer] = mine - o.units
        return _State(state.left + o.units, frozenset(used.items()), state.keys)
    known = (o.buyer, o.key, o.units) in state.keys
    allowed, there = mine + o.units <= limit, o.units <= state.left
    truth = ACCEPTED if known or (allowed and there) else "limit_reached" if not allowed else "sold_out"
    both = not known and not allowed and not there and o.outcome == "sold_out"
    if o.outcome not in (truth, UNKNOWN) and not both:
        return None
    if truth != ACCEPTED or known:
        return state
    used[o.buyer] = mine + o.units
    return _State(state.left - o.units, frozenset(used.items()), state.keys | {(o.buyer, o.key, o.units)})
