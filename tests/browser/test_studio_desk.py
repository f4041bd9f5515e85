"""What a host does at the desk, flow by flow: tools, products, deals, prices, orders, figures, the keyboard."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.api import Api
from tests.browser import shared
from tests.browser.desk import buy, show_products, studio, titles, turn
from tests.browser.pages import PATIENCE_MS, PHONE, SIZES, joined, open_page, open_watch, told, until
from tests.running import RunningServer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), shared.LOOP]
browser, server, api = shared.browser, shared.server, shared.api


async def test_the_tools_beside_the_picture(browser: Browser, server: RunningServer) -> None:
    """Mute, picture off, mirror: seen and sent; health counts every size; the link is a QR code; a reload goes on."""
    page, stream_id, _ = await studio(browser, server.url)
    await page.get_by_test_id("go-live").click()
    state = page.get_by_test_id("studio-state")
    await expect(state).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
    enabled = (
        "() => document.querySelector('[data-testid=preview]').srcObject.getTracks().map((t) => t.kind + t.enabled)"
    )
    meter = page.get_by_test_id("level")
    await expect(meter).to_contain_text("Microphone")
    await page.get_by_test_id("mic-toggle").click()
    await expect(page.get_by_test_id("mic-toggle")).to_have_attribute("aria-pressed", "true")
    await expect(meter).to_contain_text("Muted")
    await page.keyboard.press("v")
    await expect(page.get_by_test_id("picture-off")).to_be_visible()
    assert set(await page.evaluate(enabled)) == {"audiofalse", "videofalse"}
    await page.get_by_test_id("camera-toggle").click()
    await page.get_by_test_id("mic-toggle").click()
    assert set(await page.evaluate(enabled)) == {"audiotrue", "videotrue"}
    flipped = "() => getComputedStyle(document.querySelector('[data-testid=preview]')).transform"
    assert await page.evaluate(flipped) == "matrix(-1, 0, 0, 1, 0, 0)"
    await page.get_by_test_id("mirror").click()
    assert await page.evaluate(flipped) == "none"
    await expect(page.get_by_test_id("health-bitrate")).to_contain_text("bit/s", timeout=PATIENCE_MS)
    sizes = page.get_by_test_id("health-layers").locator("tr[data-active=true]")
    await expect(sizes.first).to_contain_text("×", timeout=PATIENCE_MS)
    await expect(page.get_by_test_id("health-words")).to_be_hidden()
    await page.get_by_test_id("share-code").click()
    poster = page.get_by_test_id("share-poster").get_by_role("img")
    await expect(poster).to_have_attribute("aria-label", f"{server.url}/watch/{stream_id}")
    await page.keyboard.press("Escape")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_test_id("copy-link").click()
    await expect(page.get_by_test_id("copy-link")).to_contain_text("Copied")
    assert await page.evaluate("() => navigator.clipboard.readText()") == f"{server.url}/watch/{stream_id}"

    await the_screen_is_shared(page)
    await the_poster_is_seen(browser, server.url, stream_id)

    page.on("dialog", lambda dialog: dialog.accept())
    await page.reload()
    await joined(page)
    await expect(page.get_by_test_id("go-live")).to_contain_text("Go live again")
    await page.get_by_test_id("go-live").click()
    await expect(state).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
    await expect(page.get_by_test_id("on-air-time")).to_be_visible()


async def the_screen_is_shared(page: Page) -> None:
    """Instead of the camera, with the voice, and back; a host who thinks better of it stays on the air."""
    preview, tool = page.locator("live-preview"), page.get_by_test_id("screen-start")
    sent = "() => document.querySelector('live-preview').publisher.pc.getSenders().map((s) => s.track?.label)"
    camera = await page.evaluate(sent)
    await tool.click()
    await expect(preview).to_have_attribute("data-kind", "screen", timeout=PATIENCE_MS)
    await expect(tool).to_have_attribute("aria-pressed", "true")

    async def screen_instead() -> bool:
        microphone, picture = await page.evaluate(sent)
        assert microphone == camera[0], "the microphone goes on"
        return bool(picture != camera[1])

    await until("the screen is sent", screen_instead)
    await tool.click()
    await expect(preview).to_have_attribute("data-kind", "camera", timeout=PATIENCE_MS)

    async def camera_again() -> bool:
        return bool(await page.evaluate(sent) == camera)

    await until("the camera is sent again", camera_again)
    refuses = "async () => { throw new DOMException('', 'NotAllowedError'); }"
    await page.evaluate(f"() => {{ navigator.mediaDevices.getDisplayMedia = {refuses}; }}")
    await tool.click()
    await told(page.get_by_test_id("studio-refusal"), "screen_denied", "The screen was not shared.")
    await expect(page.get_by_test_id("studio-state")).to_have_attribute("data-state", "live")


async def the_poster_is_seen(browser: Browser, url: str, stream_id: str) -> None:
    """In the list of shows, and behind the words while a viewer's picture is on its way."""
    page = await open_page(browser, url, PHONE)
    card = page.locator(f"[data-testid=home-stream][data-id={stream_id}]")
    await expect(card.get_by_test_id("home-poster")).to_be_visible(timeout=PATIENCE_MS)
    await page.route("**/whep/**", lambda route: route.abort())
    await card.click()
    await expect(page.get_by_test_id("backdrop")).to_be_visible(timeout=PATIENCE_MS)
    assert await page.get_by_test_id("backdrop").evaluate("(image) => image.naturalWidth") > 100
    await page.context.close()


@SIZES
async def test_products_in_the_host_s_order(
    browser: Browser, server: RunningServer, api: Api, size: tuple[int, int]
) -> None:
    """By buttons, by dragging, told to everybody and kept; edited, pinned, sold from, removed."""
    page, stream_id, host = await studio(browser, server.url, size)
    await show_products(api, host, stream_id, "Mug", "Bag", "Lamp")
    await turn(page, "products")
    await expect(titles(page)).to_have_text(["Mug", "Bag", "Lamp"])
    first = page.get_by_test_id("product-item").first
    await expect(first.get_by_test_id("product-up")).to_be_disabled()
    await first.get_by_test_id("product-down").focus()
    await page.keyboard.press("Enter")
    await expect(titles(page)).to_have_text(["Bag", "Mug", "Lamp"])
    await page.keyboard.press("Enter")
    await expect(titles(page)).to_have_text(["Bag", "Lamp", "Mug"])
    rows = page.get_by_test_id("product-item")
    await rows.nth(2).drag_to(rows.nth(0), target_position={"x": 40, "y": 4})
    await expect(titles(page)).to_have_text(["Mug", "Bag", "Lamp"])

    async def kept() -> bool:
        listed = await api.call("GET", f"/api/v1/streams/{stream_id}/products")
        return [p["title"] for p in listed.body["items"]] == ["Mug", "Bag", "Lamp"]

    await until("the server has the order", kept)
    await rows.nth(1).get_by_test_id("product-edit").click()
    await page.get_by_test_id("product-title").fill("Tote bag")
    await page.get_by_test_id("product-save").click()
    await expect(titles(page)).to_have_text(["Mug", "Tote bag", "Lamp"])
    await rows.nth(1).get_by_test_id("product-pin").click()
    await expect(rows.nth(1).get_by_test_id("product-pin")).to_have_attribute("aria-pressed", "true")
    await rows.nth(2).get_by_test_id("product-remove").click()
    await expect(titles(page)).to_have_text(["Mug", "Tote bag"])
    await rows.nth(1).get_by_test_id("product-sell").click()
    await expect(page.get_by_test_id("deal-title")).to_have_value("Tote bag")
    await expect(page.get_by_test_id("deal-price")).to_be_focused()


@SIZES
async def test_a_deal_from_preset_to_refund(
    browser: Browser, server: RunningServer, api: Api, size: tuple[int, int]
) -> None:
    """Above the fold: start, stock, alarm, claims a second, revenue; extend, close; orders, refund, CSV; figures."""
    page, stream_id, _ = await studio(browser, server.url, size)
    await turn(page, "deals")
    await page.get_by_test_id("preset-lightning").click()
    for field, value in (("title", "Mug"), ("price", "5.00"), ("units", "4")):
        await page.get_by_test_id(f"deal-{field}").fill(value)
    await page.get_by_test_id("deal-start").select_option("0")
    await page.get_by_test_id("deal-more").locator("summary").click()
    await page.get_by_test_id("deal-low").fill("2")
    await page.get_by_test_id("deal-open").click()
    board = page.get_by_test_id("board-deal")
    await expect(board).to_have_attribute("data-state", "open")
    await expect(board).to_be_in_viewport(ratio=1)
    deal_id = await board.get_attribute("data-id") or ""
    shown = await api.deal(stream_id, deal_id)
    assert (shown["duration_s"], shown["hold_s"], shown["per_buyer_limit"]) == (30, 60, 1)
    for name in ("Ada", "Bram"):
        await buy(api, stream_id, deal_id, name)
    await expect(page.get_by_test_id("low-stock")).to_contain_text("Only 2 left of Mug")
    await expect(board).to_have_attribute("data-low", "true")
    await expect(board.get_by_test_id("board-rate")).not_to_have_text("0")
    await expect(board.get_by_test_id("board-revenue")).to_have_text("€10.00")
    closes = shown["closes_at_ms"]
    await page.keyboard.press("e")
    await until("the deal is longer", lambda: later(api, stream_id, deal_id, closes))
    await page.keyboard.press("x")
    await expect(board).to_have_attribute("data-state", "open")
    await page.keyboard.press("Shift+X")
    await expect(page.get_by_test_id("past-deals")).to_contain_text("1 past deal")
    await page.get_by_test_id("past-deals").locator("summary").click()
    await expect(board.get_by_test_id("board-state")).to_have_text("Closed")

    await turn(page, "orders")
    await expect(page.get_by_test_id("revenue")).to_have_text("€10.00")
    async with page.expect_download() as download:
        await page.get_by_test_id("orders-csv").click()
    assert (await download.value).suggested_filename == f"orders-{stream_id}.csv"
    await page.get_by_test_id("order-row").filter(has_text="Ada").get_by_test_id("order-refund").click()
    await expect(page.get_by_test_id("revenue")).to_have_text("€5.00")
    await turn(page, "insights")
    await expect(page.get_by_test_id("insight-claims")).to_have_text("2")
    await expect(page.get_by_test_id("insight-revenue")).to_have_text("€5.00")
    await expect(page.get_by_test_id("timeline").locator(".deal-band")).to_have_count(1)
    await page.get_by_test_id("insight-numbers").locator("summary").click()
    await expect(page.get_by_test_id("insight-table").locator("tbody tr").first).to_be_visible()


async def later(api: Api, stream_id: str, deal_id: str, closes_at_ms: int) -> bool:
    return int((await api.deal(stream_id, deal_id))["closes_at_ms"]) == closes_at_ms + 30_000


@SIZES
async def test_prices_beyond_the_tag(browser: Browser, server: RunningServer, api: Api, size: tuple[int, int]) -> None:
    """A code, a shipping rule and a set of items: made at the desk, paid by a buyer, seen in the host's orders."""
    page, stream_id, _ = await studio(browser, server.url, size)
    await turn(page, "deals")
    await page.get_by_test_id("codes").locator("summary").click()
    await page.get_by_test_id("code-name").fill("live10")
    await page.get_by_test_id("code-worth").fill("10")
    await page.get_by_test_id("code-each").fill("1")
    await page.get_by_test_id("code-save").click()
    await expect(page.get_by_test_id("code")).to_contain_text("LIVE10")
    await expect(page.get_by_test_id("code")).to_contain_text("−10%")
    await page.get_by_test_id("shipping").locator("summary").click()
    await page.get_by_test_id("shipping-price").fill("4.95")
    await page.get_by_test_id("shipping-free").fill("100")
    await page.get_by_test_id("shipping-save").click()
    await expect(page.get_by_test_id("shipping-rule")).to_have_text("€4.95, free from €100.00")

    await page.get_by_test_id("deal-product").select_option("bundle")
    for title in ("Mug", "Saucer"):
        await page.get_by_test_id("item-title").fill(title)
        await page.get_by_test_id("item-add").click()
        await expect(page.get_by_test_id("bundle-items")).to_contain_text(title)
    for field, value in (("title", "Tea for two"), ("price", "20.00"), ("units", "5")):
        await page.get_by_test_id(f"deal-{field}").fill(value)
    await page.get_by_test_id("deal-open").click()
    await expect(page.get_by_test_id("deal-refusal")).to_have_attribute("data-code", "bundle")
    for row in range(2):
        await page.get_by_test_id("bundle-units").nth(row).fill("2")
    await page.get_by_test_id("deal-open").click()
    board = page.get_by_test_id("board-deal")
    await expect(board).to_have_attribute("data-state", "open")
    await expect(board).to_contain_text("Set of items")
    viewer = await open_watch(browser, server.url, stream_id, size)
    await expect(viewer.get_by_test_id("deal-card")).to_contain_text("2 × Mug + 2 × Saucer", timeout=PATIENCE_MS)
    deal_id = await board.get_attribute("data-id")
    ada = await api.guest("Ada")
    path = f"/api/v1/streams/{stream_id}/deals/{deal_id}/claims"
    order = await api.call("POST", path, ada, {"units": 1, "code": "live10"}, key="one")
    paid = await api.call("POST", f"/api/v1/orders/{order.body['id']}/pay", ada, {"payment_token": "pm_ok"})
    assert paid.body["total"] == {"amount": 2295, "currency": "EUR"}, paid
    await expect(board.get_by_test_id("board-revenue")).to_have_text("€22.95")
    await turn(page, "orders")
    await expect(page.get_by_test_id("order-row")).to_contain_text("LIVE10 · −€2.00 · shipping €4.95")
    await expect(page.get_by_test_id("revenue")).to_have_text("€22.95")
    await turn(page, "deals")
    await page.get_by_test_id("shipping-remove").click()
    await expect(page.get_by_test_id("shipping-rule")).to_have_text("none")
    await page.get_by_test_id("code-remove").click()
    await expect(page.get_by_test_id("code")).to_have_count(0)


async def test_the_keyboard_and_its_help(browser: Browser, server: RunningServer) -> None:
    """Single keys act unless somebody writes; ? tells them; they can be switched off; tabs follow the arrows."""
    page, _, _ = await studio(browser, server.url)
    await page.locator("body").press("?")
    help_ = page.get_by_test_id("keys")
    await expect(help_).to_be_visible()
    await expect(help_).to_contain_text("Compose a deal")
    await page.keyboard.press("Escape")
    await page.keyboard.press("d")
    await expect(page.get_by_test_id("deal-title")).to_be_focused()
    await page.keyboard.type("pool")
    await expect(page.get_by_test_id("deal-title")).to_have_value("pool")
    await page.get_by_test_id("part-deals").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_test_id("part-products")).to_be_focused()
    await expect(page.get_by_test_id("product-form")).to_be_visible()
    await page.keyboard.press("i")
    await expect(page.get_by_test_id("part-insights")).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("?")
    await page.get_by_test_id("keys-on").uncheck()
    await page.keyboard.press("Escape")
    await page.keyboard.press("o")
    await expect(page.get_by_test_id("part-insights")).to_have_attribute("aria-selected", "true")
