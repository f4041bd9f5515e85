"""The cycle collector: what is old is let be, and a cycle among it goes when most connections have gone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from livecommerce.collector import LOOKS, NEVER, WORTH, YOUNG, Collector


class Knot:
    """An object that has itself."""

    def __init__(self) -> None:
        self.me = self


class Connections:
    number = 0

    def __call__(self) -> int:
        return self.number


@pytest.fixture
async def connections() -> Connections:
    return Connections()


@pytest.fixture
async def collector(connections: Connections) -> AsyncIterator[Collector]:
    thresholds = gc.get_threshold()
    collector = Collector(connections)
    collector.start()
    try:
        yield collector
    finally:
        await collector.aclose()
        await collector.aclose()
        gc.unfreeze()
        gc.set_threshold(*thresholds)


async def test_what_outlived_two_looks_is_never_looked_at_again(collector: Collector) -> None:
    assert gc.get_threshold() == (YOUNG, LOOKS, NEVER)
    before = gc.get_freeze_count()
    assert before > 0
    kept = [[number] for number in range(3 * YOUNG * (LOOKS + 1))]
    assert gc.get_freeze_count() - before > YOUNG
    assert len(gc.get_objects(generation=2)) == 0
    assert len(kept) > YOUNG


async def test_young_cycles_go_at_once_and_old_ones_with_the_connections(
    collector: Collector, connections: Connections
) -> None:
    young = weakref.ref(Knot())
    gc.collect(0)
    assert young() is None
    old = Knot()
    gone = weakref.ref(old)
    gc.collect(1)
    del old
    gc.collect()
    assert gone() is not None, "it was set aside"
    connections.number = 2 * WORTH
    await collector.count()
    assert gone() is not None
    connections.number = WORTH
    await collector.count()
    assert gone() is not None
    connections.number = 1
    await collector.count()
    assert gone() is None


async def test_a_few_connections_more_or_less_are_not_worth_a_look(
    collector: Collector, connections: Connections
) -> None:
    old = Knot()
    gone = weakref.ref(old)
    gc.collect(1)
    del old
    for connections.number in (WORTH - 1, 0):
        await collector.count()
    assert gone() is not None


async def test_after_its_end_the_collector_is_left_alone(collector: Collector) -> None:
    await collector.aclose()
    before = gc.get_freeze_count()
    gc.collect(1)
    assert gc.get_freeze_count() == before
