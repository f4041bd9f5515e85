"""No check of the load tool is without a test in which the tool itself finds that it failed."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import load_tests
from tests.load_tests import failing

HERE = Path(__file__).parent
#: where checks are made to fail, by broken figures and doctored histories
WHERE = (
    "test_deal_timers.py",
    "test_join_delay.py",
    "test_room_history.py",
    "test_run.py",
    "test_sale_checks.py",
    "test_script_times.py",
    "test_show_checks.py",
    "test_stage_checks.py",
    "test_strangers.py",
    "test_viewers_report.py",
)
#: tests beside them in which nothing fails: with real servers and processes, and slow
SLOW = "small_run or real_valkey or generator or whose_parent"


def pattern(name: ast.expr) -> str | None:
    """What a check's name looks like, as a regular expression; None where nothing of it is fixed."""
    parts = name.values if isinstance(name, ast.JoinedStr) else [name]
    fixed = [part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "" for part in parts]
    if max(len(part) for part in fixed) < 4:
        return None  # it passes somebody else's check on
    return "".join(re.escape(part) or ".*" for part in fixed)


def checks() -> dict[str, str]:
    """Every check that the tool's code makes: what its name looks like, and the file it is in."""
    found: dict[str, str] = {}
    for path in Path(load_tests.__file__).parent.rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)):
            made = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if made in ("check", "Check") and call.args and (looks := pattern(call.args[0])) is not None:
                found[looks] = path.name
    return found


def test_every_check_of_the_tool_fails_in_a_test(tmp_path: Path) -> None:
    names = tmp_path / "failed"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", failing.__name__, "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-m", "not soak", "-k", f"not ({SLOW})", *(str(HERE / name) for name in WHERE)],
        cwd=HERE.parents[1],
        env=os.environ | {failing.VARIABLE: str(names)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    failed, known = names.read_text("utf-8").splitlines(), checks()
    assert len(known) > 50
    missing = [f"{file}: {looks}" for looks, file in known.items() if not any(re.fullmatch(looks, n) for n in failed)]
    assert missing == [], "a check that never fails proves nothing: make it fail in a test"
