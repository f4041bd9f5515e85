"""The host's page: on a phone and a desk, through reloads, and where the camera is refused or missing."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.api import Api
from tests.browser import shared
from tests.browser.desk import turn
from tests.browser.pages import (
    DESK,
    PATIENCE_MS,
    PHONE,
    SIZES,
    hears,
    line,
    open_page,
    open_watch,
    says,
    show_of,
    sign_in_to_studio,
    told,
)
from tests.running import RunningServer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), shared.LOOP]
browser, server, api = shared.browser, shared.server, shared.api


def camera_that(throws: str) -> str:
    """A browser whose camera always answers with this DOMException."""
    return f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('', '{throws}'); }};"


INSECURE = "Object.defineProperty(globalThis, 'isSecureContext', { value: false });"
OLD = "Object.defineProperty(navigator, 'mediaDevices', { value: undefined });"
NO_CAMERA = [
    (camera_that("NotAllowedError"), "camera_denied", "Allow camera and microphone for this page"),
    (camera_that("NotFoundError"), "camera_missing", "No camera or microphone was found"),
    (camera_that("NotReadableError"), "camera_busy", "Another program is using the camera"),
    (OLD, "browser_old", "Please update it"),
    (INSECURE, "insecure", "--tls-cert"),
]


@SIZES
async def test_no_camera_is_told_in_plain_words(browser: Browser, server: RunningServer, size: tuple[int, int]) -> None:
    """Whatever the reason, the host reads it under the button, stays off the air, and can try again."""
    page = await open_page(browser, f"{server.url}/studio", size, script=NO_CAMERA[0][0])
    await sign_in_to_studio(page)
    for script, code, words in NO_CAMERA:
        await page.evaluate(f"() => {{ {script} }}")
        await page.get_by_test_id("go-live").click()
        await told(page.get_by_test_id("studio-refusal"), code, words)
        await expect(page.get_by_test_id("go-live")).to_be_enabled()
        await expect(page.get_by_test_id("studio-state")).to_have_attribute("data-state", "ready")


async def test_a_phone_is_enough_to_sell(browser: Browser, server: RunningServer, api: Api) -> None:
    """Live on a phone, the host finds the composer, the buyers' orders and the chat by the tabs below."""
    host = await open_page(browser, f"{server.url}/studio", PHONE)
    stream_id = await sign_in_to_studio(host)
    await host.get_by_test_id("go-live").tap()
    await expect(host.get_by_test_id("studio-state")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
    await expect(host.get_by_test_id("tab-deals")).to_be_in_viewport()
    await host.get_by_test_id("tab-deals").tap()
    for field, value in (("deal-title", "Blue mug"), ("deal-price", "4.50"), ("deal-units", "2")):
        await host.get_by_test_id(field).fill(value)
    await host.get_by_test_id("deal-open").tap()
    await expect(host.get_by_test_id("board-state")).to_have_text("Open")
    await expect(host.get_by_test_id("deal-close")).to_be_in_viewport()
    (deal,) = (await api.call("GET", f"/api/v1/streams/{stream_id}/deals")).body["items"]
    assert (deal["price"], deal["stock"]) == ({"amount": 450, "currency": "EUR"}, 2)
    buyer = await api.guest("Ada")
    assert (await api.claim(buyer, stream_id, deal["id"])).status == 201
    await expect(host.get_by_test_id("board-left")).to_have_text("1")
    await host.get_by_test_id("tab-orders").tap()
    await expect(host.get_by_test_id("order-row")).to_contain_text("Ada", timeout=PATIENCE_MS)
    await host.get_by_test_id("tab-chat").tap()
    await says(host, "one left!")
    await hears(host, "one left!")


@SIZES
async def test_the_show_goes_on_after_a_reload(browser: Browser, server: RunningServer, size: tuple[int, int]) -> None:
    """A reload finds the same show, its deals and chat; the door offers it too, until it has ended."""
    host = await open_page(browser, f"{server.url}/studio", size)
    stream_id = await sign_in_to_studio(host, title="Same show")
    await turn(host, "deals")
    await host.get_by_test_id("deal-title").fill("Blue mug")
    await host.get_by_test_id("deal-price").fill("4.50")
    await host.get_by_test_id("deal-open").click()
    await expect(host.get_by_test_id("board-deal")).to_have_count(1)
    await turn(host, "chat")
    await says(host, "before the reload")
    await hears(host, "before the reload")
    await host.reload()
    assert await show_of(host) == stream_id
    await expect(host.get_by_test_id("board-deal")).to_have_count(1)
    await hears(host, "before the reload")

    await host.evaluate("() => localStorage.removeItem('livecommerce.show')")
    await host.reload()
    await host.get_by_test_id("continue-stream").filter(has_text="Same show").click()
    assert await show_of(host) == stream_id
    await turn(host, "show")
    await host.get_by_test_id("end-stream").click()
    await host.get_by_test_id("end-confirm").click()
    await expect(host.get_by_test_id("studio-ended")).to_be_visible()
    await host.get_by_test_id("new-show").click()
    await expect(host.get_by_test_id("studio-title")).to_be_visible()
    await expect(host.get_by_test_id("continue-stream")).to_have_count(0)


async def test_the_newest_window_has_the_show(browser: Browser, server: RunningServer) -> None:
    """Going live from a second window stops the first, which says why and does not fight back."""
    first = await open_page(browser, f"{server.url}/studio", DESK)
    await sign_in_to_studio(first)
    await first.get_by_test_id("go-live").click()
    await expect(first.get_by_test_id("studio-state")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
    second = await first.context.new_page()
    await second.goto(f"{server.url}/studio")
    await second.get_by_test_id("go-live").click()
    await expect(second.get_by_test_id("studio-state")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
    await expect(first.get_by_test_id("studio-refusal")).to_contain_text("another window")
    await expect(first.get_by_test_id("go-live")).to_be_visible()
    await expect(second.get_by_test_id("pause-stream")).to_be_visible()


async def test_a_banned_viewer_is_told_and_silent(browser: Browser, server: RunningServer) -> None:
    """A deleted line vanishes; a banned viewer reads why, cannot write, and a reload does not help."""
    host = await open_page(browser, f"{server.url}/studio", DESK)
    stream_id = await sign_in_to_studio(host)
    viewer = await open_watch(browser, server.url, stream_id, DESK)
    for text in ("rude", "ruder"):
        await says(viewer, text)
        await hears(host, text)
    await line(host, "ruder").hover()
    await line(host, "ruder").get_by_test_id("chat-delete").click()
    await expect(line(viewer, "ruder")).to_have_count(0)
    await line(host, "rude").hover()
    await line(host, "rude").get_by_test_id("chat-ban").click()
    for _ in range(2):
        await expect(viewer.get_by_test_id("poster")).to_contain_text("closed this show to you", timeout=PATIENCE_MS)
        await expect(viewer.get_by_test_id("chat-input")).to_be_hidden()
        await expect(viewer.get_by_test_id("deal-buy")).to_be_hidden()
        await viewer.reload()


@SIZES
async def test_the_host_has_the_room_in_hand(browser: Browser, server: RunningServer, size: tuple[int, int]) -> None:
    """Pin, announce, slow down, pause and resume: each is seen by a viewer at once, and by one who comes later."""
    host = await open_page(browser, f"{server.url}/studio", size)
    stream_id = await sign_in_to_studio(host)
    viewer = await open_watch(browser, server.url, stream_id, size)
    await turn(host, "chat")
    await says(host, "the rules of tonight")
    await line(host, "the rules of tonight").focus()
    await line(host, "the rules of tonight").get_by_test_id("chat-pin").click()
    await expect(viewer.get_by_test_id("chat-pinned")).to_contain_text("the rules of tonight")
    await turn(host, "rules")
    await host.get_by_test_id("announce-text").fill("free shipping")
    await host.get_by_test_id("announce").click()
    await expect(viewer.get_by_test_id("chat-lines")).to_contain_text("free shipping")
    await host.get_by_test_id("slow-mode").select_option("30")
    await expect(viewer.get_by_test_id("chat-input")).to_have_attribute(
        "placeholder", "Say something … (30 seconds apart)"
    )
    await says(viewer, "first")
    await expect(line(host, "first")).to_have_count(1)
    await says(viewer, "second")
    await told(viewer.get_by_test_id("chat-refusal"), "rate_limited", "seconds")
    await host.get_by_test_id("freeze-chat").click()
    await expect(viewer.get_by_test_id("chat-input")).to_be_disabled()
    await viewer.reload()
    await expect(viewer.get_by_test_id("chat-input")).to_be_disabled(timeout=PATIENCE_MS)
    await expect(viewer.get_by_test_id("chat-pinned")).to_contain_text("the rules of tonight")
    await host.get_by_test_id("freeze-chat").click()
    await expect(viewer.get_by_test_id("chat-input")).to_be_enabled()
    await turn(host, "chat")
    await host.get_by_test_id("chat-unpin").click()
    await expect(viewer.get_by_test_id("chat-pinned")).to_be_hidden()
