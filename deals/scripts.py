"""Loading the Lua scripts, and the one place where their integers become types.

A deal's script is: the generated tables (state tables of ``models.py``, refusal codes), the files of :data:`_SHARED`,
then ``lua/<verb>.lua``; the application puts its emit prelude before all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Protocol

from redis.exceptions import RedisError

from deals.errors import (
    Closed,
    CodeLimitReached,
    CodeNotApplicable,
    CodeNotFound,
    CodeUnknown,
    CodeUsedUp,
    DealNotFound,
    DealsError,
    IllegalState,
    Invalid,
    ItemNotFound,
    KeyReused,
    LimitReached,
    NotOpen,
    OrderNotFound,
    ProductNotFound,
    SoldOut,
    StreamEnded,
    Unavailable,
)
from deals.models import DEAL_STEPS, ORDER_STEPS

#: what an integer from a script means
REFUSALS: Mapping[int, type[DealsError]] = {
    -1: DealNotFound,
    -2: OrderNotFound,
    -3: ProductNotFound,
    -4: IllegalState,
    -5: Invalid,
    -6: StreamEnded,
    -7: KeyReused,
    -8: NotOpen,
    -9: Closed,
    -10: LimitReached,
    -11: SoldOut,
    -12: ItemNotFound,
    -13: CodeNotFound,
    -14: CodeUnknown,
    -15: CodeNotApplicable,
    -16: CodeUsedUp,
    -17: CodeLimitReached,
}

#: sentences for the refusals of a batch, which come as bare integers
CLAIM_SENTENCES: Mapping[type[DealsError], str] = {
    KeyReused: "This idempotency key was used for another number of units, or with another code.",
    NotOpen: "The deal has not opened yet.",
    Closed: "The deal is over.",
    LimitReached: "You have as many of these as one buyer may.",
    SoldOut: "Not enough units are left.",
    CodeUnknown: "There is no such code here.",
    CodeNotApplicable: "This code is not for this deal.",
    CodeUsedUp: "This code was used as often as it may be.",
    CodeLimitReached: "You have used this code as often as one buyer may.",
}


#: a plain command of Valkey
Command = tuple[str | bytes | int, ...]


class RunScript(Protocol):
    """Runs a script's text atomically, with the emit prelude put before it."""

    async def __call__(
        self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int], before: Sequence[Command] = ()
    ) -> Any:
        """Return what the script returned; raises redis-py's errors.

        ``before`` goes ahead over the same connection, in the same write: the script never runs where these did not
        arrive. If Valkey refuses one of them, and not the script, that is a ``ConnectionError``: unknown to the caller.
        """


def _table(name: str, steps: Mapping[Any, Mapping[Any, Any]]) -> str:
    rows = ",".join(
        f"{state.value}={{{','.join(f'{wanted.value}=' + repr(to.value) for wanted, to in row.items())}}}"
        for state, row in steps.items()
    )
    return f"local {name}={{{rows}}}\n"


def tables(*, of_orders: bool = True) -> str:
    """The generated Lua: the state tables and the refusal codes."""
    codes = ",".join(f"{kind.code}={number}" for number, kind in REFUSALS.items())
    orders = _table("ORDER_STEP", ORDER_STEPS) if of_orders else ""
    return _table("DEAL_STEP", DEAL_STEPS) + orders + f"local REFUSED={{{codes}}}\n"


def _text(name: str) -> str:
    return resources.files("deals").joinpath(f"lua/{name}.lua").read_text("utf-8")


#: scripts that touch no deal, the first two with prices.lua before them
_PRODUCT = ("put_product", "remove_product")
_OTHERS = (
    *("pin_product", "order_products", "forget_stream"),
    *("put_code", "delete_code", "put_item", "delete_item", "put_shipping"),
)
#: what the scripts of a deal share, in this order
_SHARED = ("of_deal", "bundle", "prices", "deal", "timeline", "codes", "order", "queue", "waiting")
#: what claims need; each function and table of a script is made anew by each call, 0.2 µs each
_CLAIMING = ("of_deal", "bundle", "prices", "deal", "timeline", "codes", "claiming")
_OF_A_DEAL = (
    *("create", "open", "close", "cancel", "extend", "stream_ended", "tick"),
    *("pay_begin", "pay_decline", "pay_confirm", "cancel_order", "refund", "refunded", "settled"),
    *("waitlist_join", "waitlist_leave"),
)


def _load() -> dict[str, str]:
    shared = tables() + "".join(map(_text, _SHARED))
    claiming = tables(of_orders=False) + "".join(map(_text, _CLAIMING))
    return {
        **{verb: tables() + _text("prices") + _text(verb) for verb in _PRODUCT},
        **{verb: tables() + _text(verb) for verb in _OTHERS},
        **{verb: shared + _text(verb) for verb in _OF_A_DEAL},
        **{verb: claiming + _text(verb) for verb in ("claim", "tariff")},
    }


#: verb -> the script's whole text but for the emit prelude
SOURCES: Mapping[str, str] = _load()


def refusal(answer: Sequence[Any]) -> DealsError:
    """The error that a script's ``{code, why[, retry_after_ms]}`` stands for."""
    kind = REFUSALS[int(answer[0])]
    return kind(bytes(answer[1]).decode(), retry_after_ms=int(answer[2]) if len(answer) > 2 else None)


class Scripts:
    """Runs the verbs: refusals raise, driver errors become :class:`Unavailable`."""

    def __init__(self, run: RunScript) -> None:
        self._run = run

    async def raw(
        self, verb: str, keys: Sequence[str], args: Sequence[str | bytes | int], before: Sequence[Command] = ()
    ) -> list[Any]:
        """Run a verb; returns what follows the leading 0; raises refusals and, untranslated, redis-py's errors."""
        answer = await self._run(SOURCES[verb], keys, args, before)
        if answer[0] != 0:
            raise refusal(answer)
        return list(answer[1:])

    async def __call__(self, verb: str, keys: Sequence[str], args: Sequence[str | bytes | int] = ()) -> list[Any]:
        """Run a verb; returns what follows the leading 0; raises :class:`DealsError` only."""
        try:
            return await self.raw(verb, keys, args)
        except (RedisError, OSError) as error:
            raise unavailable() from error


def unavailable() -> Unavailable:
    """What a caller is told when Valkey cannot be reached."""
    return Unavailable("The store cannot be reached; look again before you repeat it.", retry_after_ms=1000)
