"""The host and the audience: questions, polls, words, moderators, bans; and axe over every part of the studio."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.api import Api
from tests.browser import shared
from tests.browser.axe import faint, faults
from tests.browser.desk import buy, command, host_of, show_products, studio, turn
from tests.browser.pages import (
    DESK,
    PATIENCE_MS,
    PHONE,
    SIZES,
    hears,
    joined,
    open_page,
    open_watch,
    says,
    sign_in_to_studio,
    who_is,
)
from tests.running import RunningServer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), shared.LOOP]
browser, server, api = shared.browser, shared.server, shared.api


@SIZES
async def test_the_audience_in_hand(browser: Browser, server: RunningServer, api: Api, size: tuple[int, int]) -> None:
    """A question answered, a poll with live votes, a word blocked, a moderator made, a ban undone."""
    page, stream_id, _ = await studio(browser, server.url, size)
    await turn(page, "chat")
    viewer = await open_watch(browser, server.url, stream_id, size)
    ann = await who_is(viewer)
    await says(viewer, "does it ship to Ghent?")
    await hears(page, "does it ship to Ghent?")
    message = await page.get_by_test_id("chat-line").get_attribute("data-id")
    asked = await command(page, "question.ask", message_id=message)
    assert asked["offset"] > 0
    await expect(page.get_by_test_id("question-count")).to_have_text("1")
    await turn(page, "questions")
    await expect(page.get_by_test_id("question")).to_contain_text("ship to Ghent")
    await page.get_by_test_id("question-answer").click()
    await expect(page.get_by_test_id("question")).to_have_count(0)
    await expect(page.get_by_test_id("question-count")).to_be_hidden()

    await turn(page, "poll")
    await page.get_by_test_id("poll-question").fill("Which colour?")
    for place, answer in enumerate(("Blue", "Red")):
        await page.get_by_test_id("poll-answer").nth(place).fill(answer)
    await page.get_by_test_id("poll-open").click()
    await expect(page.get_by_test_id("poll-result")).to_contain_text("Which colour?")
    await command(
        page, "poll.vote", poll_id=await page.get_by_test_id("poll-result").get_attribute("data-id"), answer=1
    )
    await expect(page.get_by_test_id("poll-count")).to_have_text(["0 · 0%", "1 · 100%"])
    await page.get_by_test_id("poll-close").click()
    await expect(page.get_by_test_id("poll-result")).to_have_attribute("data-state", "closed")
    await expect(page.get_by_test_id("poll-open")).to_be_visible()

    await turn(page, "rules")
    await page.get_by_test_id("word-new").fill("rotten")
    await page.get_by_test_id("word-add").click()
    await expect(page.get_by_test_id("word")).to_have_text("rotten")
    await page.get_by_test_id("moderator-new").select_option(ann.id)
    await page.get_by_test_id("moderator-add").click()
    await expect(page.get_by_test_id("moderator")).to_contain_text(ann.name)
    await page.reload()
    await joined(page)
    await turn(page, "rules")
    await expect(page.get_by_test_id("word")).to_have_text("rotten")
    await page.get_by_test_id("moderator-remove").click()
    await expect(page.get_by_test_id("moderator")).to_have_count(0)
    await page.get_by_test_id("word").click()
    await expect(page.get_by_test_id("word")).to_have_count(0)
    await command(page, "chat.ban", user_id=ann.id, seconds=600)
    await expect(viewer.get_by_test_id("poster")).to_contain_text("closed this show to you", timeout=PATIENCE_MS)
    await turn(page, "chat")
    await turn(page, "rules")
    await expect(page.get_by_test_id("ban")).to_contain_text("until")
    await page.get_by_test_id("unban").click()
    await expect(page.get_by_test_id("ban")).to_have_count(0)
    await viewer.reload()
    await joined(viewer)


PARTS = ("deals", "products", "orders", "insights", "chat", "questions", "poll", "rules")


@SIZES
async def test_axe_finds_nothing(browser: Browser, server: RunningServer, api: Api, size: tuple[int, int]) -> None:
    """WCAG 2.2 AA, as far as a machine can tell: the door, every panel filled, the help."""
    page = await open_page(browser, f"{server.url}/studio", size)
    found = {"door": await faults(page)}
    stream_id = await sign_in_to_studio(page)
    host = await host_of(page)
    await show_products(api, host, stream_id, "Mug", "Bag")
    deal_id = await api.open_deal(host, stream_id)
    await buy(api, stream_id, deal_id, "Ada")
    await expect(page.get_by_test_id("order-row")).to_have_count(1)
    found["desk"] = await faults(page) + await faint(page)
    for part in PARTS:
        phone = size == PHONE and part in ("deals", "products", "orders", "insights", "chat")
        await page.get_by_test_id(f"{'tab' if phone else 'part'}-{part}").click()
        found[part] = await faults(page, f"#panel-{part}") + await faint(page, f"#panel-{part}")
    if size == DESK:
        await page.get_by_test_id("shortcuts").click()
        found["help"] = await faults(page)
    assert {part: wrong for part, wrong in found.items() if wrong} == {}
