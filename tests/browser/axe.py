"""What axe-core finds on a page as it stands."""

from __future__ import annotations

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

#: animations that end have ended. Looked at again and again: the promise of a transition that another one replaces is
#: sometimes never settled (Chromium 156, with a level meter that moves many times a second)
SETTLED = """async () => {
  const running = document.getAnimations().filter(
    (each) => each.effect.getComputedTiming().iterations !== Infinity);
  while (running.some((each) => each.playState === "running")) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}"""

#: the tags of what every page keeps to
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")


async def faults(page: Page, within: str | None = None, rules: tuple[str, ...] = RULES) -> list[str]:
    """What axe-core finds wrong with the page, or a part of it, as it stands."""
    # a card that is just fading in has less contrast than it will have
    await page.evaluate(SETTLED)
    results = await Axe().run(page, within, options={"resultTypes": ["violations"], "runOnly": [*rules]})
    return [
        f"{v['id']}: {node['target']} {node['failureSummary']}"
        for v in results.response["violations"]
        for node in v["nodes"]
    ]


async def faint(page: Page, within: str | None = None) -> list[str]:
    """Words below 7:1 for somebody whose system asks for more contrast; the page is left as it was."""
    await page.emulate_media(contrast="more")
    found = await faults(page, within, ("color-contrast-enhanced",))
    await page.emulate_media(contrast="null")
    return found
