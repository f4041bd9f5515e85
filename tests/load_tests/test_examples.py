"""The example files do what they say, against a real server."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import re
import sys
import types
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from livecommerce.auth import TokenAuthority
from livecommerce.client import Client
from load_tests import flash_sale
from load_tests.arrivals import Pace
from load_tests.commands import flash_sale as command
from load_tests.own_server import OwnServer, own_server
from load_tests.report import Report

EXAMPLES = Path(__file__).resolve().parents[2] / "load_tests" / "examples"


def test_the_scenario_file_is_taken_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def measure(plan: Any, options: Any) -> Report:
        seen.extend((plan, options))
        return Report("flash-sale", {})

    monkeypatch.setattr(flash_sale, "measure", measure)
    result = CliRunner().invoke(command, ["--scenario", str(EXAMPLES / "flash-sale.toml")])
    assert result.exit_code == 0, result.output
    plan, options = seen
    assert (plan.buyers, plan.units, plan.replay) == (3000, 500, 0.05)
    assert (options.pace, options.workers, options.seed) == (Pace(100, 3000, 10), 2, 20)


async def open_deal(server: OwnServer) -> tuple[str, str]:
    token = TokenAuthority(server.secret).mint("host", "Host", ["host", "watch"])
    async with Client(server.url, token=token) as host:
        stream = await host.create_stream("Examples")
        spec = {"title": "Lamp", "price": {"amount": 100, "currency": "EUR"}, "stock": 3}
        deal = await host.create_deal(stream["id"], spec | {"per_buyer_limit": 2, "duration_s": 60, "hold_s": 60})
        await host.step_deal(stream["id"], deal["id"], "open")
    return stream["id"], deal["id"]


class Answer:
    """What Locust's client gives back, as far as the example looks."""

    def __init__(self, status: int, body: Any) -> None:
        self.status_code, self._body = status, body
        self.succeeded = False

    def json(self) -> Any:
        return self._body

    def success(self) -> None:
        self.succeeded = True


class Locust:
    """A stand-in for Locust's HTTP client."""

    def __init__(self, url: str) -> None:
        self.url, self.headers, self.answers = url, dict[str, str](), list[Answer]()

    def _ask(self, method: str, path: str, json: Any, headers: dict[str, str]) -> Answer:
        async def ask() -> Answer:
            async with Client(self.url) as client:
                sent = {"Content-Type": "application/json"} | self.headers | headers
                async with client.session.request(method, self.url + path, json=json, headers=sent) as answer:
                    return Answer(answer.status, await answer.json())

        self.answers.append(asyncio.run(ask()))
        return self.answers[-1]

    def get(self, path: str, *, name: str) -> Answer:
        return self._ask("GET", path, None, {})

    def post(self, path: str, *, json: Any, catch_response: bool = False, **options: Any) -> Any:
        answer = self._ask("POST", path, json, options.get("headers", {}))
        return contextlib.nullcontext(answer) if catch_response else answer


@pytest.fixture
def locustfile(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    fake: Any = types.ModuleType("locust")
    fake.HttpUser, fake.between, fake.task = object, lambda *_: None, lambda _weight: lambda function: function
    monkeypatch.setitem(sys.modules, "locust", fake)
    spec = importlib.util.spec_from_file_location("locustfile", EXAMPLES / "locustfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with own_server("--guests", "on") as server:
        yield server


def test_the_locust_file_buys(locustfile: Any, server: OwnServer) -> None:
    locustfile.STREAM, locustfile.DEAL = asyncio.run(open_deal(server))
    client = Locust(server.url)
    user = locustfile.Buyer()
    user.client = client
    user.on_start()
    for _ in range(3):
        user.claim()
    user.look()
    user.orders()
    claims = client.answers[1:4]
    assert [answer.status_code for answer in claims] == [201, 201, 403]
    assert all(answer.succeeded for answer in claims)
    assert client.answers[4].json()["left"] == 1
    assert len(client.answers[5].json()["items"]) == 2


@pytest.mark.parametrize("name", ["locustfile.py", "k6.js"])
def test_the_examples_ask_for_what_there_is(name: str, server: OwnServer) -> None:
    """k6 is not run here: at least no path in it is gone."""
    with urllib.request.urlopen(f"{server.url}/openapi.json", timeout=10) as answer:
        paths = {re.sub(r"\{[^}]*\}", "*", path) for path in json.load(answer)["paths"]}
    text = (EXAMPLES / name).read_text().replace("${deal}", "/api/v1/streams/${x}/deals/${x}").replace("${url}", "")
    asked = {re.sub(r"\$?\{[^}]*\}", "*", path) for path in re.findall(r"/api/v1/[A-Za-z0-9_/${}.]+", text)}
    assert len(asked) >= 3
    assert asked <= paths
