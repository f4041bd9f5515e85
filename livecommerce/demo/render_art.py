# ruff: noqa: E501 - drawings read no better in short lines
"""Draw the robot's show: ``python -m livecommerce.demo.render_art`` renders ``art/*.png`` with Chromium (playwright).

Run it after changing a drawing; the pictures are committed, so that the demo itself needs no browser and no fonts.
"""

from __future__ import annotations

import shutil
from pathlib import Path

ART = Path(__file__).parent / "art"
PRODUCTS = Path(__file__).parents[1] / "web" / "demo"

#: scene: (two background colours, accent, title, price)
SCENES = {
    "mug": ("#3b1d5e", "#c2412d", "#ff8a5c", "Enamel mug", "€ 12.50"),
    "lamp": ("#0b2d4f", "#0d7f86", "#3fe0c5", "Desk lamp", "€ 39.00"),
    "bag": ("#2b1a66", "#6c4be0", "#ffd166", "Canvas tote", "€ 18.00"),
}
FONT = "font-family:'Liberation Sans','Arial',sans-serif;font-weight:700"


def background(name: str) -> str:
    """The studio (a tall phone cuts 32 pixels off each side): a lit wall, a ring of light, the counter with the product's name."""
    dark, bright, accent, title, price = SCENES[name]
    bulbs = "".join(
        f'<circle cx="{30 + 60 * i}" cy="442" r="5" fill="{accent}" opacity="{0.95 if i % 2 else 0.5}"/>'
        for i in range(6)
    )
    rays = "".join(
        f'<path d="M180 250 {-300 + 120 * i} -160 {-250 + 120 * i} -160z" fill="#fff" opacity=".045"/>'
        for i in range(9)
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 640" width="360" height="640">
    <defs><radialGradient id="w" cx=".5" cy=".38" r=".75"><stop offset="0" stop-color="{bright}"/><stop offset="1" stop-color="{dark}"/></radialGradient>
    <linearGradient id="c" x1="0" x2="0" y1="0" y2="1"><stop offset="0" stop-color="#20243a"/><stop offset="1" stop-color="#0c0e1a"/></linearGradient></defs>
    <rect width="360" height="640" fill="url(#w)"/>{rays}
    <circle cx="180" cy="270" r="150" fill="none" stroke="#fff" stroke-width="10" opacity=".13"/>
    <circle cx="180" cy="270" r="150" fill="none" stroke="{accent}" stroke-width="3" opacity=".8"/>
    <rect x="54" y="104" width="252" height="68" rx="18" fill="#12142a" stroke="{accent}" stroke-width="3"/>
    <path d="M0 426h360v214H0z" fill="url(#c)"/><path d="M0 420h360v10H0z" fill="{accent}"/>{bulbs}
    <text x="44" y="494" fill="#fff" font-size="29" style="{FONT}">{title}</text>
    <text x="316" y="494" fill="{accent}" font-size="25" text-anchor="end" style="{FONT}">{price}</text>
    <text x="44" y="524" fill="#b9bfd8" font-size="15" style="{FONT}">Demo show · nothing here is real</text></svg>"""


def robot_body() -> str:
    """Shoulders, chest light and the resting arm; stands behind the counter."""
    return """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 120" width="200" height="120">
    <defs><linearGradient id="m" x1="0" x2="0" y1="0" y2="1"><stop offset="0" stop-color="#f4f6ff"/><stop offset="1" stop-color="#a9b2d6"/></linearGradient></defs>
    <path d="M84 0h32v22H84z" fill="#7d88b3"/><path d="M84 8h32" stroke="#56608a" stroke-width="3"/>
    <rect x="38" y="16" width="124" height="130" rx="34" fill="url(#m)"/>
    <rect x="66" y="42" width="68" height="50" rx="12" fill="#20264a"/>
    <path d="M76 68h10l6-14 9 28 8-20 5 6h10" fill="none" stroke="#4dffd2" stroke-width="4" stroke-linejoin="round" stroke-linecap="round"/>
    <rect x="156" y="28" width="30" height="110" rx="15" fill="#8d97c2"/></svg>"""


def robot_head(eyes: str, mouth: str) -> str:
    """A head with ``eyes`` open or shut and ``mouth`` smile or talk."""
    looks = {
        "open": '<circle cx="52" cy="62" r="13" fill="#4dffd2"/><circle cx="108" cy="62" r="13" fill="#4dffd2"/>'
        '<circle cx="56" cy="57" r="4" fill="#fff"/><circle cx="112" cy="57" r="4" fill="#fff"/>',
        "shut": '<path d="M39 64h26M95 64h26" stroke="#4dffd2" stroke-width="6" stroke-linecap="round"/>',
    }
    mouths = {
        "smile": '<path d="M62 88c10 10 26 10 36 0" fill="none" stroke="#ff8fb1" stroke-width="6" stroke-linecap="round"/>',
        "talk": '<ellipse cx="80" cy="91" rx="15" ry="9" fill="#ff8fb1"/><ellipse cx="80" cy="94" rx="8" ry="4" fill="#b8305f"/>',
    }
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 128" width="160" height="128">
    <defs><linearGradient id="m" x1="0" x2="0" y1="0" y2="1"><stop offset="0" stop-color="#fff"/><stop offset="1" stop-color="#b6bfe2"/></linearGradient></defs>
    <path d="M80 24V10" stroke="#7d88b3" stroke-width="6"/><circle cx="80" cy="9" r="8" fill="#ff5d7a"/>
    <rect x="2" y="52" width="16" height="36" rx="8" fill="#7d88b3"/><rect x="142" y="52" width="16" height="36" rx="8" fill="#7d88b3"/>
    <rect x="12" y="22" width="136" height="100" rx="38" fill="url(#m)"/><rect x="26" y="36" width="108" height="72" rx="26" fill="#20264a"/>
    {looks[eyes]}{mouths[mouth]}</svg>"""


def robot_arm(degrees: float) -> str:
    """The waving arm, turned about its shoulder."""
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 110 120" width="110" height="120">
    <g transform="rotate({-degrees} 90 96)"><rect x="76" y="22" width="28" height="88" rx="14" fill="#a9b2d6"/>
    <circle cx="90" cy="20" r="17" fill="#f4f6ff"/></g></svg>"""


def product(name: str) -> str:
    """The same drawing as on the product card, at the show's size, with a halo."""
    drawing = (PRODUCTS / f"{name}.svg").read_text("utf-8")
    drawing = drawing.replace("<svg ", '<svg x="20" y="20" width="110" height="110" ', 1)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 150 150" width="150" height="150">
    <defs><radialGradient id="halo"><stop offset=".3" stop-color="#fff" stop-opacity=".5"/><stop offset="1" stop-color="#fff" stop-opacity="0"/></radialGradient></defs>
    <circle cx="75" cy="75" r="75" fill="url(#halo)"/>{drawing}</svg>"""


def ribbon() -> str:
    """What slides in while a flash deal is open."""
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 270 48" width="270" height="48">
    <path d="M0 4h256l14 20-14 20H0z" fill="#ff2d6b"/><path d="M0 4h256l3 4H0z" fill="#ff8fb1"/>
    <path d="m56 8-12 18h9l-4 14 14-19h-9l5-13z" fill="#ffe66b"/>
    <text x="72" y="33" fill="#fff" font-size="25" style="{FONT}">FLASH DEAL</text></svg>"""


def digits() -> str:
    """The clock's glyphs ``0123456789:`` in cells of 28 by 52 on the clock's own dark face."""
    cells = "".join(
        f'<text x="{14 + 28 * i}" y="40" text-anchor="middle" fill="#fff" font-size="40" '
        f"style=\"font-family:'Liberation Mono',monospace;font-weight:700\">{glyph}</text>"
        for i, glyph in enumerate("0123456789:")
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 308 52" width="308" height="52">
    <rect width="308" height="52" fill="#12142a"/>{cells}</svg>"""


def spark() -> str:
    """A soft four-pointed sparkle."""
    return """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32">
    <path d="M16 0c1 10 5 15 16 16-11 1-15 6-16 16-1-10-5-15-16-16 11-1 15-6 16-16z" fill="#fff" opacity=".9"/></svg>"""


def drawings() -> dict[str, str]:
    """Every picture's name and its SVG."""
    art = {"body": robot_body(), "ribbon": ribbon(), "digits": digits(), "spark": spark()}
    art |= {f"scene-{name}": background(name) for name in SCENES}
    art |= {f"product-{name}": product(name) for name in SCENES}
    art |= {f"head-{eyes}-{mouth}": robot_head(eyes, mouth) for eyes in ("open", "shut") for mouth in ("smile", "talk")}
    art |= {f"arm-{pose}": robot_arm(14 + 9 * pose) for pose in range(6)}
    return art


def main() -> None:
    """Render every drawing to a PNG with its transparency."""
    from playwright.sync_api import sync_playwright  # a test dependency: only this script needs it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page()
        for name, svg in drawings().items():
            page.set_content(f"<style>*{{margin:0;display:block;background:transparent}}</style>{svg}")
            page.locator("svg").first.screenshot(path=ART / f"{name}.png", omit_background=True)
        browser.close()


if __name__ == "__main__":
    main()
