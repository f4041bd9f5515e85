"""A host at the desk, and what tests need to know and do around them."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Browser, Locator, Page

from tests.api import Api, Person
from tests.browser.pages import DESK, open_page, sign_in_to_studio


async def host_of(page: Page) -> Person:
    """The guest that a studio page has signed in as."""
    saved = await page.evaluate("() => JSON.parse(localStorage.getItem('livecommerce.host'))")
    return Person(saved["token"], saved["user"]["id"], saved["user"]["name"])


async def studio(browser: Browser, url: str, size: tuple[int, int] = DESK) -> tuple[Page, str, Person]:
    """A host at the desk of a new show: the page, the show, the host."""
    page = await open_page(browser, f"{url}/studio", size)
    stream_id = await sign_in_to_studio(page)
    return page, stream_id, await host_of(page)


async def turn(page: Page, part: str) -> None:
    """Bring a part to the front: by the desk's tabs, or a phone's, where the room's parts lie behind the chat's."""
    if part in ("questions", "poll", "rules") and await page.get_by_test_id("tab-chat").is_visible():
        await page.get_by_test_id("tab-chat").click()
    for prefix in ("tab", "part"):
        button = page.get_by_test_id(f"{prefix}-{part}")
        if await button.is_visible():
            return await button.click()
    # a desk has its picture always in front
    assert part == "show", f"nothing leads to {part}"


async def show_products(api: Api, host: Person, stream_id: str, *titles: str) -> None:
    for title in titles:
        spec = {"title": title, "price": {"amount": 1000, "currency": "EUR"}, "image_url": "/assets/demo/mug.svg"}
        answer = await api.call("PUT", f"/api/v1/streams/{stream_id}/products/{title.lower()}", host, spec)
        assert answer.status == 200, answer


async def buy(api: Api, stream_id: str, deal_id: str, name: str) -> None:
    person = await api.guest(name)
    order = await api.claim(person, stream_id, deal_id)
    paid = await api.call("POST", f"/api/v1/orders/{order.body['id']}/pay", person, {"payment_token": "pm_ok"})
    assert paid.status == 200, paid


def titles(page: Page) -> Locator:
    return page.get_by_test_id("product-item").locator("strong")


async def command(page: Page, do: str, **fields: Any) -> Any:
    """Send a command over a connection of the host's own, as another client of theirs would."""
    script = """async ([token, url, message]) => new Promise((resolve) => {
      const socket = new WebSocket(url, "livecommerce.v1.json");
      socket.onopen = () => socket.send(JSON.stringify({ id: 1, do: "join", token }));
      socket.onmessage = ({ data }) => {
        for (const each of [JSON.parse(data)].flat()) {
          if (each.re === 1) socket.send(JSON.stringify({ id: 2, ...message }));
          if (each.re === 2) (socket.close(), resolve(each));
        }
      };
    })"""
    link = await page.get_by_test_id("watch-link").get_attribute("href") or ""
    url = link.replace("http", "ws", 1).replace("/watch/", "/ws/")
    answer = await page.evaluate(script, [(await host_of(page)).token, url, {"do": do, **fields}])
    assert "ok" in answer, answer
    return answer["ok"]
