"""The pages' files, read as text: both languages say everything, nothing breaks the content policy."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from livecommerce.problems import KINDS

WEB = Path(__file__).parents[2] / "livecommerce" / "web"
SCRIPTS = sorted(WEB.rglob("*.js"))
#: keys put together at run time: t(`stage.${state}`)
FAMILIES = (
    *("stage.", "status.", "state.", "studio.state.", "order.state.", "announce.", "problem.", "deal."),
    *("role.", "tab.", "pay.", "orders.", "health.", "insight.", "tool.", "chat.", "question.", "quality.", "units."),
)


def texts(language: str) -> dict[str, str]:
    return dict(json.loads((WEB / "i18n" / f"{language}.json").read_text("utf-8")))


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    english, dutch = texts("en"), texts("nl")
    assert list(english) == list(dutch)
    for key, words in english.items():
        assert set(re.findall(r"\{\w+\}", words)) == set(re.findall(r"\{\w+\}", dutch[key])), key


def test_every_text_the_scripts_name_exists() -> None:
    known = texts("en")
    stems = set(known) | {key.rpartition(".")[0] for key in known if key.endswith((".one", ".other"))}
    named = {m for script in SCRIPTS for m in re.findall(r'\bt\("([a-z0-9._-]+)"', script.read_text("utf-8"))}
    assert len(named) > 80
    assert named <= stems


def test_no_text_is_left_over() -> None:
    source = "\n".join(script.read_text("utf-8") for script in SCRIPTS)
    for key in texts("en"):
        stem = re.sub(r"\.(one|other)$", "", key)
        assert f'"{stem}"' in source or stem.startswith(FAMILIES) or stem.endswith(".more"), key


def test_every_problem_has_words() -> None:
    """A code that reaches a person is said in that person's language; none falls back to "something went wrong"."""
    said = {key.removeprefix("problem.") for key in texts("en") if key.startswith("problem.")}
    assert set(KINDS) <= said


@pytest.mark.parametrize("page", ["index.html", "watch.html", "studio.html"])
def test_pages_have_no_inline_script_or_style_and_nothing_foreign(page: str) -> None:
    source = (WEB / page).read_text("utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", source)
    for address in re.findall(r'(?:src|href)="([^"]+)"', source):
        assert address.startswith("/assets/"), address
        assert (WEB / address.removeprefix("/assets/")).is_file(), address


def imported(script: Path) -> set[Path]:
    """Every module that a script needs, however far down."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        source = waiting.pop()
        named = {
            (source.parent / path).resolve() for path in re.findall(r'(?:from|import) "(\.[^"]+)"', source.read_text())
        }
        waiting += named - found
        found |= named
    return found


@pytest.mark.parametrize(
    ("page", "script"), [("index.html", "home.js"), ("watch.html", "watch.js"), ("studio.html", "studio.js")]
)
def test_pages_ask_for_all_modules_at_once(page: str, script: str) -> None:
    """A browser that finds imports file by file needs a round trip for each level: half a second on a phone."""
    named = re.findall(r'rel="modulepreload" href="/assets/([^"]+)"', (WEB / page).read_text("utf-8"))
    assert named == sorted(str(path.relative_to(WEB.resolve())) for path in imported(WEB / script))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_small_and_never_parse_text_as_markup(script: Path) -> None:
    source = script.read_text("utf-8")
    assert len(source.splitlines()) <= 300
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source)
    assert source.count("customElements.define(") <= 1
    for path in re.findall(r'(?:from|import) "(\.[^"]+)"', source):
        assert (script.parent / path).is_file(), path


@pytest.mark.parametrize("script", [p for p in SCRIPTS if p.parent.name in ("client", "media")], ids=lambda p: p.name)
def test_client_and_media_know_no_dom(script: Path) -> None:
    assert not re.search(r"\bdocument\.|\bHTMLElement\b|\bwindow\.", script.read_text("utf-8"))
