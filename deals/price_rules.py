"""What a host says of prices and stock: discount codes, stock items, shipping."""

from __future__ import annotations

import re

import msgspec

from deals import keys
from deals.errors import CodeNotFound, CodeUnknown, DealNotFound, Invalid, ItemNotFound
from deals.scripts import Scripts
from deals.store import Store, pairs_of
from deals.terms import BundleItem, BundlePart, Code, CodeSpec, Item, ItemSpec, Shipping

#: discount codes of one stream
MOST_CODES = 500
#: stock items of one stream
MOST_ITEMS = 200

_CODE = re.compile(r"[A-Za-z0-9-]{1,32}\Z")
_encode = msgspec.json.Encoder().encode
_read_spec = msgspec.json.Decoder(CodeSpec).decode


def spelled(code: str | None) -> str:
    """A claim's code as it is stored, "" for none; raises CodeUnknown for what cannot be one."""
    if not code:
        return ""
    if not _CODE.match(code):
        raise CodeUnknown("There is no such code here.")
    return code.upper()


class PriceRules:
    """The rules of all streams, as seen by one worker. Only who runs the stream may see its codes."""

    def __init__(self, store: Store, scripts: Scripts) -> None:
        self._store = store
        self._scripts = scripts

    async def put_code(self, stream_id: str, code: str, spec: CodeSpec) -> Code:
        """Make a code, or change its terms; raises Invalid, and DealNotFound for the deal it is for."""
        if not (keys.is_id(stream_id) and _CODE.match(code)):
            raise Invalid("A code is 1 to 32 letters from A to Z, digits or '-'.")
        text = code.upper()
        if spec.deal_id is not None:
            [exists] = await self._store.ask(("EXISTS", keys.deal(stream_id, spec.deal_id)))
            if not exists:
                raise DealNotFound("There is no such deal here.")
        record = b"%d %d %b %b" % (
            *(spec.total_limit or 0, spec.per_buyer_limit or 0),
            *((spec.deal_id or "*").encode(), _encode(spec)),
        )
        [used] = await self._scripts("put_code", keys.of_rules(stream_id), (text, record, MOST_CODES))
        return _code(text, spec, used)

    async def delete_code(self, stream_id: str, code: str) -> None:
        """Take a code away; orders keep what they have of it. Raises CodeNotFound."""
        if not (keys.is_id(stream_id) and _CODE.match(code)):
            raise CodeNotFound("There is no such code here.")
        await self._scripts("delete_code", keys.of_rules(stream_id), (code.upper(),))

    async def codes(self, stream_id: str) -> list[Code]:
        """All codes, by their letters."""
        rules = await self._rules(stream_id)
        found = {name[5:]: text for name, text in rules.items() if name.startswith("code:")}
        return [
            _code(code, _read_spec(text.split(b" ", 3)[3]), int(rules.get(f"used:{code}", b"0")))
            for code, text in sorted(found.items())
        ]

    async def put_item(self, stream_id: str, item_id: str, spec: ItemSpec) -> Item:
        """Make a stock item, or change it; raises IllegalState for a stock below what orders have."""
        if not (keys.is_id(stream_id) and keys.is_id(item_id)):
            raise Invalid("An item's id is 1 to 64 letters, digits, '-' or '_'.")
        args = (item_id, spec.stock, spec.title.encode("utf-8", "replace"), MOST_ITEMS)
        [left] = await self._scripts("put_item", keys.of_rules(stream_id), args)
        return Item(item_id, spec.title, spec.stock, left)

    async def delete_item(self, stream_id: str, item_id: str) -> None:
        """Take an item away; raises ItemNotFound, and IllegalState if a deal was ever made of it."""
        if not (keys.is_id(stream_id) and keys.is_id(item_id)):
            raise ItemNotFound("There is no such stock item here.")
        await self._scripts("delete_item", keys.of_rules(stream_id), (item_id,))

    async def items(self, stream_id: str) -> list[Item]:
        """All stock items, by their ids."""
        rules = await self._rules(stream_id)
        found = {name[5:]: text.decode().split(" ", 1) for name, text in rules.items() if name.startswith("item:")}
        return [
            Item(item_id, title, int(stock), int(rules[f"left:{item_id}"]))
            for item_id, (stock, title) in sorted(found.items())
        ]

    async def bundle(self, stream_id: str, parts: tuple[BundlePart, ...]) -> list[BundleItem]:
        """The parts with their items' titles; raises ItemNotFound."""
        if not parts:
            return []
        names = (f"item:{part.item_id}" for part in parts)
        [found] = await self._store.ask(("HMGET", keys.rules(stream_id), *names))
        if None in found:
            raise ItemNotFound("There is no such stock item here.")
        titles = [text.decode().split(" ", 1)[1] for text in found]
        return [BundleItem(p.item_id, title, p.units) for p, title in zip(parts, titles, strict=True)]

    async def put_shipping(self, stream_id: str, shipping: Shipping | None) -> None:
        """Say what shipping costs from now on."""
        if not keys.is_id(stream_id):
            raise Invalid("There is no such stream.")
        text = b"" if shipping is None else _encode(shipping)
        await self._scripts("put_shipping", keys.of_rules(stream_id), (text,))

    async def shipping(self, stream_id: str) -> Shipping | None:
        """What shipping costs, None when nothing was said."""
        if not keys.is_id(stream_id):
            return None
        [text] = await self._store.ask(("HGET", keys.rules(stream_id), "shipping"))
        return None if text is None else msgspec.json.decode(text, type=Shipping)

    async def _rules(self, stream_id: str) -> dict[str, bytes]:
        if not keys.is_id(stream_id):
            return {}
        [flat] = await self._store.ask(("HGETALL", keys.rules(stream_id)))
        return {name.decode(): value for name, value in pairs_of(flat)}


def _code(code: str, spec: CodeSpec, used: int) -> Code:
    terms = (spec.percent, spec.amount, spec.total_limit, spec.per_buyer_limit, spec.deal_id)
    return Code(code, *terms, used)
