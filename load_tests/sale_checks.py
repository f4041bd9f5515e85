"""What must be so after a flash sale, and how fair it was; nothing here talks to a server."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from load_tests.checker import check
from load_tests.claims import UNANSWERED, Claim, operations
from load_tests.history import ACCEPTED, Final, History, Window
from load_tests.report import Report

#: how old a sold-out answer may be, by docs/deals.md
STALE_S = 1.0
#: answers that a sale gives
EXPECTED = frozenset({ACCEPTED, "sold_out", "limit_reached"})


@dataclass
class Sale:
    """Everything that was seen of one sale."""

    units: int
    limit: int
    window: Window
    #: those of the sale itself, in no order; those asked before it opened; those asked after it closed
    claims: list[Claim] = field(default_factory=list)
    early: list[Claim] = field(default_factory=list)
    late: list[Claim] = field(default_factory=list)
    #: (buyer, key) -> the order found when asked again, of every key accepted or not known
    found: Mapping[tuple[int, str], str | None] = field(default_factory=dict)
    deal: Mapping[str, Any] = field(default_factory=dict)
    #: how often the journal says that an order was claimed
    journal: Counter[str] = field(default_factory=Counter)
    lost_connections: int = 0
    #: whether the server is somebody else's, with limits of its own
    foreign: bool = False

    @property
    def accepted(self) -> list[Claim]:
        """The first answer of every accepted key."""
        first: dict[tuple[int, str], Claim] = {}
        for claim in self.claims:
            if claim.outcome == ACCEPTED:
                first.setdefault((claim.buyer, claim.key), claim)
        return list(first.values())

    @property
    def orders(self) -> set[str]:
        """Every order that there is: those told, and those found behind answers that never came."""
        return {c.order_id or "" for c in self.accepted} | {order for order in self.found.values() if order}

    @property
    def wanted(self) -> int:
        """Units that buyers certainly wanted and were allowed."""
        asked = Counter({buyer: 0 for buyer in {c.buyer for c in self.claims}})
        for claim in {(c.buyer, c.key): c for c in self.claims if c.outcome in EXPECTED}.values():
            asked[claim.buyer] += 1
        return sum(min(count, self.limit) for count in asked.values())


def judge(sale: Sale, report: Report) -> None:
    """Write every check."""
    _amounts(sale, report)
    _keys(sale, report)
    _window(sale, report)
    _books(sale, report)
    _answers(sale, report)
    _history(sale, report)


def _amounts(sale: Sale, report: Report) -> None:
    sold = len(sale.orders)
    report.check("no more orders than units", sold <= sale.units, f"{sold:,} of {sale.units:,}")
    text = f"{sale.wanted:,} wanted, {sale.units:,} there, {sold:,} sold"
    report.check("all was sold that was wanted", sold >= min(sale.units, sale.wanted), text)
    of_buyer = Counter(claim.buyer for claim in sale.accepted)
    most = max(of_buyer.values(), default=0)
    report.check("no buyer has more than the limit", most <= sale.limit, f"at most {most}, {sale.limit} allowed")


def _keys(sale: Sale, report: Report) -> None:
    orders: defaultdict[tuple[int, str], set[str | None]] = defaultdict(set)
    for claim in sale.claims:
        if claim.outcome == ACCEPTED:
            orders[claim.buyer, claim.key].add(claim.order_id)
    ids = [order for several in orders.values() for order in several]
    good = all(len(several) == 1 for several in orders.values()) and len(set(ids)) == len(ids)
    repeated = sum(claim.outcome == ACCEPTED for claim in sale.claims) - len(orders)
    report.check("one order for each key, one key for each order", good, f"{len(orders):,} keys, {repeated:,} repeats")
    told = {(claim.buyer, claim.key): claim.order_id for claim in sale.accepted}
    same = sum(sale.found.get(key) == order for key, order in told.items())
    detail = f"{same:,} of {len(told):,}"
    unknown = {(c.buyer, c.key) for c in sale.claims if c.outcome in UNANSWERED} - set(told)
    if unknown:
        detail += f"; of {len(unknown):,} without an answer, {sum(bool(sale.found.get(k)) for k in unknown):,} had one"
    report.check("every yes is found when its key is asked again", same == len(told), detail)


def _window(sale: Sale, report: Report) -> None:
    outside = [claim for claim in sale.early + sale.late if claim.outcome == ACCEPTED]
    seen = Counter(claim.outcome or "no answer" for claim in sale.early + sale.late)
    detail = ", ".join(f"{code} {count}" for code, count in seen.most_common())
    report.check("nothing was sold before the opening or after the end", bool(seen) and not outside, detail)


def _books(sale: Sale, report: Report) -> None:
    deal, sold = sale.deal, len(sale.orders)
    counts = f"left {deal['left']}, held {deal['held']}, sold {deal['sold']}"
    right = deal["left"] == sale.units - sold and deal["left"] + deal["held"] + deal["sold"] == sale.units
    report.check("the deal's counts add up", right, counts)
    wrong = sum((Counter(sale.orders) - sale.journal).values()) + sum((sale.journal - Counter(sale.orders)).values())
    detail = f"{sale.journal.total():,} claimed by the journal" + (f", {wrong:,} differ" if wrong else "")
    report.check("the journal has these orders and no other", wrong == 0, detail)


def _answers(sale: Sale, report: Report) -> None:
    expected = EXPECTED | ({"rate_limited"} if sale.foreign else set())
    others = Counter(c.outcome or "no answer" for c in sale.claims if c.outcome not in expected)
    detail = ", ".join(f"{code} {count:,}" for code, count in others.most_common())
    report.check("no other answer than yes, sold out, or over the limit", not others, detail)
    report.check("no connection was lost", sale.lost_connections == 0, f"{sale.lost_connections} lost")


def _history(sale: Sale, report: Report) -> None:
    orders = {(str(buyer), key): order for (buyer, key), order in sale.found.items() if order}
    final = Final(left=sale.deal["left"], held=sale.deal["held"], sold=sale.deal["sold"], orders=orders)
    every = operations(sale.early + sale.claims + sale.late)
    history = History(stock=sale.units, limit=sale.limit, operations=every, window=sale.window, final=final)
    violations = check(history, stale_s=STALE_S)
    rules = Counter(violation.rule for violation in violations)
    detail = f"{len(every):,} operations"
    if violations:
        named = ", ".join(f"{rule} ({count})" for rule, count in rules.most_common())
        detail = f"{named}; first: {violations[0].detail}"
    report.check("the history is one that a right server can have", not violations, detail)


@dataclass(frozen=True, slots=True)
class Fairness:
    """Who got something, by when they asked."""

    #: by tenth of the arrivals: how many claims there were, and how many of them got a unit
    deciles: Sequence[tuple[int, int]]
    #: of those served, the share that was among the first to ask (1: first come, first served)
    in_order: float


def fairness(claims: Sequence[Claim]) -> Fairness:
    """By each key's first claim; one over its buyer's limit could get nothing, whenever it came."""
    first: dict[tuple[int, str], Claim] = {}
    for claim in claims:
        if claim.outcome in (ACCEPTED, "sold_out") and (claim.buyer, claim.key) not in first:
            first[claim.buyer, claim.key] = claim
    got = [claim.outcome == ACCEPTED for claim in sorted(first.values(), key=lambda claim: claim.sent_s)]
    edges = [round(len(got) * tenth / 10) for tenth in range(11)]
    deciles = [(high - low, sum(got[low:high])) for low, high in pairwise(edges)]
    served = sum(got)
    return Fairness(deciles, sum(got[:served]) / served if served else 1.0)
