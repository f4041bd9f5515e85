"""The commands of the rooms and of whole shows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, TypeVar

import click

from load_tests import chaos as chaos_
from load_tests import chat_storm as chat_storm_
from load_tests import faults, show_plan, stalled_reader
from load_tests import hot_deal as hot_deal_
from load_tests import idle_sockets as idle_sockets_
from load_tests import reconnect_storm as reconnect_storm_
from load_tests import show as show_
from load_tests import soak as soak_
from load_tests.arrivals import Pace
from load_tests.options import common_options, options_of, pace_options
from load_tests.run import Options, Run, Scenario
from load_tests.session import execute, finish

#: messages a second of about 1 KB, so that a sleeping reader is full within the patience of the person who waits
STALLED_PER_S = 200

_F = TypeVar("_F", bound=Callable[..., Any])


def _viewers(default: int) -> Callable[[_F], _F]:
    return click.option(
        "--viewers", default=default, show_default=True, type=click.IntRange(1, 20_000), help="Viewers of the room."
    )


def _seconds(name: str, default: float, text: str) -> Callable[[_F], _F]:
    return click.option(
        name, default=default, show_default=True, type=click.FloatRange(0, 86_400), help=f"Seconds {text}."
    )


@click.command("chat-storm")
@_viewers(1000)
@_seconds("--seconds", 10, "at each rate")
@click.option(
    "--messages",
    type=click.FloatRange(min=0.1),
    multiple=True,
    default=(10.0, 50.0),
    show_default=True,
    help="Messages a second; repeat it for several rates. --rate or --ramp stand in for it.",
)
@click.option(
    "--driver",
    "drivers",
    type=click.Choice(list(chat_storm_.DRIVERS)),
    multiple=True,
    default=tuple(chat_storm_.DRIVERS),
    show_default=True,
    help="Who is hammered; repeat it to compare.",
)
@click.option("--floor/--no-floor", default=True, help="Also measure the bare loop of socket.send, before the rest.")
@click.option("--stalled", is_flag=True, help="Then: one viewer stops reading among them all (our own server).")
@pace_options
@common_options
def chat_storm(**values: Any) -> None:
    """Many viewers, many messages: what a delivery costs, how long it takes, and whether everybody read everything.

    Viewers are bare sockets in --generators processes; each keeps its whole history. Messages fall due at an even
    pace (open loop) and are timed from then to each viewer's reading them. With two drivers both servers are measured
    in the same run, beside the same floor.
    """
    options = options_of(values)
    stalled = values.pop("stalled")
    paces = (options.pace,) if options.pace else tuple(Pace.constant(rate) for rate in values.pop("messages"))
    values.pop("messages", None)
    plan = chat_storm_.Plan(paces=paces, **values)
    if stalled and options.url:
        raise click.UsageError("--stalled looks into the server: it needs one of our own")
    settings = {"viewers": plan.viewers, "seconds": plan.seconds, "drivers": ", ".join(plan.drivers)}

    async def scenario(run: Run) -> None:
        await chat_storm_.scenario(run, plan)
        if stalled:
            await stalled_reader.scenario(run, plan.viewers, plan.seconds, Pace.constant(STALLED_PER_S))

    _run("chat-storm", scenario, settings | {"messages": ", ".join(map(str, paces))}, options, chat_storm_)


@click.command("hot-deal")
@_viewers(500)
@_seconds("--seconds", 10, "of the sale; the other room is alone for as long")
@click.option(
    "--messages",
    "messages_per_s",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0.1, 1000),
    help="Messages a second in the other room.",
)
@click.option(
    "--units", default=10_000, show_default=True, type=click.IntRange(1, 1_000_000), help="Units of the deal."
)
@click.option("--buyers", default=400, show_default=True, type=click.IntRange(1, 10_000), help="Buyers of the deal.")
@pace_options
@common_options
def hot_deal(**values: Any) -> None:
    """What a flash sale in one room does to the chat of another room on the same server.

    The sale's claims come at --rate a second (2,000 by default), whatever the answers take: while units are left each
    is a durable yes, after that a sold-out. The difference of the two 99th percentiles is the figure to look at.
    """
    options = options_of(values)
    options = replace(options, pace=options.pace or Pace.constant(2000))
    plan = hot_deal_.Plan(**values)
    _run("hot-deal", lambda run: hot_deal_.scenario(run, plan), asdict(plan), options, hot_deal_)


@click.command("reconnect-storm")
@_viewers(2000)
@click.option("--storms", default=3, show_default=True, type=click.IntRange(1, 1000), help="Times all are cut off.")
@pace_options
@common_options
def reconnect_storm(**values: Any) -> None:
    """Everybody's connection is cut, everybody comes back at once: nothing lost, nothing doubled.

    Meanwhile the room goes on, at --rate messages a second (5 by default).
    """
    options = options_of(values)
    plan = reconnect_storm_.Plan(pace=options.pace or Pace.constant(5), **values)
    settings = {"viewers": plan.viewers, "storms": plan.storms, "messages": str(plan.pace)}
    _run("reconnect-storm", lambda run: reconnect_storm_.scenario(run, plan), settings, options, reconnect_storm_)


@click.command("idle-sockets")
@click.option(
    "--sockets", default=2000, show_default=True, type=click.IntRange(1, 200_000), help="Viewers who only listen."
)
@_seconds("--seconds", 60, "in which nothing happens; pings come every 25 s")
@common_options
def idle_sockets(**values: Any) -> None:
    """Many viewers, and silence: memory a connection, CPU while idle, what pings cost; then one message to all.

    Each of --generators connects from a loopback address of its own. A process may have as many sockets as its hard
    limit of open files: give 20,000 sockets at least 2 --workers and 2 --generators where that limit is 20,000.
    """
    options = options_of(values)
    plan = idle_sockets_.Plan(**values)
    if plan.sockets > idle_sockets_.MOST_OF_AN_ADDRESS * options.generators:
        raise click.UsageError("one generator has one loopback address, whose ports are too few: give more generators")
    settings = {"sockets": plan.sockets, "seconds": plan.seconds}
    _run("idle-sockets", lambda run: idle_sockets_.scenario(run, plan), settings, options, idle_sockets_)


def _show_options(**defaults: Any) -> Callable[[_F], _F]:
    def count(name: str, text: str, least: int = 0) -> Callable[[_F], _F]:
        kind = click.IntRange(least, 20_000)
        return click.option(f"--{name}", default=defaults[name], show_default=True, type=kind, help=text)

    def add(command: _F) -> _F:
        for option in (
            click.option(
                "--megabits", default=1.0, show_default=True, type=click.FloatRange(0.05, 20),
                help="Bitrate of the picture, Mbit/s.",
            ),
            _seconds("--thought", 4, "that winners think before they pay, at most"),
            _seconds("--ramp-up", defaults.get("ramp_up", 20), "until all are there"),
            count("units", "Stock of the flash deal.", 1),
            count("buyers", "People who want one; those beyond the chat viewers buy over HTTP."),
            count("chat", "Viewers of the room, over WebSocket.", 1),
            count("video", "Viewers of the picture: ICE, DTLS and SRTP each."),
        ):  # fmt: skip
            command = option(command)
        return command

    return add


def _show_plan(values: dict[str, Any], options: Options, messages_per_s: float, **more: Any) -> show_plan.ShowPlan:
    names = ("video", "chat", "buyers", "units", "megabits")
    return show_plan.ShowPlan(
        pace=options.pace or Pace.constant(messages_per_s),
        ramp_s=values.pop("ramp_up"),
        thought_s=values.pop("thought"),
        **{name: values.pop(name) for name in names},
        **more,
    )


def _settings(plan: show_plan.ShowPlan) -> dict[str, Any]:
    return asdict(plan) | {"pace": str(plan.pace)}


@click.command("show")
@_show_options(video=300, chat=2000, buyers=5000, units=500)
@_seconds("--live", 20, "of chat and picture before the deal opens")
@_seconds("--rush", 10, "in which the buyers come, most of them at once")
@click.option(
    "--regrets",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of the winners who give their order back instead of paying.",
)
@pace_options
@common_options
def show(**values: Any) -> None:
    """A whole show: a host on the air, viewers of the picture, a chatting room, and a flash deal that sells out.

    Messages come at --rate a second (5 by default), whatever the answers take. All that anybody was told is judged at
    the end: the picture's sequence, the chat's histories, the sale, the journal, the number of viewers.
    """
    options = options_of(values)
    plan = _show_plan(
        values, options, 5, live_s=values.pop("live"), rush_s=values.pop("rush"), regrets=values.pop("regrets")
    )
    _run("show", lambda run: show_.scenario(run, plan), _settings(plan), options, show_)


@click.command("chaos")
@_show_options(video=20, chat=200, buyers=600, units=400, ramp_up=5)
@_seconds("--seconds", 90, "in which things break")
@_seconds("--every", 8, "between two faults, about")
@click.option(
    "--fault", "kinds", type=click.Choice(list(faults.KINDS)), multiple=True, help="Only these; repeat it for several."
)
@pace_options
@common_options
def chaos(**values: Any) -> None:
    """A show on a server of our own that is killed, stopped and cut off meanwhile; then everything must be true.

    What breaks when is decided by --seed and printed beforehand. Only processes that this command started are touched.
    """
    options = options_of(values)
    if options.url:
        raise click.UsageError("chaos kills its server: it only does that to one of its own")
    options = replace(options, workers=max(options.workers, chaos_.LEAST_WORKERS))
    disturbed = _show_plan(values, options, 10, live_s=2.0)
    kinds = values.pop("kinds") or tuple(faults.KINDS)
    plan = chaos_.ChaosPlan.of(disturbed, options.seed, values.pop("seconds"), kinds, values.pop("every"))
    if not options.quiet:
        click.echo(f"What breaks (seed {options.seed}; seconds from when the deal opens):", err=True)
        click.echo("\n".join(map(str, plan.faults)), err=True)
    settings = _settings(plan.show) | {"faults": "; ".join(str(fault).strip() for fault in plan.faults)}
    _run("chaos", lambda run: chaos_.scenario(run, plan), settings, options, chaos_)


@click.command("soak")
@_show_options(video=20, chat=100, buyers=200, units=100, ramp_up=5)
@click.option(
    "--minutes", default=10.0, show_default=True, type=click.FloatRange(0.05, 10_000), help="How long it goes on."
)
@_seconds("--deal-every", 30, "from one deal's opening to the next one's")
@_seconds("--rush", 5, "in which the buyers of a deal come, most of them at once")
@pace_options
@common_options
def soak(**values: Any) -> None:
    """Minutes or hours of the same: a room at 200 messages a second, a picture, deal after deal; memory stays flat."""
    options = options_of(values)
    plan = soak_.SoakPlan(
        show=_show_plan(values, options, 200, rush_s=values.pop("rush")),
        minutes=values.pop("minutes"),
        deal_every_s=values.pop("deal_every"),
    )
    if not options.quiet:
        minutes = plan.takes_s * options.runs / 60
        end = time.strftime("%H:%M", time.localtime(time.time() + minutes * 60))
        click.echo(f"This takes about {minutes:.0f} minutes, until {end}.", err=True)
    settings = _settings(plan.show) | {"minutes": plan.minutes, "deal_every_s": plan.deal_every_s}
    _run("soak", lambda run: soak_.scenario(run, plan), settings, options, soak_)


def _run(name: str, scenario: Scenario, settings: dict[str, Any], options: Options, module: Any) -> None:
    finish(execute(name, scenario, settings, options, module.SERVER_OPTIONS), options)
