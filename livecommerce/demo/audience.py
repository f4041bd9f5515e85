"""The robots in the room: some chat and send hearts, more of them buy, so that the stock visibly falls."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from livecommerce.client import Client, ClientError, Event, Room, ServerError
from livecommerce.demo.programme import (
    CHATTERS,
    DEAL_TALK,
    SHOPPERS,
    SMALL_TALK,
    SOLD_OUT_TALK,
    pick,
    shopping,
)

log = logging.getLogger(__name__)

#: seconds between two lines or bursts of hearts of one robot
CHAT_PAUSE_S = (14.0, 40.0)
#: of a hundred orders so many are paid; a few cards are declined and the hold given back, the rest expires
PAID, DECLINED = 84, 8
#: a robot takes this long to find its card
PAY_PAUSE_S = (1.0, 4.0)

#: a client for a robot of this id and name
Identify = Callable[[str, str], Client]


class Chatter:
    """One robot with a place in the room: talks, reacts, and comments on deals."""

    def __init__(self, client: Client, stream_id: str, said: deque[str]) -> None:
        self._client = client
        self._stream_id = stream_id
        #: what the robots said last: shared, so that none repeats another
        self._said = said

    async def run(self) -> None:
        """Chat until the stream ends; raises :class:`ClientError` when the room is lost for good."""
        async with self._client.room(self._stream_id) as room, asyncio.TaskGroup() as tasks:
            talking = tasks.create_task(self._talk(room))
            async for event in room:
                if not room.is_history(event) and (line := _comment(event)) is not None:
                    await asyncio.sleep(random.uniform(0.3, 1.5))
                    await self._say(room, line)
            talking.cancel()

    async def _talk(self, room: Room) -> None:
        while True:
            await asyncio.sleep(random.uniform(*CHAT_PAUSE_S))
            if random.random() < 0.5:
                await self._say(room, pick(SMALL_TALK, self._said))
            else:
                await _unless_refused(room.do("chat.react", kind=random.choice(("heart", "fire", "clap")), count=3))

    async def _say(self, room: Room, line: str) -> None:
        await _unless_refused(room.chat(line))


def _comment(event: Event) -> str | None:
    """What a robot says to an event, most often nothing."""
    if event.type == "deal.opened" and random.random() < 0.3:
        return random.choice(DEAL_TALK)
    if event.type == "deal.sold_out" and random.random() < 0.5:
        return random.choice(SOLD_OUT_TALK)
    return None


class Crowd:
    """Robots that only buy, by HTTP: one purchase after the other, spread over the deal's time."""

    def __init__(self, identify: Identify, stream_id: str) -> None:
        names = CHATTERS + SHOPPERS
        self._buyers = [identify(f"demo-robot-{number}", name) for number, name in enumerate(names)]
        self._stream_id = stream_id

    async def buy(self, deal_id: str) -> None:
        """Shop in one deal that has just opened."""
        started_s = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            for moment_s, buyer in shopping(random.Random(), self._buyers):
                await asyncio.sleep(max(0.0, started_s + moment_s - asyncio.get_running_loop().time()))
                tasks.create_task(_unless_refused(self._purchase(buyer, deal_id)))

    async def _purchase(self, buyer: Client, deal_id: str) -> None:
        order = await buyer.claim(self._stream_id, deal_id)
        await asyncio.sleep(random.uniform(*PAY_PAUSE_S))
        luck = random.randrange(100)
        if luck < PAID:
            await buyer.pay(order["id"], "pm_ok")
        elif luck < PAID + DECLINED:
            try:
                await buyer.pay(order["id"], "pm_declined")
            except ServerError:
                await buyer.cancel_order(order["id"])


async def _unless_refused(asking: Coroutine[Any, Any, Any]) -> None:
    """A robot shrugs at a refusal: sold out, too fast, not connected at the moment."""
    try:
        await asking
    except ClientError as error:
        log.debug("a robot was refused: %s", error)
