"""A plug-in of pytest: writes down the checks of the load tool that came out failed, made by the tool's own code.

``pytest -p tests.load_tests.failing`` with the environment's ``FAILED_CHECKS`` naming the file to write.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import load_tests
from load_tests.report import Check

#: where names are written, one a line
VARIABLE = "FAILED_CHECKS"
_TOOL = str(Path(load_tests.__file__).parent)
#: these only pass a check on: who calls them makes it
_PASS_ON = ("report.py", "run.py")

_failed: set[str] = set()
_make = Check.__init__


def _noting(self: Check, name: str, passed: bool, detail: str = "") -> None:
    _make(self, name, passed, detail)
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and Path(frame.f_code.co_filename).name in _PASS_ON:
        frame = frame.f_back
    if not passed and frame is not None and frame.f_code.co_filename.startswith(_TOOL):
        _failed.add(name)


def pytest_configure(config: pytest.Config) -> None:
    """Begin."""
    made: Any = Check
    made.__init__ = _noting


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write them down."""
    Path(os.environ[VARIABLE]).write_text("\n".join(sorted(_failed)), "utf-8")
