"""What the demo show offers and says: products, deals, lines, and how long each part lasts."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

STREAM_TITLE = "Demo show (robot host)"
HOST_ID, HOST_NAME = "demo-host", "Robot host"

#: one round: countdown, deal, and a rest in which the next product is shown
COUNTDOWN_S, OPEN_S, REST_S = 8, 30, 22
STOCK, LIMIT, HOLD_S = 20, 2, 20
#: of each deal the robots want so many units: sometimes all of them
WANTED = (13, 21)


@dataclass(frozen=True, slots=True)
class Item:
    """One product; ``id`` also names its drawing, and the deal's price is ``offer`` (both in euro cents)."""

    id: str
    title: str
    description: str
    price: int
    offer: int
    pitch: str

    @property
    def _shown(self) -> dict[str, Any]:
        return {"title": self.title, "description": self.description, "image_url": f"/assets/demo/{self.id}.svg"}

    def product(self) -> dict[str, Any]:
        """As a product of the showcase."""
        return self._shown | {"price": _euro(self.price)}

    def deal(self, opens_at_ms: int) -> dict[str, Any]:
        """As a flash deal."""
        return self._shown | {
            "title": f"Flash: {self.title}",
            "product_id": self.id,
            "price": _euro(self.offer),
            "compare_at": _euro(self.price),
            "stock": STOCK,
            "per_buyer_limit": LIMIT,
            "duration_s": OPEN_S,
            "hold_s": HOLD_S,
            "opens_at_ms": opens_at_ms,
        }


def _euro(cents: int) -> dict[str, Any]:
    return {"amount": cents, "currency": "EUR"}


ITEMS = (
    Item("mug", "Enamel mug", "Keeps oil warm. Coffee too.", 1250, 750, "This mug survives a fall from any robot."),
    Item("lamp", "Desk lamp", "Bright, bendable, never sleepy.", 3900, 2400, "A lamp that looks at what you look at."),
    Item("bag", "Canvas tote", "Carries a week of batteries.", 1800, 990, "Strong canvas, one star, zero zips."),
)

#: those who chat, with their opinions
CHATTERS = ("Beep (robot)", "Boop (robot)", "Clank (robot)")
#: those who only buy
SHOPPERS = tuple(
    f"{name} (robot)" for name in ("Ada", "Bolt", "Cog", "Dot", "Echo", "Fuse", "Gear", "Hex", "Ion", "Kilo")
)

#: so many lines pass before one of them is said again, by whomever; fewer than there are
REMEMBERED = 4
SMALL_TALK = (
    "Beep! Hello from the assembly line.",
    "Nice light in the studio today.",
    "Is the clock real? My clock says the same.",
    "I like the wave. Very smooth servos.",
    "Greetings, humans.",
    "My battery is at 100 %. Ready to shop.",
    "The heart on the mug is my favourite part.",
    "How many totes fit in a tote?",
    "Sound check: I hear a soft tone.",
)
DEAL_TALK = ("Got one!", "Quick, the stock is falling!", "In my basket.", "Claimed. Paying with virtual coins.")
SOLD_OUT_TALK = ("Sold out already, wow.", "Too slow again. Next round!", "Gone! Well done, everyone.")
GREETING = "Hello {name}, welcome! I am a robot and nothing here is real, so try buying something."


def shopping(chance: random.Random, buyers: Sequence[T]) -> list[tuple[float, T]]:
    """Who claims a unit of one deal, and when: ``(seconds after the opening, buyer)``, in order of time."""
    wanted = min(chance.randint(*WANTED), LIMIT * len(buyers))
    # Each robot may have LIMIT units, so it stands in the queue as often.
    queue = chance.sample([buyer for buyer in buyers for _ in range(LIMIT)], wanted)
    # More come early than late, as people do.
    moments = sorted(OPEN_S * 0.9 * chance.random() ** 1.6 for _ in queue)
    return list(zip(moments, queue, strict=True))


def pick(lines: Sequence[str], said: deque[str]) -> str:
    """A line that none of the robots has just ``said``; it is remembered there."""
    line = random.choice([line for line in lines if line not in said])
    said.append(line)
    return line
