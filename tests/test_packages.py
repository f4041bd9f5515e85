"""The packages that are imported are ours, and nothing of them is forgotten in the wheel."""

from __future__ import annotations

import importlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("livecommerce", "streams", "deals", "chat")


@pytest.mark.parametrize("name", PACKAGES)
def test_an_imported_package_is_ours(name: str) -> None:
    """These are common names: another distribution's, or tests/deals, must never be what runs."""
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == ROOT / name / "__init__.py"


@pytest.mark.parametrize("name", PACKAGES)
def test_an_imported_package_is_ours_wherever_one_stands(name: str, tmp_path: Path) -> None:
    code = f"import {name}; print({name}.__file__)"
    found = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).resolve() == ROOT / name / "__init__.py"


@pytest.mark.parametrize("name", ["docker", "load_tests", "tests"])
def test_a_folder_that_is_no_package_of_ours_is_not_importable_elsewhere(name: str, tmp_path: Path) -> None:
    code = f"import importlib.util; print(importlib.util.find_spec({name!r}))"
    found = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert str(ROOT) not in found.stdout


def test_every_level_of_the_tests_is_a_package() -> None:
    """Without `__init__.py`, pytest would put tests/ itself on the path, and `import deals` would find tests/deals."""
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []
    assert not (ROOT / "docker" / "__init__.py").exists(), "it would shadow the Docker SDK"


def test_the_wheel_holds_every_file_of_the_four_packages_and_nothing_else(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(ROOT)], check=True, capture_output=True, cwd=tmp_path)
    [wheel] = tmp_path.glob("livecommerce-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    listed = subprocess.run(["git", "ls-files", "-z", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = {name for name in listed.stdout.split("\0") if name}
    assert ours <= packed
    assert {name.partition("/")[0] for name in packed} == set(PACKAGES)
    for suffix in (".lua", ".html", ".js", ".css"):
        assert any(name.endswith(suffix) for name in packed), f"no {suffix} file in the wheel"
