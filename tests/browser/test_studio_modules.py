"""The studio's own arithmetic, as modules in a real browser: QR codes against a reference, the judge of sending."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page
from qrcodegen import QrCode, QrSegment

from livecommerce.http import pages
from tests.browser import shared

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60), shared.LOOP]
browser = shared.browser

LINK = "https://shop.example/watch/s_7GhQ2?from=studio&n=" * 5
CODES = """
async (texts) => {
  const { qrCode } = await import("/assets/ui/qr.js");
  return texts.map(qrCode);
}
"""
JUDGE = """
async (seconds) => {
  const { HealthJudge } = await import("/assets/ui/health.js");
  const judge = new HealthJudge();
  const second = ([at, limit, lossRatio]) => judge.judge({ connection: "connected", limit, lossRatio }, at * 1000);
  return seconds.map((each) => second(each).hint);
}
"""


@pytest_asyncio.fixture(loop_scope="package")
async def page(browser: Browser) -> AsyncIterator[Page]:
    app = web.Application()
    app.add_routes(pages.routes())
    async with TestServer(app) as server:
        page = await browser.new_page()
        await page.goto(str(server.make_url("/assets/favicon.svg")))
        yield page


def reference(text: str, mask: int) -> QrCode:
    """What another encoder makes of the text with this mask."""
    segments = [QrSegment.make_bytes(text.encode())]
    return QrCode.encode_segments(segments, QrCode.Ecc.MEDIUM, 1, 10, mask, boostecl=False)


async def test_a_qr_code_is_what_another_encoder_makes(page: Page) -> None:
    """Every version from 1 to 10, at both ends of what it holds, module by module."""
    lengths = (1, 14, 15, 26, 27, 42, 43, 62, 63, 84, 85, 106, 107, 122, 123, 152, 153, 180, 181, 213)
    texts = [LINK[:n] for n in lengths] + ["https://wïnkel.example/é"]
    codes: list[dict[str, Any]] = await page.evaluate(CODES, texts)
    assert {code["version"] for code in codes} == set(range(1, 11))
    for text, code in zip(texts, codes, strict=True):
        wanted = reference(text, code["mask"])
        assert code["version"] == wanted.get_version(), text
        side = range(wanted.get_size())
        assert code["rows"] == [[int(wanted.get_module(x, y)) for x in side] for y in side], text
    refused = await page.evaluate(
        "async (text) => (await import('/assets/ui/qr.js').then((m) => m.qrCode(text)).catch((error) => error.name))",
        LINK[:214],
    )
    assert refused == "RangeError"


async def test_a_slow_start_is_no_complaint_and_a_slow_upload_is(page: Page) -> None:
    """The encoder climbs in its first seconds; only what lasts after that is told, and it goes away again."""
    climbing = [(second, "bandwidth", 0) for second in range(10)]
    fine = [(second, "none", 0) for second in range(10, 20)]
    hiccup = [(20, "bandwidth", 0), (21, "bandwidth", 0), (22, "none", 0)]
    slow = [(second, "bandwidth", 0) for second in range(23, 31)]
    lossy = [(second, "none", 0.2) for second in range(31, 39)]
    hints = await page.evaluate(JUDGE, [list(s) for s in (*climbing, *fine, *hiccup, *slow, *lossy, (39, "none", 0))])
    assert hints[:28] == [None] * 28
    assert hints[28:31] == ["bandwidth"] * 3
    assert hints[31:36] == [None] * 5
    assert hints[36:39] == ["poor"] * 3
    assert hints[39] is None
