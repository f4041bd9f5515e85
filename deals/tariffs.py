"""By which rules a worker prices claims: read once, kept as long as the claim script says that they are in force.

Prices are made here (``pricing.py``), not in Lua. A claim is sent with the *stamp* of the rules it was priced by (those
of its deal and the stream's shipping) and with its code's text; the script does nothing when others are in force, and
the claims are priced again. A stream without rules has the stamp :data:`PLAIN`, which is never read: its claims cost
nothing more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
from redis.exceptions import RedisError

from deals import keys
from deals.models import Money
from deals.pricing import DealRules, Price, Tariff, applies, price_of
from deals.scripts import Scripts, unavailable
from deals.terms import CodeSpec, Shipping

#: the stamp where no rule was ever made
PLAIN = "0"
#: deals whose rules a worker remembers
MOST_TARIFFS = 1000
#: codes remembered of each
MOST_CODES = 500

_encode = msgspec.json.Encoder().encode


class _Frozen(msgspec.Struct, frozen=True):
    title: str
    unit_price: Money


_read_frozen = msgspec.json.Decoder(_Frozen).decode
_read_rules = msgspec.json.Decoder(DealRules).decode
_read_shipping = msgspec.json.Decoder(Shipping).decode
_read_code = msgspec.json.Decoder(CodeSpec).decode


class Stamped(msgspec.Struct, frozen=True):
    """A tariff, the stamp it goes by, and the codes read with it; of what is None nothing is known, nor needed."""

    stamp: str = PLAIN
    tariff: Tariff | None = None
    #: as RULES has them
    codes: Mapping[str, bytes] = {}

    @property
    def plain(self) -> bool:
        """Whether an order without a code costs units × price."""
        tariff = self.tariff
        return tariff is None or (tariff.rules == DealRules() and tariff.shipping is None)

    def price(self, units: int, code: str) -> Price | None:
        """What an order costs; None when there is no such code, or it cannot be used in this currency."""
        assert self.tariff is not None
        if not code:
            return price_of(self.tariff, units)
        text = self.codes.get(code)
        spec = None if text is None else _read_code(text.split(b" ", 3)[3])
        return None if spec is None or not applies(spec, self.tariff) else price_of(self.tariff, units, spec, code)

    def records(self, codes: Iterable[str]) -> list[str]:
        """What claim.lua takes to see that these codes have not changed since."""
        return [part for code in codes for part in (code, self.codes.get(code, b"").decode())]


def price_members(price: Price | None) -> str:
    """What the scripts take for a price."""
    return "" if price is None else _encode(price)[1:-1].decode()


class Tariffs:
    """One worker's."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._known: dict[tuple[str, str], Stamped] = {}

    def known(self, stream_id: str, deal_id: str) -> Stamped:
        """What is in force, as far as this worker knows."""
        return self._known.get((stream_id, deal_id), _UNREAD)

    async def read(self, stream_id: str, deal_id: str, codes: Collection[str] = ()) -> Stamped:
        """What is in force now, with these codes; raises refusals and, untranslated, redis-py's errors."""
        old = self.known(stream_id, deal_id)
        wanted = [*dict.fromkeys((*codes, *old.codes))][:MOST_CODES]
        stamp, frozen, terms, shipping, *found = await self._scripts.raw(
            "tariff", keys.of_deal(stream_id, deal_id), wanted
        )
        known = self._known[stream_id, deal_id] = _stamped(stamp, frozen, terms, shipping, wanted, found)
        while len(self._known) > MOST_TARIFFS:
            del self._known[next(iter(self._known))]
        return known

    async def price(self, stream_id: str, deal_id: str, units: int) -> str:
        """The price of an order to come without a code, '' where it is units × price; raises DealsError only."""
        try:
            now = await self.read(stream_id, deal_id)
        except (RedisError, OSError) as error:
            raise unavailable() from error
        return "" if now.plain else price_members(now.price(units, ""))


_UNREAD = Stamped()


def _stamped(
    stamp: bytes, frozen: bytes, terms: bytes, shipping: bytes, codes: Sequence[str], found: Sequence[bytes]
) -> Stamped:
    deal = _read_frozen(b"{%b}" % frozen)
    tariff = Tariff(
        deal.title,
        deal.unit_price,
        _read_rules(b"{%b}" % terms),
        _read_shipping(shipping) if shipping else None,
    )
    return Stamped(stamp.decode(), tariff, {code: text for code, text in zip(codes, found, strict=True) if text})
