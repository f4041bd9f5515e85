"""The commands: one table, and each one's module imported when it is asked for."""

from __future__ import annotations

import importlib
import sys

import click

from load_tests.own_server import ServerError

#: name -> module:attribute of its click command, in the order of the help
COMMANDS: dict[str, str] = {
    "flash-sale": "load_tests.commands:flash_sale",
    "deal-timers": "load_tests.deal_timers:main",
    "script-times": "load_tests.script_times:main",
    "chat-storm": "load_tests.scenario_commands:chat_storm",
    "hot-deal": "load_tests.scenario_commands:hot_deal",
    "viewers": "load_tests.viewers:main",
    "show": "load_tests.scenario_commands:show",
    "reconnect-storm": "load_tests.scenario_commands:reconnect_storm",
    "chaos": "load_tests.scenario_commands:chaos",
    "soak": "load_tests.scenario_commands:soak",
    "startup": "load_tests.commands:startup",
    "idle": "load_tests.commands:idle",
    "idle-sockets": "load_tests.scenario_commands:idle_sockets",
    "first-frame": "load_tests.commands:first_frame",
    "join-delay": "load_tests.commands:join_delay",
    "strangers": "load_tests.commands:strangers",
    "generator": "load_tests.commands:generator",
    "bench": "load_tests.bench:main",
    "compare": "load_tests.compare:main",
}


class Lazy(click.Group):
    """A group whose commands are imported when needed: a generator process, say, needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one."""
        module, _, attribute = COMMANDS.get(cmd_name, "").partition(":")
        if not module:
            return None
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(
    cls=Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nStart with:\n  python -m load_tests flash-sale --html report.html",
)
def main() -> None:
    """Hammer a livecommerce server, and prove what happened.

    Every command starts a server of its own (fresh data, any free port) unless --url names one, and prints the
    machine, the versions and the settings with its figures. The generator shares the machine with its own server: its
    CPU is part of the cost. A failed check ends the command with status 1.
    """


def run() -> None:
    """The entry: what goes wrong is said in words."""
    from livecommerce.client import ClientError
    from load_tests.processes import GeneratorFailed

    try:
        main(prog_name="python -m load_tests")
    except (ServerError, GeneratorFailed, ClientError) as error:
        sys.exit(f"The run could not go on: {error}")
