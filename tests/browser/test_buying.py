"""From the host's terms to the receipt: a fair start, by keyboard alone, with little motion, without a picture."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.api import Api
from tests.browser import shared
from tests.browser.desk import studio
from tests.browser.pages import DESK, PATIENCE_MS, PHONE, hears, open_watch, says
from tests.browser.stage import Stage
from tests.running import RunningServer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), shared.LOOP]
browser, server, api = shared.browser, shared.server, shared.api

#: more steps than the page has places to stand on
MOST_TABS = 40
NO_WEBRTC = "delete window.RTCPeerConnection;"
FOCUSED = "() => document.activeElement?.closest('[data-testid]')?.dataset.testid"


async def tab_to(page: Page, testid: str) -> None:
    """Press Tab until this is in focus."""
    for _ in range(MOST_TABS):
        if await page.evaluate(FOCUSED) == testid:
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {testid}")


async def test_a_fair_start_from_the_composer(browser: Browser, server: RunningServer, api: Api) -> None:
    """Three for two, with claim tickets: composed at the desk, taken by a tap that fetched its ticket, paid as said."""
    page, stream_id, _ = await studio(browser, server.url)
    viewer = await open_watch(browser, server.url, stream_id, PHONE)
    for field, value in (("title", "Blue mug"), ("price", "10.00"), ("units", "9"), ("limit", "3")):
        await page.get_by_test_id(f"deal-{field}").fill(value)
    await page.get_by_test_id("deal-more").locator("summary").click()
    await page.get_by_test_id("deal-buy-x").fill("3")
    await page.get_by_test_id("deal-pay-y").fill("2")
    await page.get_by_test_id("deal-ticketed").check()
    await page.get_by_test_id("deal-open").click()
    await expect(viewer.get_by_test_id("deal-card")).to_contain_text("Take 3, pay 2", timeout=PATIENCE_MS)
    (deal,) = (await api.call("GET", f"/api/v1/streams/{stream_id}/deals")).body["items"]
    without = await api.claim(await api.guest("Hasty"), stream_id, deal["id"])
    assert (without.status, without.code) == (403, "ticket_required")
    for _ in range(2):
        await viewer.get_by_test_id("units-more").click()
    await expect(viewer.get_by_test_id("deal-buy")).to_have_text("Buy 3 · €20.00")
    await viewer.get_by_test_id("deal-buy").click()
    await expect(viewer.get_by_test_id("order-pay")).to_have_text("Pay €20.00", timeout=PATIENCE_MS)
    await viewer.get_by_test_id("order-pay").click()
    await expect(viewer.get_by_test_id("order-receipt")).to_contain_text("3 × Blue mug", timeout=PATIENCE_MS)
    await page.get_by_test_id("part-orders").click()
    await expect(page.get_by_test_id("revenue")).to_have_text("€20.00", timeout=PATIENCE_MS)


async def test_a_purchase_by_keyboard_alone(browser: Browser, api: Api) -> None:
    """Tab finds the deal; from there Enter is enough: the next step has the focus each time."""
    stage = await Stage.set(api)
    await stage.fill_showcase()
    page = await open_watch(browser, api.url, stage.stream_id, DESK)
    await stage.deal()
    await expect(page.get_by_test_id("deal-buy")).to_be_enabled(timeout=PATIENCE_MS)
    await tab_to(page, "deal-buy")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("order-pay")).to_be_focused(timeout=PATIENCE_MS)
    outline = "() => getComputedStyle(document.activeElement).outlineStyle"
    assert await page.evaluate(outline) == "solid"
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("receipt-done")).to_be_focused(timeout=PATIENCE_MS)
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("order-receipt")).to_have_count(0)
    await tab_to(page, "my-orders")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("my-order-state")).to_have_text("paid")


async def test_little_motion_for_who_wants_little(browser: Browser, api: Api) -> None:
    """Cards, hearts and rings do not move, and everything still happens."""
    stage = await Stage.set(api)
    await stage.fill_showcase()
    page = await open_watch(browser, api.url, stage.stream_id, PHONE)
    await page.emulate_media(reduced_motion="reduce")
    deal_id = await stage.deal(duration_s=10, stock=4)
    await stage.buys(deal_id, "Ada", "Bram", "Chloé")
    await expect(page.get_by_test_id("deal-left")).to_have_text("1 left", timeout=PATIENCE_MS)
    await expect(page.get_by_test_id("deal-card")).to_contain_text("Almost gone!")
    ring = page.get_by_test_id("deal-countdown")
    await expect(ring).to_have_attribute("data-urgent", "true", timeout=PATIENCE_MS)
    await page.get_by_test_id("heart").click()
    moving = """() => document.getAnimations()
      .map((each) => each.effect.getComputedTiming())
      .filter(({ duration, iterations }) => duration * iterations > 2).length"""
    assert await page.evaluate(moving) == 0
    await page.emulate_media(reduced_motion="no-preference")
    assert await page.evaluate(moving) > 0


async def test_a_browser_without_live_video_can_still_talk_and_buy(browser: Browser, api: Api) -> None:
    """It is told once, in words; chat and deals go on beside it."""
    stage = await Stage.set(api)
    await stage.fill_showcase()
    await stage.deal()
    page = await open_watch(browser, api.url, stage.stream_id, PHONE, script=NO_WEBRTC)
    await expect(page.get_by_test_id("poster")).to_contain_text("No picture in this browser")
    await says(page, "I can only read")
    await hears(page, "I can only read")
    await page.get_by_test_id("deal-buy").click()
    await expect(page.get_by_test_id("order-hold")).to_be_visible()
