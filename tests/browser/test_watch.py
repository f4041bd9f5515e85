"""What viewers do beside watching and talking: vote, choose units, look at goods and orders; axe on every state."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect

from tests.api import Api
from tests.browser import shared
from tests.browser.axe import faint, faults
from tests.browser.pages import PATIENCE_MS, SIZES, open_page, open_watch, told, who_is
from tests.browser.stage import Stage, eur

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), shared.LOOP]
browser, server, api = shared.browser, shared.server, shared.api

#: the whole of /watch without media, over the network (CONTRIBUTING: a phone on a slow line)
MOST_BYTES = 120_000
#: a host's desk comes by a better line, as it has to send pictures
MOST_DESK_BYTES = 130_000
#: what a page may move by itself, as Core Web Vitals count it: "good" is below 0.1
MOST_SHIFT = 0.02

#: counts what moved without anybody's doing, from the first paint on
SHIFTS = """
window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@SIZES
async def test_voting(browser: Browser, api: Api, size: tuple[int, int]) -> None:
    """One vote, counted live, remembered over a reload; the deal's countdown stays in sight; then the result, too."""
    stage = await Stage.set(api)
    page = await open_watch(browser, api.url, stage.stream_id, size)
    await stage.fill_showcase()
    await stage.deal()
    asked = {"question": "Which colour?", "answers": ["Cobalt", "Moss"], "seconds": 60}
    poll = (await stage.do(stage.host, "poll.open", **asked))["poll"]
    await page.get_by_test_id("poll-choice").filter(has_text="Moss").click()
    await expect(page.get_by_test_id("poll-votes")).to_have_text("1 vote", timeout=PATIENCE_MS)
    await stage.do(await stage.person("Ada"), "poll.vote", poll_id=poll["id"], answer=0)
    await expect(page.get_by_test_id("poll-votes")).to_have_text("2 votes", timeout=PATIENCE_MS)
    await expect(page.get_by_test_id("deal-countdown")).to_be_in_viewport(ratio=1)
    await expect(page.get_by_test_id("deal-buy")).to_be_in_viewport(ratio=1)
    assert await faults(page) == []
    await page.reload()
    chosen = page.get_by_test_id("poll-choice").filter(has_text="Moss")
    await expect(chosen).to_have_attribute("aria-pressed", "true", timeout=PATIENCE_MS)
    await expect(chosen).to_be_disabled()
    await stage.do(stage.host, "poll.close", poll_id=poll["id"])
    await expect(page.get_by_test_id("poll-card")).to_have_attribute("data-state", "closed", timeout=PATIENCE_MS)
    await expect(page.get_by_test_id("announcer")).to_contain_text("The poll is over")
    await page.reload()
    await expect(page.get_by_test_id("poll-card")).to_have_attribute("data-state", "closed", timeout=PATIENCE_MS)
    await expect(page.get_by_test_id("poll-votes")).to_have_text("2 votes")
    await expect(chosen).to_have_attribute("aria-pressed", "true")
    await page.context.close()


@SIZES
async def test_shopping(browser: Browser, api: Api, size: tuple[int, int]) -> None:
    """A product's sheet, two units in one tap, labelled countdowns, the receipt, orders, money back; axe clean."""
    stage = await Stage.set(api)
    await stage.fill_showcase()
    page = await open_watch(browser, api.url, stage.stream_id, size)
    found = {"before": await faults(page)}
    await page.get_by_test_id("product-card").click()
    sheet = page.get_by_test_id("product-sheet")
    await expect(sheet).to_contain_text("glazed in poppy red")
    await expect(sheet).to_contain_text("€18.00")
    await page.get_by_test_id("sheet-item").filter(has_text="Desk lamp").click()
    await expect(sheet).to_contain_text("a switch that clicks")
    found["sheet"] = await faults(page, "[data-testid=product-sheet]")
    await page.keyboard.press("Escape")
    await expect(sheet).to_be_hidden()

    deal_id = await stage.deal(stock=4)
    await page.get_by_test_id("units-more").click()
    await expect(page.get_by_test_id("deal-buy")).to_have_text("Buy 2 · €17.00")
    found["open"] = await faults(page) + await faint(page)
    await page.get_by_test_id("deal-buy").click()
    await expect(page.get_by_test_id("hold-countdown")).to_contain_text("Pay within")
    await expect(page.get_by_test_id("deal-countdown")).to_contain_text("Deal ends")
    found["held"] = await faults(page, ".side")
    await page.get_by_test_id("order-pay").click()
    await expect(page.get_by_test_id("order-receipt")).to_contain_text("€17.00")
    found["receipt"] = await faults(page, ".side") + await faint(page, ".side")
    await page.get_by_test_id("receipt-done").click()
    await stage.buys(deal_id, "Ada", "Bram", pay=False)
    await expect(page.get_by_test_id("deal-card")).to_have_attribute("data-state", "sold_out", timeout=PATIENCE_MS)
    found["sold out"] = await faults(page, ".side")

    await page.get_by_test_id("my-orders").click()
    await expect(page.get_by_test_id("my-order")).to_have_count(1)
    await expect(page.get_by_test_id("my-order-state")).to_have_text("paid")
    await page.get_by_test_id("my-order").locator("summary").click()
    found["orders"] = await faults(page, "[data-testid=my-orders-sheet]")
    (order,) = (await api.call("GET", "/api/v1/orders", await who_is(page))).body["items"]
    refunded = await api.call("POST", f"/api/v1/orders/{order['id']}/refund", stage.host)
    assert refunded.status == 200, refunded
    await expect(page.get_by_test_id("my-order-state")).to_have_text(re.compile("refund"), timeout=PATIENCE_MS)
    await page.get_by_test_id("my-orders-close").click()
    await expect(page.get_by_test_id("order-refusal")).to_contain_text(re.compile("on its way back|paid back"))

    assert (await api.call("DELETE", f"/api/v1/streams/{stage.stream_id}", stage.host)).status < 300
    await expect(page.get_by_test_id("end-product")).to_have_count(3, timeout=PATIENCE_MS)
    found["ended"] = await faults(page)
    assert {state: wrong for state, wrong in found.items() if wrong} == {}
    await page.context.close()


@SIZES
async def test_home_shows_what_is_sold(browser: Browser, api: Api, size: tuple[int, int]) -> None:
    """A show's card has its pictures and the price of its deal, moves nothing by itself, and pleases axe."""
    stage = await Stage.set(api, title=f"The {size[0]} show")
    await stage.fill_showcase()
    await stage.deal()
    page = await open_page(browser, api.url, size, script=SHIFTS)
    card = page.locator(f"[data-testid=home-stream][data-id={stage.stream_id}]")
    await card.scroll_into_view_if_needed()  # a card that nobody sees does not ask what is sold
    await expect(card).to_contain_text("€8.50", timeout=PATIENCE_MS)
    await expect(card).to_contain_text("Flash deal")
    await expect(card.locator(".cover-goods img")).to_have_count(3)
    assert await faults(page) + await faint(page) == []
    assert await page.evaluate("window.shift") < MOST_SHIFT
    await page.context.close()


async def test_a_visit_is_small_and_the_next_one_smaller(browser: Browser, api: Api) -> None:
    """All that a page loads but pictures and media, as the browser counts it; nothing shifts; the next is cached."""
    stage = await Stage.set(api)
    page = await open_watch(browser, api.url, stage.stream_id, script=SHIFTS)
    # The list of shows is as long as there are shows: its own weight is that of the page.
    counted = """(list) => [...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]
      .filter((entry) => !entry.name.includes('/whep/') && entry.initiatorType !== 'img')
      .filter((entry) => !list || !entry.name.includes('/api/'))
      .reduce((sum, entry) => sum + entry.transferSize, 0)"""
    first = await page.evaluate(counted, False)
    assert 20_000 < first < MOST_BYTES
    assert await page.evaluate("window.shift") < MOST_SHIFT
    await page.reload()
    await expect(page.locator("body")).to_have_attribute("data-room", "joined", timeout=PATIENCE_MS)
    again = await page.evaluate(counted, False)
    assert again < first / 5
    for path, most, there in (("/", MOST_BYTES / 2, "home-streams"), ("/studio", MOST_DESK_BYTES, "studio-name")):
        other = await open_page(browser, api.url + path, script=SHIFTS)
        await expect(other.get_by_test_id(there)).to_be_visible(timeout=PATIENCE_MS)
        assert 10_000 < await other.evaluate(counted, path == "/") < most, path
        assert await other.evaluate("window.shift") < MOST_SHIFT, path


@SIZES
async def test_terms_of_a_deal(browser: Browser, api: Api, size: tuple[int, int]) -> None:
    """A ticket fetched behind the tap; take three, pay two; a code that is refused and one that is not; shipping."""
    stage = await Stage.set(api)
    await stage.fill_showcase()
    await stage.ask("PUT", "shipping", {"price": eur(495), "free_from": None})
    await stage.ask("PUT", "codes/EVENING", {"percent": 20})
    page = await open_watch(browser, api.url, stage.stream_id, size)
    await stage.deal(ticketed=True, per_buyer_limit=3, buy_x_pay_y={"buy": 3, "pay": 2})
    card, buy = page.get_by_test_id("deal-card"), page.get_by_test_id("deal-buy")
    await expect(card).to_contain_text("Take 3, pay 2", timeout=PATIENCE_MS)
    await expect(card).to_contain_text("Lowest price of the last 30 days: €12.50")
    for _ in range(2):
        await page.get_by_test_id("units-more").click()
    await expect(buy).to_have_text("Buy 3 · €17.00")
    await page.get_by_test_id("code-open").click()
    await page.get_by_test_id("code-input").fill("morning")
    await buy.click()
    await told(page.get_by_test_id("refusal"), "code_unknown", "not valid")
    await page.get_by_test_id("code-input").fill("evening")
    assert await faults(page) == []
    await buy.click()
    await expect(page.get_by_test_id("order-pay")).to_have_text("Pay €18.55", timeout=PATIENCE_MS)
    await page.get_by_test_id("order-pay").click()
    receipt = page.get_by_test_id("order-receipt")
    for words in ("3 × Red mug", "Code EVENING", "−€3.40", "Shipping", "€4.95", "€18.55"):
        await expect(receipt).to_contain_text(words, timeout=PATIENCE_MS)
    assert await faults(page) == []
    await page.context.close()
