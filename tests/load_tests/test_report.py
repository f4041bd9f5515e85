"""Reports: percentiles that can be checked by hand, and a failed check that fails the command."""

from __future__ import annotations

import io
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from load_tests import cli, flash_sale, startup
from load_tests.report import Report, percentile


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 50), (90, 90), (99, 99), (99.9, 100), (100, 100)])
def test_percentiles_are_nearest_rank(percent: float, value: int) -> None:
    assert percentile(range(100, 0, -1), percent) == value


def test_a_percentile_of_nothing_is_zero() -> None:
    assert percentile([], 99) == 0


def test_a_report_says_where_it_ran_and_what_failed(tmp_path: Path) -> None:
    report = Report("trial", {"buyers": 7}, {"claims/s": 1234.5})
    report.check("nothing oversold", False, "101 of 100")
    shown = io.StringIO()
    report.show(Console(file=shown, width=200))
    for word in ("cores", "aiohttp", "buyers=7", "1,234.5", "FAIL nothing oversold: 101 of 100", "share this machine"):
        assert word in shown.getvalue()
    report.write(tmp_path / "report.json")
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["passed"] is False
    assert written["settings"] == {"buyers": 7}


@pytest.mark.parametrize(("passed", "status"), [(True, 0), (False, 1)])
def test_a_failed_check_fails_the_command(passed: bool, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report("startup", {})
    report.check("it started", passed)
    monkeypatch.setattr(startup, "measure", lambda *_args, **_options: report)
    assert CliRunner().invoke(cli.main, ["startup"]).exit_code == status


def test_another_server_is_hammered_only_with_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash_sale, "measure", lambda _plan: pytest.fail("it began"))
    result = CliRunner().invoke(cli.main, ["flash-sale", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 2
    assert "--secret" in result.output


def test_every_command_explains_itself() -> None:
    context = click.Context(cli.main)
    assert cli.main.get_command(context, "no-such-command") is None
    for name in cli.main.list_commands(context):
        command = cli.main.get_command(context, name)
        assert command is not None, name
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Argument):  # these have their names only
                continue
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"
