"""Every refusal a viewer can meet is told in words, and nobody loses or pays anything by it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.api import Api, Person
from tests.browser import shared
from tests.browser.pages import (
    DEAF,
    DESK,
    PATIENCE_MS,
    PHONE,
    SIZES,
    hears,
    line,
    open_page,
    open_watch,
    orders_of_show,
    says,
    told,
    who_is,
)
from tests.running import RunningServer, running_server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), shared.LOOP]
browser, api = shared.browser, shared.api


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    # Two messages at once, then one in twenty seconds: the third is refused however slow this machine is.
    with running_server(tmp_path_factory.mktemp("refusals"), "--limit", "chat=0.05/2") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="package")
async def host(api: Api) -> Person:
    return await api.guest("Hanna")


@pytest_asyncio.fixture(loop_scope="package")
async def stream_id(api: Api, host: Person) -> str:
    return await api.stream(host)


def buy_button(page: Page, words: str) -> Locator:
    return page.get_by_test_id("deal-buy").filter(has_text=words)


@SIZES
async def test_too_late_for_the_last_one(
    browser: Browser, server: RunningServer, api: Api, host: Person, stream_id: str, size: tuple[int, int]
) -> None:
    """Who taps before the news of "sold out" or "closed" reached them is told so, and has no order."""
    viewer = await open_watch(browser, server.url, stream_id, size, script=DEAF)
    deal_id = await api.open_deal(host, stream_id, stock=1)
    await expect(buy_button(viewer, "€5.00")).to_be_enabled()
    await viewer.evaluate("() => { window.deaf = true; }")
    other = await api.guest("Quick")
    assert (await api.claim(other, stream_id, deal_id)).status == 201
    await viewer.get_by_test_id("deal-buy").click()
    await told(viewer.get_by_test_id("refusal"), "sold_out", "Sold out: somebody was faster.")
    assert (await api.call("POST", f"/api/v1/streams/{stream_id}/deals/{deal_id}/close", host)).status == 200
    await viewer.get_by_test_id("deal-buy").click()
    await told(viewer.get_by_test_id("refusal"), "closed", "The deal is over.")
    assert {order["buyer"]["id"] for order in await orders_of_show(api, host, stream_id)} == {other.id}


@SIZES
async def test_one_each_means_one(
    browser: Browser, server: RunningServer, api: Api, host: Person, stream_id: str, size: tuple[int, int]
) -> None:
    """Taps in a burst make one order; a declined card costs nothing; a second unit is refused."""
    await api.open_deal(host, stream_id)
    viewer = await open_watch(browser, server.url, stream_id, size)
    await expect(viewer.get_by_test_id("deal-buy")).to_be_enabled()
    await viewer.evaluate(
        "() => { const b = document.querySelector('[data-testid=deal-buy]'); for (let i = 0; i < 5; i++) b.click(); }"
    )
    await expect(viewer.get_by_test_id("order-hold")).to_be_visible()

    await viewer.get_by_test_id("pay-method").select_option("pm_declined")
    await viewer.get_by_test_id("order-pay").click()
    await told(viewer.get_by_test_id("order-refusal"), "payment_declined", "Nothing was charged")
    await expect(viewer.get_by_test_id("order-hold")).to_be_visible()
    await viewer.get_by_test_id("pay-method").select_option("pm_ok")
    await viewer.get_by_test_id("order-pay").dblclick()
    await expect(viewer.get_by_test_id("order-receipt")).to_contain_text("€5.00")

    await viewer.get_by_test_id("receipt-done").click()
    await buy_button(viewer, "Buy another").click()
    await told(viewer.get_by_test_id("refusal"), "limit_reached", "as many as one buyer may have")
    me = await who_is(viewer)
    (order,) = await orders_of_show(api, host, stream_id)
    assert (order["buyer"]["id"], order["units"], order["state"]) == (me.id, 1, "paid")


@SIZES
async def test_giving_it_back(
    browser: Browser, server: RunningServer, api: Api, host: Person, stream_id: str, size: tuple[int, int]
) -> None:
    """A reservation that is given back is on sale again, and can be taken again."""
    await api.open_deal(host, stream_id, stock=1)
    viewer = await open_watch(browser, server.url, stream_id, size)
    await viewer.get_by_test_id("deal-buy").click()
    await expect(viewer.get_by_test_id("deal-left")).to_contain_text("0")
    await viewer.get_by_test_id("order-cancel").click()
    await expect(viewer.get_by_test_id("order-hold")).to_have_count(0)
    await expect(viewer.get_by_test_id("deal-left")).to_contain_text("1")
    await viewer.get_by_test_id("deal-buy").click()
    await expect(viewer.get_by_test_id("order-hold")).to_be_visible()


@SIZES
async def test_waiting_for_one_that_comes_back(
    browser: Browser, server: RunningServer, api: Api, host: Person, stream_id: str, size: tuple[int, int]
) -> None:
    """Sold out: stand in line, keep the place over a reload, leave, return; what comes back is held for the first."""
    deal_id = await api.open_deal(host, stream_id, stock=1)
    holder = await api.guest("Holder")
    held = await api.claim(holder, stream_id, deal_id)
    line_up = f"/api/v1/streams/{stream_id}/deals/{deal_id}/waitlist"
    before = await api.guest("Before")
    assert (await api.call("POST", line_up, before)).status == 201
    viewer = await open_watch(browser, server.url, stream_id, size)
    await expect(viewer.get_by_test_id("deal-buy")).to_be_disabled()
    await viewer.get_by_test_id("wait-join").click()
    await expect(viewer.get_by_test_id("wait-place")).to_have_text("You are number 2 in line")
    assert (await api.call("DELETE", line_up, before)).status < 300
    await expect(viewer.get_by_test_id("wait-place")).to_have_text("You are first in line")
    await viewer.reload()
    await expect(viewer.get_by_test_id("wait-place")).to_have_text("You are first in line")
    await viewer.get_by_test_id("wait-leave").click()
    await expect(viewer.get_by_test_id("wait-place")).to_be_hidden()
    await viewer.get_by_test_id("wait-join").click()
    await expect(viewer.get_by_test_id("wait-place")).to_be_visible()
    assert (await api.call("POST", f"/api/v1/orders/{held.body['id']}/cancel", holder)).status == 200
    await expect(viewer.get_by_test_id("order-hold")).to_be_visible()
    await expect(viewer.get_by_test_id("order-refusal")).to_contain_text("reserved for you")
    await expect(viewer.get_by_test_id("wait-join")).to_be_hidden()
    await viewer.get_by_test_id("order-pay").click()
    await expect(viewer.get_by_test_id("order-receipt")).to_be_visible()


@SIZES
async def test_talking_too_fast(browser: Browser, server: RunningServer, stream_id: str, size: tuple[int, int]) -> None:
    """The third line in a row is refused with the seconds to wait, and stays in the field."""
    viewer = await open_watch(browser, server.url, stream_id, size)
    for text in ("one", "two"):
        await says(viewer, text)
        await hears(viewer, text)
    await says(viewer, "three")
    note = viewer.get_by_test_id("chat-refusal")
    await told(note, "rate_limited", "Wait ")
    await expect(note).to_have_text(re.compile(r"Wait (1\d|20) seconds"))
    await expect(viewer.get_by_test_id("chat-input")).to_have_value("three")
    await expect(line(viewer, "three")).to_have_count(0)


async def test_an_ended_show(browser: Browser, server: RunningServer, api: Api, host: Person, stream_id: str) -> None:
    """A viewer is told at once when the show ends; who comes later is told too. What never was is told as well."""
    await api.open_deal(host, stream_id)
    viewer = await open_watch(browser, server.url, stream_id)
    await viewer.get_by_test_id("deal-buy").click()
    await expect(viewer.get_by_test_id("order-hold")).to_be_visible()
    assert (await api.call("DELETE", f"/api/v1/streams/{stream_id}", host)).status < 300
    await expect(viewer.get_by_test_id("poster")).to_contain_text("The show has ended", timeout=PATIENCE_MS)
    await expect(viewer.get_by_test_id("chat-input")).to_be_disabled()
    # what is reserved stays payable, without a room
    await viewer.get_by_test_id("order-pay").click()
    await expect(viewer.get_by_test_id("order-receipt")).to_be_visible()

    late = await open_page(browser, f"{server.url}/watch/{stream_id}", DESK)
    await expect(late.get_by_test_id("poster")).to_contain_text("The show has ended", timeout=PATIENCE_MS)
    await expect(late.get_by_test_id("chat-input")).to_be_disabled()
    nowhere = await open_page(browser, f"{server.url}/watch/nothing-here", PHONE)
    await expect(nowhere.get_by_test_id("poster")).to_contain_text("There is no such show.")


async def test_a_forged_token(browser: Browser, server: RunningServer, stream_id: str) -> None:
    """A link with a token this server did not sign is refused in words, and the token leaves the address bar."""
    forged = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4IiwiZXhwIjo5OTk5OTk5OTk5LCJhdWQiOiJsaXZlY29tbWVyY2UifQ.c2ln"
    viewer = await open_page(browser, f"{server.url}/watch/{stream_id}#token={forged}", PHONE)
    await expect(viewer).to_have_url(f"{server.url}/watch/{stream_id}")
    # a bad token is dropped and the visitor becomes a guest, who can talk
    await says(viewer, "still here")
    await hears(viewer, "still here")
    assert (await who_is(viewer)).id != "x"
