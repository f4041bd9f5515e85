"""A server under attack from many sides at once: nobody else notices, nothing is a 500, no worker dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil

from livecommerce.client import Client
from tests.api import Api, Person
from tests.running import RunningServer, running_server

DEEP = "[" * 60_000
#: bodies of a claim, most of which some layer has to refuse
BODIES = [
    *("", "null", "[]", "{}", '"x"', "1", "{", '{"units":', "\x00", "\ufeff{}", DEEP, '{"units":' + DEEP),
    *('{"units":1e400}', '{"units":1.0}', '{"units":-1}', '{"units":true}', '{"units":"1"}', '{"units":[1]}'),
    *(f'{{"units":{10**n}}}' for n in (3, 9, 16, 19, 40, 400)),
    *(
        '{"units":1,"units":1001}',
        '{"units":1,"UNITS":2}',
        '{"units":1,"__proto__":{}}',
        '{"units":1,"code":"\\u0000"}',
    ),
    *(
        '{"units":1,"code":"' + "A" * 33 + '"}',
        '{"units":1,"ticket":"' + "." * 5000 + '"}',
        '{"units":1}' + " " * 70_000,
    ),
]
#: what a WebSocket in the room sends; none of it is a command
FRAMES = [
    *("", "null", "[]", '"x"', "[" * 8000, '{"id":' * 2000, '{"id":1}', '{"id":1e30,"do":"ping"}', '{"do":"ping"}'),
    *(
        '{"id":1,"do":"' + "x" * 9000 + '"}',
        '{"id":1,"do":["ping"]}',
        '{"id":-1,"do":"ping"}',
        '{"id":1,"do":"\\ud800"}',
    ),
    *('{"id":1,"do":"deal.claim","deal_id":"\\u0000","units":99999999999999999999,"key":""}',),
    *('{"id":1,"do":"chat.send","text":"' + "\\u202e\\u0000" * 300 + '"}', '{"id":1,"id":2,"do":"ping","do":"join"}'),
]
#: msgpack that promises more than it holds
BOMBS = [
    *(b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xc1"),
    *(
        b"\x91" * 15_000 + b"\xc0",
        b"\xdd" + struct.pack(">I", 10**9) + b"\xc0" * 1000,
        b"\x81\xc0\xc0",
        b"\xc7\xff\x05",
    ),
    *(b"\x82\xa2id\x01\xa2do\xc4\x04ping", b"\x82\xa2id\xcf" + b"\xff" * 8 + b"\xa2do\xa4ping", b"\xd9\xff"),
]


class Attack:
    """Ways to be unpleasant; each returns the statuses or close codes it was answered with."""

    def __init__(self, server: RunningServer, api: Api, who: Person, stream_id: str, deal_id: str) -> None:
        self.api, self.who, self.stream_id = api, who, stream_id
        self.host, _, port = server.url.removeprefix("http://").partition(":")
        self.port = int(port)
        self.claims = f"/api/v1/streams/{stream_id}/deals/{deal_id}/claims"
        self.room = f"{server.url}/ws/{stream_id}"

    async def raw(self, data: bytes, *, then: float = 5.0) -> bytes:
        """What a bare socket is answered."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(then):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def bodies(self) -> set[int]:
        """Claims that are none."""
        seen = set()
        for number, body in enumerate(BODIES):
            headers = {
                **{"Authorization": f"Bearer {self.who.token}", "Idempotency-Key": f"k{number}"},
                **{"Content-Type": "application/json"},
            }
            data = body.encode("utf-8", "surrogatepass")
            async with self.api.http.post(self.api.url + self.claims, data=data, headers=headers) as answer:
                seen.add(answer.status)
        return seen

    async def heads(self) -> set[int]:
        """Requests whose heads are too many, too long, or contradict themselves."""
        post = f"POST {self.claims} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.who.token}\r\n"
        json_ = "Content-Type: application/json\r\n"
        answers = [
            await self.raw(f"{post}{json_}{''.join(f'X-{n}: y{chr(13)}{chr(10)}' for n in range(5000))}\r\n".encode()),
            await self.raw(f"{post}{json_}X: {'y' * 100_000}\r\n\r\n".encode()),
            await self.raw(f"{post}{json_}Content-Length: 5\r\nContent-Length: 6\r\n\r\n".encode()),
            await self.raw(f"{post}{json_}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode()),
            await self.raw(f"{post}{json_}Transfer-Encoding: chunked\r\n\r\nZZ\r\n".encode()),
            await self.raw(f"{post}{json_}Content-Length: -1\r\n\r\n".encode()),
            await self.raw(f"{post}{json_}Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc".encode()),
            await self.raw(f"GET /{'%00' * 2000} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()),
            await self.raw(f"GET //{self.host}@evil/%2e%2e/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()),
            await self.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200),
        ]
        return {int(answer[9:12]) for answer in answers if answer.startswith(b"HTTP/1.1 ")}

    async def frames(self) -> set[int]:
        """Messages that are no commands, and frames that are no messages; how each connection ended."""
        hello = {"id": 1, "do": "join", "token": self.who.token}
        text, packed = json.dumps(hello), msgspec.msgpack.encode(hello)
        said: list[tuple[str, list[str | bytes]]] = [("json", [text, "x" * 17_000])]
        for frame in FRAMES:
            said += [("json", [text, frame]), ("json", [frame])]
        for bomb in BOMBS:
            said += [("msgpack", [packed, bomb]), ("msgpack", [bomb]), ("json", [text, bomb])]
        return set(await asyncio.gather(*(self._say(f"livecommerce.v1.{codec}", *words) for codec, words in said)))

    async def _say(self, protocol: str, *messages: str | bytes) -> int:
        """Send them; the close code, or 0 where the connection stays."""
        async with self.api.http.ws_connect(self.room, protocols=[protocol]) as socket:
            for message in messages:
                await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_str(message))
            # With a join before them some are answered by an error; without, all end the connection.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0 if len(messages) > 1 else 10):
                    while (got := await socket.receive()).type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                        assert b"internal" not in (got.data if isinstance(got.data, bytes) else got.data.encode())
                    return socket.close_code or 0
            return 0

    @contextlib.asynccontextmanager
    async def sloths(self, count: int) -> Any:
        """Connections that begin a request and never end it: head, body, WebSocket without a join."""
        post = f"POST {self.claims} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.who.token}\r\n"
        begun = [
            b"",
            b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
            f"{post}Idempotency-Key: s\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{{".encode(),
            f"{post}Idempotency-Key: s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            "ffffffffffffffff\r\n1".encode(),
            f"GET /ws/{self.stream_id} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode(),
        ]
        made = [await asyncio.open_connection(self.host, self.port) for _ in range(count)]
        for number, (_, writer) in enumerate(made):
            writer.write(begun[number % len(begun)])
        try:
            yield made
        finally:
            for _, writer in made:
                writer.close()


async def test_an_attack_from_all_sides_is_nobody_elses_trouble(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        workers = [p.pid for p in psutil.Process(server.process.pid).children(recursive=True)]
        async with Api(server.url) as api:
            host, eve, ann = await api.guest("Host"), await api.guest("Eve"), await api.guest("Ann")
            stream_id = await api.stream(host)
            deal_id = await api.open_deal(host, stream_id, stock=50, per_buyer_limit=50)
            attack = Attack(server, api, eve, stream_id, deal_id)
            async with attack.sloths(200), Client(server.url, token=ann.token) as client:
                room = client.room(stream_id)
                await room.start()
                ways = asyncio.gather(attack.bodies(), attack.heads(), attack.frames())
                said = 0
                while not ways.done():
                    await room.chat(f"still here {said}")
                    said += 1
                    assert (await api.claim(ann, stream_id, deal_id)).status in (201, 409, 429)
                    await asyncio.sleep(1.0)  # a person's pace: chat has its own limit
                statuses, heads, codes = await ways
                await room.aclose()
            assert statuses <= {201, 400, 403, 413, 422, 429}
            assert heads <= {400, 404, 413, 431}
            assert codes <= {0, 1009, 3503}
            deal = await api.deal(stream_id, deal_id)
            assert deal["left"] + deal["held"] == 50
        assert [p.pid for p in psutil.Process(server.process.pid).children(recursive=True)] == workers
    assert "Traceback" not in server.output()
