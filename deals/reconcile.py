"""Recompute every deal from the journal, and say where the books differ.

The journal and the books (a deal's counters, its ledger, holds and keys) are written by the same scripts, so any
difference is a script that died in its middle, a lost write, or somebody's hand in the store. Safe while a deal sells:
its books are read in one transaction that also says how far the journal was (reading a deal of 100,000 orders so holds
Valkey up for about a tenth of a second).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deals import keys
from deals.models import ORDER_STEPS, JournalEntry, Order, OrderState
from deals.store import Store, pairs_of, read_order

#: entries read in one page
PAGE = 500
_END = (2**64, 0)
#: states in which units are reserved, and those in which they count for the buyer's limit
_HELD = (OrderState.HELD, OrderState.PAYING)
_COUNTED = (*_HELD, OrderState.PAID)
_FIRST = ("claimed", "offered")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the journal says."""

    stream_id: str
    deal_id: str
    what: str
    by_journal: str
    found: str


@dataclass(slots=True)
class Books:
    """What the journal of one stream amounts to."""

    orders: dict[str, dict[str, Order]] = field(default_factory=lambda: defaultdict(dict))
    #: by deal, refs of orders that were claimed: each has a key, which offers have not
    claimed: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[tuple[str, str, str]] = field(default_factory=list)
    last: str | None = None

    def read(self, entries: Iterable[JournalEntry]) -> None:
        """Take entries in, in their order."""
        for entry in entries:
            orders, order, self.last = self.orders[entry.order.deal_id], entry.order, entry.id
            old = orders.get(order.id)
            if (old is None) != (entry.what in _FIRST):
                self.wrong.append((order.deal_id, f"order {order.id}", f"{entry.what} {'again' if old else 'first'}"))
            elif old is not None and order.state not in _reachable(old.state):
                self.wrong.append((order.deal_id, f"order {order.id}", f"{old.state} → {order.state}"))
            if old is None and entry.what == "claimed":
                self.claimed[order.deal_id].append(order.id.rsplit(".", 1)[1])
            orders[order.id] = order

    def units(self, deal_id: str, *states: OrderState) -> int:
        """Units of a deal's orders in these states."""
        return sum(order.units for order in self.orders[deal_id].values() if order.state in states)


def _reachable(state: OrderState) -> set[OrderState]:
    """What may follow a state in the journal: one step (an order rescued late is journalled once it is paid)."""
    return {*ORDER_STEPS[state].values()} | ({OrderState.PAID} if state is OrderState.HELD else set())


async def streams(store: Store) -> list[str]:
    """Every stream with deals."""
    found: set[str] = set()
    cursor = b"0"
    while True:
        [(cursor, names)] = await store.ask(("SCAN", cursor, "MATCH", "lc:{*}:deals", "COUNT", 1000))
        found.update(name.decode()[4:-7] for name in names)
        if int(cursor) == 0:
            return sorted(found)


async def reconcile(store: Store, stream_id: str) -> tuple[int, list[Difference]]:
    """How many orders were looked at, and every difference."""
    books, differences = Books(), list[Difference]()
    await _catch_up(store, stream_id, books, _END)
    [ids] = await store.ask(("ZRANGE", keys.deals(stream_id), 0, -1))
    for deal_id in sorted({i.decode() for i in ids} | set(books.orders)):
        differences += await _compare(store, stream_id, deal_id, books)
    differences += await _compare_rules(store, stream_id, books)
    differences += [Difference(stream_id, d, what, "a legal step", found) for d, what, found in books.wrong]
    return sum(map(len, books.orders.values())), differences


async def _catch_up(store: Store, stream_id: str, books: Books, upto: tuple[int, ...]) -> None:
    while entries := await store.journal(stream_id, books.last, PAGE):
        known = [entry for entry in entries if _place(entry.id) <= upto]
        books.read(known)
        if len(known) < len(entries):
            return


def _place(entry_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in entry_id.partition(":")[0].split("-"))


def _newest(entries: list[tuple[bytes, object]]) -> tuple[int, ...]:
    # A journal that was empty at that moment: what has come since does not count.
    return _place(entries[0][0].decode()) if entries else (0, 0)


async def _compare(store: Store, stream_id: str, deal_id: str, books: Books) -> list[Difference]:
    one = keys.deal(stream_id, deal_id)
    # All of one moment, and where the journal stood then.
    counts, flat, accepted, holds, paid, newest = await store.ask(
        ("HMGET", one, "stock", "left", "held", "sold", "revenue"),
        ("HGETALL", keys.ledger(stream_id, deal_id)),
        ("HGETALL", keys.claims(stream_id, deal_id)),
        ("ZRANGE", f"{one}:holds", 0, -1),
        ("ZRANGE", f"{one}:paid", 0, -1),
        ("XREVRANGE", keys.journal(stream_id), "+", "-", "COUNT", 1),
        at_once=True,
    )
    await _catch_up(store, stream_id, books, _newest(newest))
    orders = books.orders[deal_id]
    stock, left, held, sold, revenue = (int(n or 0) for n in counts)
    fields = {name.decode(): value.decode() for name, value in pairs_of(flat)}
    refs = {o.id.rsplit(".", 1)[1]: o for o in orders.values()}
    in_ledger = {name[2:]: read_order(text.encode()) for name, text in fields.items() if name.startswith("o:")}
    checks: list[tuple[str, object, object]] = [
        ("units held", books.units(deal_id, *_HELD), held),
        ("units sold", books.units(deal_id, OrderState.PAID), sold),
        ("units left", stock - held - sold, left),
        ("revenue", sum(o.total.amount for o in orders.values() if o.state is OrderState.PAID), revenue),
        ("refs on hold", {r for r, o in refs.items() if o.state in _HELD}, {h.decode() for h in holds}),
        ("refs paid", {r for r, o in refs.items() if o.state is OrderState.PAID}, {p.decode() for p in paid}),
        ("orders in the ledger", set(refs), set(in_ledger)),
        *((f"order {o.id}", o, in_ledger[r]) for r, o in refs.items() if r in in_ledger),
        *_of_buyers(orders.values(), fields),
        *_of_keys(pairs_of(accepted), refs, books.claimed[deal_id]),
    ]
    return [
        Difference(stream_id, deal_id, what, _short(expected, found), _short(found, expected))
        for what, expected, found in checks
        if expected != found
    ]


async def _compare_rules(store: Store, stream_id: str, books: Books) -> list[Difference]:
    """Stock items and uses of codes, which all deals of a stream share."""
    flat, by_buyer, newest = await store.ask(
        ("HGETALL", keys.rules(stream_id)),
        ("HGETALL", keys.uses(stream_id)),
        ("XREVRANGE", keys.journal(stream_id), "+", "-", "COUNT", 1),
        at_once=True,
    )
    await _catch_up(store, stream_id, books, _newest(newest))
    rules = {name.decode(): value.decode() for name, value in pairs_of(flat)}
    taken, uses = Counter[str](), Counter[str]()
    for deal_id in list(books.orders):
        [bundle] = await store.ask(("HGET", keys.deal(stream_id, deal_id), "bundle"))
        parts = (bundle or b"").decode().split()
        for item, units in zip(parts[::2], map(int, parts[1::2]), strict=True):
            taken[item] += units * books.units(deal_id, *_COUNTED)
        coded = (o for o in books.orders[deal_id].values() if o.code is not None and o.state in _COUNTED)
        uses.update(name for o in coded for name in (f"used:{o.code}", f"{o.code} {o.buyer.id}"))
    found = {name: int(value) for name, value in rules.items() if name.startswith("used:")}
    found |= {name.decode(): int(value) for name, value in pairs_of(by_buyer)}
    checks = [(f"uses {name!r}", uses[name], found.get(name, 0)) for name in sorted({*uses, *found})]
    for name in sorted({*taken, *(n[5:] for n in rules if n.startswith("item:"))}):
        stock, was_taken = rules.get(f"item:{name}", "0").split(" ")[0], int(rules.get(f"taken:{name}", "0"))
        checks.append((f"units taken of item {name!r}", taken[name], was_taken))
        checks.append((f"units left of item {name!r}", int(stock) - was_taken, int(rules.get(f"left:{name}", "0"))))
    return [Difference(stream_id, "-", what, str(a), str(b)) for what, a, b in checks if a != b]


def _of_keys(
    accepted: Iterable[tuple[bytes, bytes]], refs: Mapping[str, Order], claimed: Iterable[str]
) -> list[tuple[str, object, object]]:
    checks, with_key = list[tuple[str, object, object]](), list[str]()
    for key, mark in accepted:
        ref, units, *code = mark.decode().split(" ")
        known = refs.get(ref)
        expected = known and (known.buyer.id, known.units, known.code or "")
        checks.append((f"key {key.decode()!r}", expected, (key.decode().split("\n")[0], int(units), "".join(code))))
        with_key.append(ref)
    # Without its key an order would be placed once more for who asks again; with two it is the answer to both.
    return [*checks, ("orders with a key", sorted(claimed), sorted(with_key))]


def _of_buyers(orders: Iterable[Order], fields: Mapping[str, str]) -> list[tuple[str, object, object]]:
    units: dict[str, int] = defaultdict(int)
    for order in orders:
        units[order.buyer.id] += order.units if order.state in _COUNTED else 0
    found = {name[2:]: int(value.split(" ", 1)[0]) for name, value in fields.items() if name.startswith("b:")}
    return [(f"units of buyer {user!r}", units.get(user, 0), found.get(user, 0)) for user in {*units, *found}]


def _short(value: object, other: object) -> str:
    """A value for people; of many only what the other lacks."""
    if isinstance(value, set | list) and isinstance(other, set | list):
        only = sorted(Counter(value) - Counter(other))
        return f"{len(value)}, among them {', '.join(only[:5])}" if only else str(len(value))
    return str(value)
