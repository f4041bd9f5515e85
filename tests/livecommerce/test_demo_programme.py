"""The demo's programme: what it sells is sellable, how long its parts last fits together, and who buys when."""

from __future__ import annotations

import random
from collections import Counter, deque
from pathlib import Path

import msgspec
import pytest

import livecommerce
from deals.models import DealSpec, ProductSpec
from livecommerce.demo import programme
from livecommerce.demo.programme import ITEMS, LIMIT, OPEN_S, SMALL_TALK, STOCK, Item, pick, shopping

PAGES = Path(livecommerce.__file__).parent / "web"
OPENS_AT_MS = 1_800_000_000_000


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)
def test_every_item_is_a_product_and_a_deal_that_the_server_takes(item: Item) -> None:
    product = msgspec.convert(item.product(), ProductSpec)
    deal = msgspec.convert(item.deal(OPENS_AT_MS), DealSpec)
    assert product.image_url == deal.image_url
    assert product.image_url is not None
    assert (PAGES / product.image_url.removeprefix("/assets/")).is_file()
    assert deal.compare_at == product.price
    assert deal.price.amount < product.price.amount, "a deal is cheaper"
    assert (deal.product_id, deal.opens_at_ms, deal.stock, deal.per_buyer_limit) == (item.id, OPENS_AT_MS, STOCK, LIMIT)


def test_a_round_takes_about_a_minute_and_its_last_hold_ends_before_the_next_deal_opens() -> None:
    round_s = programme.COUNTDOWN_S + OPEN_S + 2 + programme.REST_S
    assert 55 <= round_s <= 65
    assert round_s > OPEN_S + programme.HOLD_S


def test_everybody_in_the_audience_is_called_a_robot() -> None:
    names = programme.CHATTERS + programme.SHOPPERS
    assert all("robot" in name.lower() for name in names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("seed", range(30))
def test_the_crowd_shops_within_the_deal_and_within_its_limit(seed: int) -> None:
    buyers = [f"robot {number}" for number in range(13)]
    plan = shopping(random.Random(seed), buyers)
    moments = [moment_s for moment_s, _ in plan]
    assert moments == sorted(moments)
    assert moments[0] >= 0
    assert moments[-1] < OPEN_S, "nobody comes after the end"
    assert len(set(moments)) == len(moments), "the gaps are random"
    assert max(Counter(buyer for _, buyer in plan).values()) <= LIMIT
    assert programme.WANTED[0] <= len(plan) <= programme.WANTED[1]


def test_a_deal_sometimes_sells_out_and_sometimes_does_not() -> None:
    sizes = {len(shopping(random.Random(seed), range(13))) for seed in range(200)}
    assert min(sizes) < STOCK <= max(sizes)


def test_a_small_crowd_wants_no_more_than_it_may_have() -> None:
    assert len(shopping(random.Random(1), ["only one"])) == LIMIT


def test_no_robot_repeats_what_another_has_just_said() -> None:
    said: deque[str] = deque(maxlen=programme.REMEMBERED)
    lines = [pick(SMALL_TALK, said) for _ in range(300)]
    window = programme.REMEMBERED + 1
    assert all(len(set(lines[start : start + window])) == window for start in range(len(lines) - window + 1))
    assert set(lines) == set(SMALL_TALK)
