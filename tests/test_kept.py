"""docs/architecture.md says of every family of keys how long it is kept."""

from __future__ import annotations

import re
from pathlib import Path

import chat.keys
import deals.keys
import livecommerce.keys
import streams.keys

DOCUMENT = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text("utf-8")
SCHEMAS = (chat.keys, deals.keys, livecommerce.keys, streams.keys)


def _named(text: str, marks: str) -> set[str]:
    return set(re.findall(rf"{marks}(lc:[^`]+){marks}", text))


def test_every_family_of_keys_has_its_end_in_the_table_and_no_other_is_there() -> None:
    heads = "\n".join(line for m in SCHEMAS for line in (m.__doc__ or "").splitlines() if line.startswith("``lc:"))
    rows = "\n".join(line for line in DOCUMENT.splitlines() if line.startswith("| `lc:"))
    assert _named(rows, "`") == _named(heads, "``")
    assert len(_named(rows, "`")) >= 40
