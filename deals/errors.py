"""Every refusal of the deals domain: one base, a stable ``code`` each, a sentence for people.

Whose fault it is stands in the comment of each group; what a code means on the wire is the application's business.
"""

from __future__ import annotations

from typing import ClassVar


class DealsError(Exception):
    """Base of all refusals; ``detail`` is a sentence for people, ``retry_after_ms`` says when asking again may help."""

    code: ClassVar[str] = "internal"

    def __init__(self, detail: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_ms = retry_after_ms


# the caller asked for something that is not there, or not theirs


class DealNotFound(DealsError):
    """No such deal in this stream."""

    code = "deal_not_found"


class OrderNotFound(DealsError):
    """No such order, or somebody else's."""

    code = "order_not_found"


class ProductNotFound(DealsError):
    """No such product in this stream's showcase."""

    code = "product_not_found"


class ItemNotFound(DealsError):
    """No such stock item in this stream."""

    code = "item_not_found"


class CodeNotFound(DealsError):
    """No such discount code in this stream, says who looks for it as its host."""

    code = "code_not_found"


# the caller asked wrongly


class Invalid(DealsError):
    """A value outside its documented bounds."""

    code = "invalid"


class KeyRequired(DealsError):
    """A claim without a usable idempotency key."""

    code = "key_required"


class KeyReused(DealsError):
    """The idempotency key was accepted for something else."""

    code = "key_reused"


class WebhookRefused(DealsError):
    """A webhook that the payment provider did not certainly send."""

    code = "webhook_refused"


class TicketRequired(DealsError):
    """A claim of a ticketed deal without a ticket."""

    code = "ticket_required"


class TicketInvalid(DealsError):
    """A ticket that is not this buyer's, not for this deal, or too old."""

    code = "ticket_invalid"


class CodeUnknown(DealsError):
    """A claim with a discount code that there is not."""

    code = "code_unknown"


class CodeNotApplicable(DealsError):
    """The discount code is for another deal, or for another currency."""

    code = "code_not_applicable"


# the deal or the order does not allow it now


class CodeUsedUp(DealsError):
    """The discount code was used as often as it may be."""

    code = "code_used_up"


class CodeLimitReached(DealsError):
    """This buyer used the discount code as often as one buyer may."""

    code = "code_limit_reached"


class SoldOut(DealsError):
    """Fewer units are left than were asked for."""

    code = "sold_out"


class NotOpen(DealsError):
    """The deal has not opened yet."""

    code = "not_open"


class Closed(DealsError):
    """The deal is over."""

    code = "closed"


class LimitReached(DealsError):
    """The buyer has as many units (or has placed as many orders) as one buyer may."""

    code = "limit_reached"


class IllegalState(DealsError):
    """The step is not in the state table; nothing was changed."""

    code = "illegal_state"


class StreamEnded(DealsError):
    """The stream is over: it takes no new deals."""

    code = "stream_ended"


class PaymentDeclined(DealsError):
    """The payment provider said no; the hold stays until its deadline."""

    code = "payment_declined"


class RateLimited(DealsError):
    """The deal's queue of claims on this worker is full, or its caller claims or cancels too often."""

    code = "rate_limited"


# our side


class OutcomeUnknown(DealsError):
    """The answer was lost and could not be had again in time: the same key (or order) finds the truth."""

    code = "outcome_unknown"


class Unavailable(DealsError):
    """Valkey or the payment provider cannot be reached; nothing was done by this call that it could confirm."""

    code = "unavailable"
