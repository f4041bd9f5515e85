"""Frames as a real reader of the protocol sees them."""

from __future__ import annotations

import json

import msgspec
import pytest

from livecommerce.frames import EVENT_STREAM, JSON, MSGPACK, Batch, Codec, Item, Undecodable, websocket_frame


def item(offset: int, text: str = "x") -> Item:
    event = {"offset": offset, "type": "chat.message", "at_ms": 1, "data": {"text": text}}
    return Item(json.dumps(event).encode(), offset, "17")


def payload(frame: bytes) -> bytes:
    """Read one unmasked frame by RFC 6455 §5.2; there must be nothing behind it."""
    length, at = frame[1], 2
    assert not length & 0x80, "a server does not mask"
    if length == 126:
        length, at = int.from_bytes(frame[2:4], "big"), 4
    elif length == 127:
        length, at = int.from_bytes(frame[2:10], "big"), 10
    assert len(frame) == at + length
    return frame[at:]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 100_000])
def test_every_length_is_framed(size: int) -> None:
    frame = websocket_frame(0x81, b"x" * size)
    assert frame[0] == 0x81
    assert payload(frame) == b"x" * size
    shortest = 2 if size < 126 else 4 if size < 65536 else 10
    assert len(frame) == shortest + size


@pytest.mark.parametrize("count", [1, 2, 15, 16, 70_00])
def test_both_codecs_carry_the_same_events(count: int) -> None:
    items = [item(n, "é🎉") for n in range(1, count + 1)]
    text, binary = (c.frame([c.body(i) for i in items]) for c in (JSON, MSGPACK))
    assert (text[0], binary[0]) == (0x81, 0x82)
    decoded = json.loads(payload(text))
    assert decoded == msgspec.msgpack.decode(payload(binary))
    assert decoded == (json.loads(items[0].json) if count == 1 else [json.loads(i.json) for i in items])


def test_an_event_stream_numbers_only_numbered_events() -> None:
    chunk = EVENT_STREAM.frame([EVENT_STREAM.body(item(5)), EVENT_STREAM.body(Item(b'{"type":"viewers"}'))])
    size, _, rest = chunk.partition(b"\r\n")
    assert rest == rest[: int(size, 16)] + b"\r\n"
    first, second = rest.decode().strip().split("\n\n")
    assert first.startswith("id: 17:5\ndata: {")
    assert second == 'data: {"type":"viewers"}'


@pytest.mark.parametrize("codec", [JSON, MSGPACK, EVENT_STREAM])
@pytest.mark.parametrize("message", [b"\xc1", b"\xff\xff", "{", "", b"", "\x00", b"\x91" * 20_000, "[" * 20_000])
def test_what_cannot_be_read_is_undecodable(codec: Codec, message: str | bytes) -> None:
    with pytest.raises(Undecodable):
        codec.decode(message)


def test_a_batch_builds_one_frame_a_codec() -> None:
    batch = Batch([item(1), item(2)], [Item(b'{"type":"viewers"}')])
    assert batch.frame(JSON) is batch.frame(JSON)
    assert batch.frame(JSON, with_latest=False) is not batch.frame(JSON)
    assert len(json.loads(payload(batch.frame(JSON)))) == 3
    assert len(json.loads(payload(batch.frame(JSON, with_latest=False)))) == 2


def test_who_joined_while_a_batch_waited_gets_the_rest_of_it() -> None:
    batch = Batch([item(1), item(2), item(3)], [])
    assert [e["offset"] for e in json.loads(payload(batch.rest(JSON, 1, with_latest=True)))] == [2, 3]
    assert batch.rest(JSON, 3, with_latest=True) == b""
    assert Batch([], [Item(b"{}")]).frame(JSON, with_latest=False) == b""
