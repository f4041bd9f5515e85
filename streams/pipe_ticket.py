"""What two workers agree on before one pulls a stream from the other: addresses, keys, codecs. Pure.

A ticket is made by the origin for one pipe and one incarnation of it: its keys are random and never used again, so that
no key and index ever meet two plaintexts. It is a secret and travels through Valkey.
"""

from __future__ import annotations

import msgspec

from streams.answer import Chosen
from streams.codecs import Codec
from streams.sdp import ORIENTATION, Format, Section

#: master key and salt of AES-128-GCM
KEY_BYTES = 28
#: id of the video orientation extension inside a pipe
ORIENTATION_ID = 1
#: payload types inside a pipe: one for each codec the origin has seen, in that order
FIRST_NUMBER, LAST_NUMBER = 96, 127
#: name of the RTCP APP packet (RFC 3550 §6.7) that tells the codecs of a pipe
APPLICATION = b"LCpi"


class Ticket(msgspec.Struct, frozen=True):
    """One pipe, as the origin offers it."""

    ufrag: str
    password: str
    addresses: tuple[str, ...]
    port: int
    #: from the origin to the puller, and back
    media_key: bytes
    feedback_key: bytes
    #: codecs by payload type, as in :func:`pack_codecs`
    codecs: bytes
    #: payload types of what is playing
    playing: tuple[int, ...] = ()

    def pack(self) -> bytes:
        """The ticket as bytes."""
        return msgspec.msgpack.encode(self)


def unpack(data: bytes) -> Ticket | None:
    """A ticket from its bytes, or None when they are none."""
    try:
        ticket = msgspec.msgpack.decode(data, type=Ticket)
    except msgspec.MsgspecError:
        return None
    whole = len(ticket.media_key) == len(ticket.feedback_key) == KEY_BYTES and 0 < ticket.port < 65536
    return ticket if whole and ticket.addresses else None


def pack_codecs(numbers: dict[Codec, tuple[int, int | None]]) -> bytes:
    """Codecs with their payload types, as an APP packet carries them (padded to whole words)."""
    data = msgspec.json.encode([[number, *codec] for codec, (number, _) in numbers.items()])
    return data + b" " * (-len(data) % 4)


def unpack_codecs(data: bytes) -> dict[int, Codec]:
    """The codecs by payload type; nothing of what cannot be read."""
    try:
        rows = msgspec.json.decode(data, type=list[tuple[int, str, str, int, str]])
    except msgspec.MsgspecError:
        return {}
    return {number: Codec(kind, name, rate, flavour) for number, kind, name, rate, flavour in rows}


def next_number(numbers: dict[Codec, tuple[int, int | None]], codec: Codec) -> None:
    """Give a codec its payload type, if it has none yet."""
    if codec not in numbers and FIRST_NUMBER + len(numbers) <= LAST_NUMBER:
        numbers[codec] = (FIRST_NUMBER + len(numbers), None)


def sections(codecs: dict[int, Codec]) -> dict[str, Chosen]:
    """What a session description would have agreed on, for an end that never saw one."""
    chosen = {}
    for kind in ("audio", "video"):
        formats = tuple(
            Format(number, codec, None, codec.name, "", frozenset(("nack", "nack pli")))
            for number, codec in codecs.items()
            if codec.kind == kind
        )
        section = Section(
            kind, "", "", kind, "sendonly", False, "actpass", "", "", (), formats, {ORIENTATION: ORIENTATION_ID},
            reduced_size=True,
        )  # fmt: skip
        chosen[kind] = Chosen(section, formats, {ORIENTATION: ORIENTATION_ID} if kind == "video" else {})
    return chosen
