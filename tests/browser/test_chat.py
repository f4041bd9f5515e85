"""The chat as viewers use it: answers, names, questions, hearts, moderation from a line, the keyboard."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.api import Api
from tests.browser import shared
from tests.browser.axe import faults
from tests.browser.pages import DESK, PATIENCE_MS, SIZES, hears, line, open_page, open_watch, says, until, who_is
from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), shared.LOOP]
browser, server, api = shared.browser, shared.server, shared.api


@SIZES
async def test_talking(browser: Browser, api: Api, size: tuple[int, int]) -> None:
    """Answer a line, be named, ask a question and see it answered; a deleted line leaves no quote behind."""
    stage = await Stage.set(api)
    page = await open_watch(browser, api.url, stage.stream_id, size)
    me = await who_is(page)
    spoken = await stage.says("Ada", "does it come in blue?")
    await hears(page, "does it come in blue?")
    await act_on(page, "does it come in blue?", "chat-reply")
    await expect(page.get_by_test_id("chat-replying")).to_contain_text("Ada")
    await says(page, "I hope so")
    answer = line(page, "I hope so")
    await expect(answer.get_by_test_id("chat-quote")).to_contain_text("Ada: does it come in blue?", timeout=PATIENCE_MS)
    await expect(page.get_by_test_id("chat-replying")).to_be_hidden()

    await stage.says("Bram", f"@{me.name} it does")
    await expect(line(page, "it does")).to_have_class(re.compile("for-me"), timeout=PATIENCE_MS)
    await expect(page.get_by_test_id("chat-aside")).to_contain_text("Bram")

    await names_and_hearts(page, stage)
    await page.get_by_test_id("chat-asking").click()
    await says(page, "how much do they hold?")
    mark = line(page, "how much").get_by_test_id("chat-question")
    await expect(mark).to_have_text("Question", timeout=PATIENCE_MS)
    await expect(page.get_by_test_id("chat-asking")).to_have_attribute("aria-pressed", "false")
    question = await line(page, "how much").get_attribute("data-id")
    await stage.do(stage.host, "question.answer", message_id=question)
    await expect(mark).to_have_text("Answered", timeout=PATIENCE_MS)
    assert await faults(page) == []

    await stage.do(stage.host, "chat.delete", message_id=spoken)
    await expect(answer.get_by_test_id("chat-quote")).to_have_text("an earlier message", timeout=PATIENCE_MS)
    await page.context.close()


async def names_and_hearts(page: Page, stage: Stage) -> None:
    """An @ offers who may be meant; a name from right to left keeps to itself; two taps on the picture are a heart."""
    field = page.get_by_test_id("chat-input")
    await field.fill("@b")
    await expect(page.get_by_test_id("mention")).to_have_text(["Bram"])
    await field.press("Enter")
    await expect(field).to_have_value("@Bram ")
    await field.fill("@")
    await expect(page.get_by_test_id("mention")).to_have_text(["Hanna", "Bram", "Ada"])
    await field.press("ArrowDown")
    assert await faults(page) == []
    await field.press("Escape")
    await expect(page.get_by_test_id("mention-list")).to_be_hidden()
    await field.fill("")

    await stage.says("דניאל", "how large is it?")
    await hears(page, "how large is it?")
    name = line(page, "how large is it?").locator(".line-name")
    assert await name.evaluate("(name) => getComputedStyle(name).unicodeBidi") == "isolate"
    async with stage.room(stage.host) as room:
        await page.locator("video-stage").dblclick(position={"x": 180, "y": 140})
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while (event := await room.next_event()) is not None and event.type != "reactions":
                pass
        assert event is not None
        assert event.data == {"heart": 1}


async def act_on(page: Page, text: str, action: str) -> None:
    """One tap on a line where there is a finger, a hover where there is a mouse, then the action."""
    found = line(page, text)
    if await page.evaluate("matchMedia('(hover: hover)').matches"):
        await found.hover()
    else:
        await found.locator(".line-text").tap()
    await found.get_by_test_id(action).click()


@SIZES
async def test_a_moderator_acts_from_a_line(browser: Browser, api: Api, size: tuple[int, int]) -> None:
    """Appointed by the host in one click; time out, clear and question marks in one click each; no viewer has them."""
    stage = await Stage.set(api)
    page = await open_watch(browser, api.url, stage.stream_id, size)
    desk = await open_page(browser, f"{stage.url}#token={stage.host.token}", size)
    await says(page, "may I help?")
    await hears(desk, "may I help?")
    await line(page, "may I help?").focus()
    await expect(line(page, "may I help?").get_by_test_id("chat-reply")).to_be_visible()
    for staff in ("chat-delete", "chat-timeout", "chat-ban", "chat-appoint"):
        await expect(page.get_by_test_id(staff)).to_have_count(0)
    await act_on(desk, "may I help?", "chat-appoint")
    await expect(desk.get_by_test_id("chat-aside")).to_contain_text("moderator now")

    await page.reload()
    for text in ("buy gold at example dot com", "gold! gold!"):
        await stage.says("Spammer", text)
        await hears(page, text)
    await act_on(page, "gold! gold!", "chat-timeout")
    await act_on(page, "buy gold", "chat-clear")
    await expect(line(page, "gold")).to_have_count(0, timeout=PATIENCE_MS)
    journal = await stage.do(stage.host, "moderation.journal")
    assert {step["action"] for step in journal["items"]} >= {"ban", "clear_user"}
    await page.context.close()
    await desk.context.close()


async def test_the_chat_is_walked_by_keyboard(browser: Browser, api: Api) -> None:
    """Arrow keys go from line to line, Tab to what can be done with it, Escape out of an answer."""
    stage = await Stage.set(api)
    page = await open_watch(browser, api.url, stage.stream_id, DESK)
    for text in ("first words", "second words"):
        await stage.says("Ada", text)
        await hears(page, text)
    await page.get_by_test_id("chat-lines").focus()
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("ArrowUp")
    await expect(line(page, "first words")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(line(page, "first words").get_by_test_id("chat-reply")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("chat-input")).to_be_focused()
    await expect(page.get_by_test_id("chat-replying")).to_contain_text("first words")
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("chat-replying")).to_be_hidden()

    async def quiet() -> bool:
        return bool(await page.get_by_test_id("chat-lines").get_attribute("aria-live") == "off")

    await until("the log does not chatter", quiet)
    await page.context.close()
