"""Who of a show's crowd is in which generator process, and by which way they reach the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from load_tests.rooms_generator import Seats, shares_of
from load_tests.rooms_people import Purchase
from load_tests.run import Run
from load_tests.shoppers import Basket
from load_tests.show_media import Screens
from load_tests.show_plan import ShowPlan


@dataclass(frozen=True)
class Cast:
    """The people of a show; ``proxy``: where a breakable network lets some of them through."""

    run: Run
    plan: ShowPlan
    proxy: tuple[str, int] | None
    comes_back: bool

    def token(self, user: str) -> str:
        """A viewer's, who may chat and buy."""
        return self.run.target.mint(user, user.replace("-", " ").title(), ["watch", "chat", "buy"])

    def seats(self, stream_id: str, here: Sequence[Purchase]) -> list[Seats]:
        """The chat viewers, and what those among them buy; the last process of them goes through the proxy."""
        ways = [self.run.target.address] * self.run.options.generators + ([self.proxy] if self.proxy else [])
        return [
            Seats(
                address=ways[part],
                path=f"/ws/{stream_id}",
                tokens=[self.token(f"show-{number}") for number in numbers],
                name=f"show{part}",
                purchases=[p.seated(index) for index, p in enumerate(here[n] for n in numbers if n < len(here))],
                comes_back=self.comes_back,
                seed=self.run.seed * 1000 + part,
            )
            for part, numbers in enumerate(shares_of(self.plan.chat, len(ways)))
        ]

    def baskets(self, stream_id: str, elsewhere: Sequence[Purchase]) -> list[Basket]:
        """The buyers over HTTP, through the proxy if there is one."""
        url = "http://{}:{}".format(*self.proxy) if self.proxy else self.run.target.url
        return [
            Basket(
                url=url,
                stream_id=stream_id,
                purchases=[elsewhere[n] for n in numbers],
                tokens=[self.token(elsewhere[n].buyer) for n in numbers],
                name=f"shoppers{part}",
            )
            for part, numbers in enumerate(shares_of(len(elsewhere), self.run.options.generators))
        ]

    def screens(self, stream_id: str) -> list[Screens]:
        """The viewers of the picture."""
        url = f"{self.run.target.url}/whep/{stream_id}"
        return [
            Screens(url=url, tokens=[self.token(f"video-{n}") for n in numbers], comes_back=self.comes_back)
            for numbers in shares_of(self.plan.video, self.run.options.generators)
        ]
