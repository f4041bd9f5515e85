"""Repeating tasks go on whatever happens in them, and end when they are told to."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ConnectionError as LostConnection

from livecommerce.tasks import Periodic


class Calls:
    """Counts calls, fails in the first ones, and tells when there were enough."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self._wanted = len(errors) + 1
        self.count = 0
        self.enough = asyncio.Event()

    async def __call__(self) -> None:
        self.count += 1
        if self.count == self._wanted:
            self.enough.set()
        if self._errors:
            raise self._errors.pop(0)


async def test_it_goes_on_after_errors(caplog: pytest.LogCaptureFixture) -> None:
    calls = Calls(LostConnection("Valkey is away"), KeyError("a fault of ours"))
    repeating = Periodic("housekeeping", 0.001, calls)
    repeating.start()
    repeating.start()
    async with asyncio.timeout(10):
        await calls.enough.wait()
    await repeating.aclose()
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    assert "Valkey is away" in caplog.text
    assert "a fault of ours" in caplog.text


async def test_it_stops_in_the_middle_of_a_call_and_can_start_anew() -> None:
    entered = asyncio.Event()

    async def forever() -> None:
        entered.set()
        await asyncio.Event().wait()

    repeating = Periodic("housekeeping", 0.001, forever)
    for _ in range(2):
        entered.clear()
        repeating.start()
        assert repeating.running
        async with asyncio.timeout(10):
            await entered.wait()
            await repeating.aclose()
            await repeating.aclose()
        assert not repeating.running
