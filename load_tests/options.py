"""The options that every scenario has, and files that give them: one decorator, one table."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from load_tests.arrivals import Pace
from load_tests.run import Options

_F = TypeVar("_F", bound=Callable[..., Any])


class Written(click.Path):
    """A file that will be written when all is done: that it can be is found out before a long run, not after it."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; its folder is made."""
        path = Path(str(super().convert(value, param, ctx)))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new = not path.exists()
            path.open("ab").close()
            if new:
                path.unlink()
        except OSError as error:
            self.fail(f"{path} cannot be written: {error.strerror}", param, ctx)
        return path


json_option = click.option("--json", "json_path", type=Written(), help="Write the numbers, for compare.")
#: what a file may hold besides the options of its scenario
_SCENARIO = "scenario"


def read_ramp(context: click.Context, parameter: click.Parameter, text: str | None) -> Pace | None:
    """``from:to:seconds``, or nothing."""
    try:
        return Pace.parse(text) if text is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


def read_scenario(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Make a file's values the command's defaults: the command line still wins. Clear errors for what does not fit."""
    if path is None:
        return None
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{path}: {error}", context, parameter) from error
    wanted = values.pop(_SCENARIO, context.command.name)
    if wanted != context.command.name:
        raise click.BadParameter(f"{path} is for {wanted!r}, not for {context.command.name!r}", context, parameter)
    names = {_long_name(p): p for p in context.command.params if isinstance(p, click.Option)}
    defaults: dict[str, Any] = {}
    for key, value in values.items():
        option = names.get(key.replace("_", "-"))
        if option is None or option.name is None or key.replace("_", "-") == _SCENARIO:
            near = difflib.get_close_matches(key.replace("_", "-"), names, 1)
            hint = f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(sorted(names))}."
            raise click.BadParameter(f"{path}: {wanted} has no option {key!r}.{hint}", context, parameter)
        try:
            given = [str(one) for one in value] if isinstance(value, list) else value
            if isinstance(value, bool) != option.is_flag or isinstance(value, dict):
                raise click.BadParameter("true or false" if option.is_flag else "a single value")
            option.type_cast_value(context, given)
        except click.BadParameter as error:
            raise click.BadParameter(f"{path}: {key} = {value!r}: {error.message}", context, parameter) from error
        defaults[option.name] = given
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


def _long_name(option: click.Parameter) -> str:
    return max(option.opts, key=len).removeprefix("--")


_COMMON = (
    click.option(
        "--url", metavar="URL",
        help="Hammer this server, like http://localhost:8080, whose secret is --secret. Otherwise one of our own.",
    ),
    click.option("--self-host", is_flag=True, help="A server of our own (what happens without --url)."),
    click.option("--secret", envvar="LIVECOMMERCE_SECRET", help="Signs the tokens at --url."),
    click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Workers of our server."),
    click.option("--generators", default=1, show_default=True, type=click.IntRange(1, 64), help="Generator processes."),
    click.option("--seed", default=1, show_default=True, help="Random seed: the same seed, the same run."),
    click.option("--runs", default=1, show_default=True, type=click.IntRange(1, 100), help="Runs; shows their median."),
    json_option,
    click.option("--html", "html_path", type=Written(), help="Write one self-contained page with plots."),
    click.option("--markdown", "markdown_path", type=Written(), help="Write a summary."),
    click.option(
        "--scenario", "scenario_path", type=click.Path(exists=True, dir_okay=False, path_type=Path), is_eager=True,
        expose_value=False, callback=read_scenario, help="A TOML file with values for these options.",
    ),
)  # fmt: skip

_PACE = (
    click.option(
        "--rate", type=click.FloatRange(min=0.1), metavar="PER_SECOND",
        help="Open loop: so many a second, whatever answers take.",
    ),
    click.option(
        "--ramp", callback=read_ramp, metavar="FROM:TO:SECONDS",
        help="Open loop at a rate that changes, then stays: 100:5000:30 is from 100 to 5,000 a second in 30 s.",
    ),
)  # fmt: skip


def common_options(command: _F) -> _F:
    """Give a command the options of every scenario; :func:`options_of` collects them, and those of a pace."""
    for option in reversed(_COMMON):
        command = option(command)
    return command


def pace_options(command: _F) -> _F:
    """Give a command the options of an open loop."""
    for option in reversed(_PACE):
        command = option(command)
    return command


def options_of(values: dict[str, Any]) -> Options:
    """Take the common options out of a command's values; raises click.UsageError where they contradict each other."""
    rate, ramp, self_host = values.pop("rate", None), values.pop("ramp", None), values.pop("self_host")
    if rate is not None and ramp is not None:
        raise click.UsageError("--rate and --ramp are two ways of one thing: give one of them")
    if self_host and values["url"]:
        raise click.UsageError("--url and --self-host contradict each other")
    if values["url"] and not values["secret"]:
        raise click.UsageError("--url needs --secret: the buyers' tokens are signed with it")
    pace = ramp or (Pace.constant(rate) if rate is not None else None)
    if values["url"] and not re.fullmatch(r"https?://[^\s/?#]+/?", values["url"]):
        raise click.UsageError("--url is a server's own address, like http://localhost:8080")
    names = ("url", "secret", "workers", "generators", "seed", "runs")
    paths = ("json_path", "html_path", "markdown_path")
    return Options(pace=pace, think_s=values.pop("think_s", 0.0), **{name: values.pop(name) for name in names + paths})
