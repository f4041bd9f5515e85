"""docs/limits.md says what the code does: each value, and every limit that can be set."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import msgspec
import pytest

from livecommerce.limits import Limits, Rate

DOCUMENT = (Path(__file__).parents[2] / "docs" / "limits.md").read_text("utf-8")
FIXED = re.findall(r"^\| .+ \| ([0-9.]+) \| `([a-zA-Z_.]+)\.([A-Z_]+)` \|$", DOCUMENT, re.MULTILINE)


def test_every_limit_that_can_be_set_is_there_with_its_default() -> None:
    said = dict(re.findall(r"^\| `([a-z]+)` \| ([0-9./]+) \|", DOCUMENT, re.MULTILINE))
    defaults = {f.name: f.default for f in msgspec.structs.fields(Limits)}
    assert said == {
        name: f"{v.per_second:g}/{v.burst}" if isinstance(v, Rate) else str(v) for name, v in defaults.items()
    }


def test_every_row_of_the_fixed_ones_is_read() -> None:
    assert len(FIXED) == DOCUMENT.count("` |\n") >= 40


@pytest.mark.parametrize(("value", "module", "name"), FIXED)
def test_a_fixed_limit_is_what_the_document_says(value: str, module: str, name: str) -> None:
    assert str(getattr(importlib.import_module(module), name)) == value
