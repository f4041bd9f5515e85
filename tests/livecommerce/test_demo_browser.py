"""What a newcomer sees: the home page, a tap on the show, a moving picture, a deal that opens and can be bought."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, expect

from tests.browser.pages import PHONE, open_page
from tests.running import RunningServer, running_server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

#: the robots' show takes a second to begin, and a deal comes every minute
LIVE_MS, ROUND_MS = 30_000, 100_000
#: two seconds of pictures were presented, and sound arrives
PLAYING = """() => {
  const video = document.querySelector('[data-testid=video]');
  const tracks = video?.srcObject?.getAudioTracks() ?? [];
  return video?.getVideoPlaybackQuality().totalVideoFrames >= 40 && tracks.some(track => !track.muted);
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("demo-browser"), "--demo") as running:
        yield running


async def test_the_home_page_leads_to_a_playing_show_and_a_deal(browser: Browser, server: RunningServer) -> None:
    """On a phone: the card says live and demo, the picture moves and sounds, a deal opens, a tap holds a unit."""
    page = await open_page(browser, server.url, size=PHONE)
    card = page.get_by_test_id("home-stream").filter(has_text="Demo show (robot host)")
    await expect(card).to_have_attribute("data-state", "live", timeout=LIVE_MS)
    await expect(card.locator(".demo-pill")).to_be_visible()
    await card.get_by_role("link").click()

    await expect(page.get_by_test_id("demo-mark")).to_be_visible()
    await page.wait_for_function(PLAYING, timeout=LIVE_MS)
    size = await page.get_by_test_id("video").evaluate("video => [video.videoWidth, video.videoHeight]")
    assert size == [360, 640], "a picture for a phone held upright"
    await expect(page.get_by_test_id("product-card")).to_be_visible()

    buy = page.locator("[data-testid=deal-buy]:not([disabled])")
    await expect(buy).to_be_visible(timeout=ROUND_MS)
    await buy.click()
    await expect(page.get_by_test_id("order-hold")).to_be_visible()
    await page.get_by_test_id("order-pay").click()
    await expect(page.get_by_test_id("order-receipt")).to_be_visible()
    # Robots buy beside us, so that the stock falls by more than our unit.
    robots = page.get_by_test_id("purchase-line").filter(has_text="(robot)")
    await expect(robots.first).to_be_attached(timeout=ROUND_MS)
