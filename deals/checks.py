"""Checks of what callers say, before any of it reaches a key or a script."""

from __future__ import annotations

from deals import keys
from deals.errors import DealNotFound, Invalid
from deals.models import Buyer

#: entries in one answer of a list
MOST_ITEMS = 500


def check_deal(stream_id: str, deal_id: str) -> None:
    """Raise DealNotFound for what cannot be a deal."""
    if not (keys.is_id(stream_id) and keys.is_id(deal_id)):
        raise DealNotFound("There is no such deal here.")


def clean(buyer: Buyer) -> Buyer:
    """The buyer, fit to be written."""
    check_user(buyer.id)
    if buyer.name.isascii():
        return buyer
    # A name may hold half a surrogate pair (JSON allows it to be escaped); UTF-8 does not.
    name = buyer.name.encode("utf-8", "replace").decode()
    return buyer if name == buyer.name else Buyer(buyer.id, name)


def check_user(user_id: str) -> str:
    """The id, if it can be a user's."""
    if not (0 < len(user_id) <= 128 and user_id.isprintable()):
        raise Invalid("A user's id is 1 to 128 printable characters.")
    return user_id


def check_limit(limit: int) -> int:
    """The limit, if a list can have it."""
    if not 1 <= limit <= MOST_ITEMS:
        raise Invalid(f"limit is 1 to {MOST_ITEMS}.")
    return limit
