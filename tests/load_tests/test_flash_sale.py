"""The flash sale whole, on a real server; and its ways in against a server that misbehaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from load_tests.arrivals import Pace
from load_tests.buyers import Refused, SocketWay, claim_template
from load_tests.buyers_http import HttpWay
from load_tests.claim_floor import measure_floor
from load_tests.flash_sale import Plan, measure
from load_tests.own_server import ServerError, own_server
from load_tests.processes import GeneratorFailed
from load_tests.report import Figure, Report
from load_tests.run import Options

PLAN = Plan(buyers=60, units=7, claims=2, over="both", connections=20, floor=False)
QUIET = Options(quiet=True, seed=3)


def value(report: Report, name: str) -> float:
    figure = report.figures[name]
    assert isinstance(figure, Figure)
    return figure.value


def test_a_rush_on_a_real_server_keeps_every_promise() -> None:
    report = measure(replace(PLAN, replay=1.0), replace(QUIET, workers=2, generators=2))
    assert report.passed, report.checks
    assert report.server["durable"] is True
    assert value(report, "of these durable") == value(report, "accepted") > 0
    # Each one once more, whichever way it came: one of the two may be too late for all units.
    assert sum(codes.get("accepted", 0) for codes in report.codes.values()) == 14
    assert report.curves[0].points[-1][1] == 0
    assert {"worker 1", "worker 2", "valkey", "supervisor"} <= set(report.timeline[-1]["cpu"])
    for cost in ("server CPU a claim", "Valkey's CPU a claim", "generator's CPU a claim"):
        assert value(report, cost) > 0


def test_an_open_loop_of_few_buyers_leaves_units_over() -> None:
    plan = Plan(buyers=5, units=9, claims=2, over="both", connections=5, floor=False)
    report = measure(plan, replace(QUIET, pace=Pace(50, 200, 0.1)))
    assert report.passed, report.checks
    assert report.curves[0].points[-1][1] == 4
    assert report.settings["loop"] == "open, 50 to 200/s in 0.1 s"


def test_ctrl_c_at_a_terminal_stops_the_load_and_still_judges_it(tmp_path: Path) -> None:
    """The whole process group gets the signal, as from a terminal: the server has to outlive it."""
    words = ("--buyers", "20", "--claims", "500", "--rate", "250", "--no-floor", "--json", str(tmp_path / "r.json"))
    command = [sys.executable, "-m", "load_tests", "flash-sale", *words]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, process_group=0, text=True)
    assert running.stderr is not None
    try:
        assert any("offered" in line for line in running.stderr)
        os.killpg(running.pid, signal.SIGINT)
        _, said = running.communicate(timeout=60)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 0, said
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["interrupted"] is True
    assert len(report["checks"]) == 13
    assert 0 < sum(latency["count"] for latency in report["latency_us"].values()) < 10_000


async def test_the_floors_are_rates() -> None:
    floor = await measure_floor(300, 300)
    assert floor.lane_per_s > 0
    assert floor.bare_per_s > 0
    assert floor.bare_valkey_us > 0


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(ServerError, match="option"), own_server("--nonsense"):
        pytest.fail("it started")


def test_a_secret_that_is_not_the_servers_is_said_in_words() -> None:
    with own_server() as server, pytest.raises(Exception, match="token") as caught:
        measure(PLAN, replace(QUIET, url=server.url, secret="x" * 40))
    assert not isinstance(caught.value, GeneratorFailed)


@asynccontextmanager
async def a_server(*routes: web.RouteDef) -> AsyncIterator[tuple[str, int]]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][:2]
    finally:
        await runner.cleanup()


class Told:
    """What became of claims, and when all are known."""

    def __init__(self, count: int) -> None:
        self.answers: dict[int, tuple[str, str | None]] = {}
        self._left = count
        self.all = asyncio.Event()

    def __call__(self, row: int, outcome: str, order_id: str | None, _now_s: float) -> None:
        self.answers[row] = outcome, order_id
        self._left -= 1
        if not self._left:
            self.all.set()


async def _talk(request: web.Request) -> web.WebSocketResponse:
    """Joins; then answers a claim in pieces, one among events, one not at all."""
    socket = web.WebSocketResponse(protocols=("livecommerce.v1.json",))
    await socket.prepare(request)
    assert (await socket.receive_json())["do"] == "join"
    await socket.send_str('[{"re":1,"ok":{}},{"offset":1,"type":"viewers","data":{}}]')
    first, second, third = [await socket.receive_json() for _ in range(3)]
    assert first["key"] == "0-00000000"
    assert len({m["id"] for m in (first, second, third)}) == 3
    assert request.transport is not None
    whole = b'{"re":%d,"ok":{"order":{"id":"s.d.r","units":1}}}' % first["id"]
    frame = bytes([0x81, 126]) + len(whole).to_bytes(2, "big") + whole
    for part in (frame[:3], frame[3:20], frame[20:]):
        request.transport.write(part)
        await asyncio.sleep(0)
    refusal = f'{{"re":{second["id"]},"err":{{"code":"sold_out","message":"x","temporary":false}}}}'
    await socket.send_str('[{"offset":2,"type":"chat.message","data":{"text":"hi"}},' + refusal + "]")
    await socket.ping()
    request.transport.close()
    return socket


async def test_answers_in_pieces_among_events_and_none_at_all_are_each_told() -> None:
    told = Told(3)
    async with a_server(web.get("/ws", _talk)) as address:
        way = SocketWay(address, "/ws", ["t"], claim_template("d", 0), told)
        await way.enter()
        for row in range(3):
            way.claim(0, row, row)
        async with asyncio.timeout(10):
            await told.all.wait()
        assert told.answers == {0: ("accepted", "s.d.r"), 1: ("sold_out", None), 2: ("no answer", None)}
        assert way.lost == 1
        way.claim(0, 3, 3)
        assert told.answers[3] == ("no answer", None)
        way.close()


async def _refuse(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=("livecommerce.v1.json",))
    await socket.prepare(request)
    await socket.receive()
    await socket.send_str('{"re":1,"err":{"code":"token_invalid","message":"x","temporary":false}}')
    await socket.close(code=3500)
    return socket


async def test_a_buyer_who_is_not_let_in_says_why() -> None:
    async with a_server(web.get("/ws", _refuse)) as address:
        with pytest.raises(Refused, match="token_invalid"):
            await SocketWay(address, "/ws", ["t"], claim_template("d", 0), Told(0)).enter()
        with pytest.raises(Refused, match="404"):
            await SocketWay(address, "/none", ["t"], claim_template("d", 0), Told(0)).enter()


def compact(body: dict[str, object], status: int) -> web.Response:
    """As our server writes JSON."""
    return web.Response(text=json.dumps(body, separators=(",", ":")), status=status, content_type="application/json")


async def _buy(request: web.Request) -> web.Response:
    key = request.headers["Idempotency-Key"]
    assert await request.json() == {"units": 1}
    match int(key.rpartition("-")[2]):
        case 0:
            return compact({"id": "s.d.r", "units": 1}, status=201)
        case 1:
            return compact({"type": "x", "status": 409, "code": "sold_out"}, status=409)
        case 2:
            return compact({"state": "processing"}, status=202)
        case 3:
            return web.Response(status=502, text="bad gateway")
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_answers_over_http_are_each_told_and_a_lost_connection_too() -> None:
    told = Told(6)
    async with a_server(web.post("/claims", _buy)) as address:
        way = HttpWay(address, "/claims", ["t"], 1, 0, told)
        await way.enter()
        for row in range(6):
            way.claim(0, row, row)
        async with asyncio.timeout(10):
            await told.all.wait()
        way.close()
    assert told.answers == {
        0: ("accepted", "s.d.r"),
        1: ("sold_out", None),
        2: ("outcome_unknown", None),
        3: ("status 502", None),
        4: ("no answer", None),
        5: ("no answer", None),
    }
    assert way.lost == 1
