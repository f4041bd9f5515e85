"""What the WebSocket refuses, and how: a clear error or close code, and nobody else disturbed."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import msgspec
import pytest

from livecommerce import ws
from tests.livecommerce.rooms import RoomWorker, eventually


@pytest.mark.parametrize(
    ("token", "code"),
    [("", "token_invalid"), ("forged", "token_invalid"), ("expired", "token_expired"), ("no watch", "forbidden")],
)
async def test_a_bad_token_is_refused_and_closed(worker: RoomWorker, token: str, code: str) -> None:
    stream_id = await worker.stream()
    tokens = {
        "expired": worker.token("ann", ttl_s=-5),
        "no watch": worker.token("ann", "watch", stream="another"),
    }
    viewer = await worker.connect(stream_id)
    reply = await viewer.do("join", token=tokens.get(token, token))
    assert reply["err"]["code"] == code
    assert await viewer.until_closed() == 3500


async def test_a_stream_that_never_was(worker: RoomWorker) -> None:
    for stream_id in ("nosuchstream", "a%20b", "x" * 65):
        viewer = await worker.connect(stream_id)
        assert (await viewer.do("join", token=worker.token("ann")))["err"]["code"] == "stream_not_found"
        assert await viewer.until_closed() == 3502


@pytest.mark.parametrize(
    "first",
    [
        b"\x00\x01",
        "",
        "not json",
        "[]",
        "17",
        '"join"',
        "[" * 10_000,
        '{"do":"join"}',
        '{"id":1,"do":"chat.send","text":"early"}',
        '{"id":1}',
        '{"id":-1,"do":"join","token":"x"}',
        '{"id":"1","do":"join","token":"x"}',
        '{"id":1,"do":"join","token":"x","extra":1}',
        '{"id":1,"do":"join","token":"\\ud800"}',
        '{"id":1,"do":"join","token":7}',
    ],
)
async def test_a_first_message_that_is_no_join_closes_with_3503(worker: RoomWorker, first: str | bytes) -> None:
    viewer = await worker.connect(await worker.stream())
    await (viewer.socket.send_bytes(first) if isinstance(first, bytes) else viewer.socket.send_str(first))
    assert await viewer.until_closed() == 3503


async def test_silence_instead_of_a_join_closes_with_3503(worker: RoomWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ws, "JOIN_TIMEOUT_S", 0.05)
    viewer = await worker.connect(await worker.stream())
    assert await viewer.until_closed() == 3503


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"do": "chat.fly"}, "unknown_command"),
        ({"do": "join", "token": "x"}, "unknown_command"),
        ({"do": 7}, "unknown_command"),
        ({}, "unknown_command"),
        ({"do": "chat.send"}, "invalid"),
        ({"do": "chat.send", "text": 7}, "invalid"),
        ({"do": "chat.send", "text": "x", "colour": "red"}, "invalid"),
        ({"do": "chat.send", "text": "x" * 301}, "invalid"),
        ({"do": "chat.send", "text": "\u200b \u0000"}, "invalid"),
        ({"do": "chat.send", "text": "x", "key": "\n"}, "invalid"),
        ({"do": "chat.send", "text": "x", "reply_to": "nosuch"}, "message_not_found"),
        ({"do": "chat.react", "kind": "skull"}, "invalid"),
        ({"do": "chat.react", "kind": "heart", "count": 0}, "invalid"),
        ({"do": "chat.delete", "message_id": "m1"}, "forbidden"),
        ({"do": "chat.ban", "user_id": "bob"}, "forbidden"),
        ({"do": "chat.unban", "user_id": "bob"}, "forbidden"),
        ({"do": "announce", "text": "x"}, "forbidden"),
        ({"do": "product.pin", "product_id": "p"}, "forbidden"),
        ({"do": "deal.open", "deal_id": "d"}, "forbidden"),
        ({"do": "deal.claim", "deal_id": "nosuch", "units": 1, "key": "k"}, "deal_not_found"),
        ({"do": "deal.claim", "deal_id": "nosuch", "units": 0, "key": "k"}, "invalid"),
        ({"do": "deal.claim", "deal_id": "nosuch", "units": 10**30, "key": "k"}, "invalid"),
        ({"do": "deal.claim", "deal_id": "nosuch", "units": 1}, "invalid"),
        ({"do": "order.pay", "order_id": "x", "payment_token": "pm_ok"}, "order_not_found"),
        ({"do": "order.cancel", "order_id": "a.b.c"}, "order_not_found"),
    ],
)
async def test_a_bad_command_gets_its_error_and_harms_nobody(
    worker: RoomWorker, command: dict[str, Any], code: str
) -> None:
    viewer = await worker.join(await worker.stream())
    await viewer.socket.send_json({"id": 77} | command)
    reply = await viewer.reply(77)
    assert reply["err"]["code"] == code, reply
    assert reply["err"]["message"]
    assert reply["err"]["temporary"] is False
    assert "ok" in await viewer.do("ping")


async def test_a_command_without_an_id_is_answered_with_none(worker: RoomWorker) -> None:
    viewer = await worker.join(await worker.stream())
    await viewer.socket.send_json({"do": "ping"})
    assert (await viewer.reply(None))["err"]["code"] == "invalid"


async def test_sixteen_kibibytes_are_taken_and_one_more_is_too_big(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    viewer = await worker.join(stream_id)
    largest = json.dumps({"id": 5, "do": "chat.send", "text": ""})
    largest = largest.replace('""', '"' + "x" * (16 * 1024 - len(largest)) + '"')
    assert len(largest) == 16 * 1024
    await viewer.socket.send_str(largest)
    assert (await viewer.reply(5))["err"]["code"] == "invalid"
    await viewer.socket.send_str(largest + " ")
    assert await viewer.until_closed() == 1009


async def test_a_message_in_the_other_codec_closes_with_3503(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    text, binary = await worker.join(stream_id), await worker.join(stream_id, protocol="livecommerce.v1.msgpack")
    await text.socket.send_bytes(msgspec.msgpack.encode({"id": 9, "do": "ping"}))
    await binary.socket.send_str('{"id":9,"do":"ping"}')
    assert [await v.until_closed() for v in (text, binary)] == [3503, 3503]


async def test_a_client_that_names_no_protocol_speaks_json(worker: RoomWorker) -> None:
    viewer = await worker.join(await worker.stream(), protocol=None)
    assert "server_ms" in (await viewer.do("ping"))["ok"]


async def test_too_many_commands_are_told_when_to_come_back(worker: RoomWorker) -> None:
    viewer = await worker.join(await worker.stream())
    numbers = [await viewer.post("ping") for _ in range(100)]
    errors = [r["err"] for n in numbers if "err" in (r := await viewer.reply(n))]
    assert errors
    assert {e["code"] for e in errors} == {"rate_limited"}
    assert all(e["temporary"] and 0 < e["retry_after_ms"] <= 1000 for e in errors)


async def test_who_goes_on_asking_too_fast_is_closed(worker: RoomWorker) -> None:
    viewer = await worker.join(await worker.stream())
    for _ in range(400):
        await viewer.socket.send_str('{"id":1,"do":"nonsense"}')
    assert await viewer.until_closed() == 3503


async def test_random_bytes_instead_of_frames_harm_nobody(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    bystander = await worker.join(stream_id)
    dice = random.Random(7)
    for _ in range(100):
        viewer = await worker.connect(stream_id)
        transport = viewer.socket._conn.transport  # type: ignore[union-attr]
        transport.write(dice.randbytes(dice.randrange(1, 200)))
        await (viewer.socket.close() if dice.random() < 0.5 else asyncio.sleep(0))
        transport.abort()
    await worker.say(stream_id, "all is well")
    await bystander.until(lambda: bystander.texts == ["all is well"])
    await eventually(lambda: worker.context.hub.counts()[stream_id] == 1)
