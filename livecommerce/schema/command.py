"""What all commands have, and the types of their members."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

#: any integer a JSON number carries exactly
CommandId = Annotated[int, Meta(ge=0, le=2**53 - 1)]
#: an id given out by the server; bounded so that no key in Valkey grows with it
Id = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._~:-]+$")]
#: the ``sub`` of somebody's token
UserId = Annotated[str, Meta(min_length=1, max_length=128)]
#: an idempotency key: printable ASCII
Key = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[\x20-\x7e]+$")]
#: before cleaning; the rule of 1–300 characters applies after it (chat/models.py)
RawText = Annotated[str, Meta(max_length=2000)]
Seconds = Annotated[int, Meta(ge=1, le=366 * 86_400)]
PaymentToken = Annotated[str, Meta(min_length=1, max_length=256)]
ClaimTicket = Annotated[str, Meta(min_length=1, max_length=128)]


#: the small set of reactions
Reaction = Literal["heart", "fire", "clap", "laugh", "wow"]


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="do"):
    """What all commands have."""

    id: CommandId
