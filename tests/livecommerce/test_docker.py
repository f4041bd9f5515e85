"""docker/ is kept in step with the command line, and the image's install steps work in a clean folder.

No container engine runs where tests do: the files are parsed, and the build stage's steps are done by hand.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from livecommerce import cli
from livecommerce.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
#: what a person has to give compose, as they would
GIVEN = {
    "LIVECOMMERCE_SECRET": "q8Zr1vX0sJ7kT5mB3nC9wL2yH6pD4fGa",
    "LIVECOMMERCE_MEDIA_HOST": "192.0.2.10",
    "TURN_SECRET": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
}


def steps() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, rest) in order."""
    text = "\n".join(line for line in (DOCKER / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    joined = text.replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in joined.splitlines() if line.strip()]


def stage(number: int) -> list[tuple[str, str]]:
    """One stage of the Dockerfile, without its FROM."""
    found = steps()
    starts = [i for i, (instruction, _) in enumerate(found) if instruction == "FROM"] + [len(found)]
    return found[starts[number] + 1 : starts[number + 1]]


def image_environment() -> dict[str, str]:
    """The image's ENV."""
    pairs = [pair.partition("=") for name, rest in stage(1) if name == "ENV" for pair in rest.split()]
    return {name: value for name, _, value in pairs}


def compose() -> dict[str, Any]:
    """The compose file with its variables filled in, after parsing: as compose does it."""

    def value_of(match: re.Match[str]) -> str:
        return GIVEN.get(match["name"], match["default"] or "")

    def fill(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: fill(value) for name, value in node.items()}
        if isinstance(node, list):
            return [fill(value) for value in node]
        if isinstance(node, str):
            return re.sub(r"\$\{(?P<name>\w+)(:-(?P<default>[^}]*)|:\?[^}]*)?\}", value_of, node)
        return node

    loaded: dict[str, Any] = fill(yaml.safe_load((DOCKER / "compose.yml").read_text()))
    return loaded


def settings_of(arguments: list[str], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the command line makes of these; it fails on an unknown option or a setting no server can have."""
    seen: list[Settings] = []
    for name in [name for name in os.environ if name.startswith("LIVECOMMERCE_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        if name.startswith("LIVECOMMERCE_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(cli, "_run", seen.append)
    cli.cli.main(arguments, standalone_mode=False)
    return seen[0]


def ports(mapping: str) -> tuple[range, range, str]:
    """A compose port mapping as (outside, inside, protocol)."""
    outside, _, rest = mapping.partition(":")
    inside, _, protocol = rest.partition("/")

    def numbers(text: str) -> range:
        first, _, last = text.partition("-")
        return range(int(first), int(last or first) + 1)

    return numbers(outside), numbers(inside), protocol


def known_variables() -> set[str]:
    serve = cli.cli.commands["serve"]
    return {str(parameter.envvar) for parameter in serve.params if isinstance(parameter, click.Option)}


def test_every_variable_of_the_image_and_of_compose_is_one_of_the_command_line() -> None:
    used = {*image_environment(), *compose()["services"]["app"]["environment"]}
    assert {name for name in used if name.startswith("LIVECOMMERCE_")} <= known_variables()
    assert len(used) > 10


def test_the_image_runs_our_command_as_nobody_special_with_a_health_check() -> None:
    final = dict(stage(1))
    assert final["USER"] == "livecommerce"
    assert json.loads(final["ENTRYPOINT"]) == ["livecommerce"]
    assert final["HEALTHCHECK"].endswith('CMD ["python", "/opt/livecommerce/healthcheck.py"]')
    assert "COPY docker/healthcheck.py /opt/livecommerce/healthcheck.py" in [f"{a} {b}" for a, b in stage(1)]
    assert final["VOLUME"] == image_environment()["LIVECOMMERCE_DATA_DIR"] == "/data"


def test_the_image_starts_once_it_has_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    command = json.loads(dict(stage(1))["CMD"])
    with pytest.raises(click.ClickException, match="needs a --secret"):
        settings_of(command, image_environment(), monkeypatch)
    settings = settings_of(
        command, image_environment() | {"LIVECOMMERCE_SECRET": GIVEN["LIVECOMMERCE_SECRET"]}, monkeypatch
    )
    assert (settings.host, settings.port, settings.media_port, settings.redis_url) == ("0.0.0.0", 8080, 50_000, "")
    assert f"{settings.port}/tcp {settings.media_port}/udp" == dict(stage(1))["EXPOSE"]


def test_compose_gives_the_app_two_workers_and_opens_their_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    app = compose()["services"]["app"]
    settings = settings_of(app["command"], image_environment() | app["environment"], monkeypatch)
    assert (settings.workers, settings.media_host) == (2, "192.0.2.10")
    opened = [ports(mapping) for mapping in app["ports"]]
    assert (range(8080, 8081), range(8080, 8081), "tcp") in opened
    media = range(settings.media_port, settings.media_port + settings.workers)
    assert (media, media, "udp") in opened, "media ports are told to viewers: they must be the same outside"


def test_composes_valkey_is_the_one_the_app_names_durable_and_kept() -> None:
    document = compose()
    valkey = document["services"]["valkey"]
    assert document["services"]["app"]["environment"]["LIVECOMMERCE_REDIS_URL"].startswith("redis://valkey:")
    assert int(valkey["image"].partition(":")[2][0]) >= 8
    words = valkey["command"]
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options == {
        "--appendonly": "yes",
        "--appendfsync": "always",
        "--maxmemory-policy": "noeviction",
        "--save": "",
    }
    assert valkey["volumes"] == ["valkey:/data"]
    assert "valkey" in document["volumes"]


def test_composes_turn_server_is_the_one_the_app_tells_of() -> None:
    services = compose()["services"]
    environment, turn = services["app"]["environment"], services["turn"]
    options = dict(word.partition("=")[::2] for word in turn["command"])
    assert options["--static-auth-secret"] == environment["LIVECOMMERCE_TURN_SECRET"]
    assert environment["LIVECOMMERCE_TURN_URL"] == f"turn:192.0.2.10:{options['--listening-port']}"
    opened = [ports(mapping) for mapping in turn["ports"]]
    relayed = range(int(options["--min-port"]), int(options["--max-port"]) + 1)
    assert (relayed, relayed, "udp") in opened


def test_the_build_sees_only_what_it_copies() -> None:
    allowed = {line[1:] for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = {
        source
        for number in (0, 1)
        for name, rest in stage(number)
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == allowed


def test_the_images_install_steps_make_a_server_in_a_clean_folder(tmp_path: Path) -> None:
    """The first stage's COPY and RUN, with /src and /opt/livecommerce in a temporary folder."""
    source, target = tmp_path / "src", tmp_path / "opt"
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    for name, rest in stage(0):
        if name == "COPY":
            *names, _ = rest.split()
            for copied in names:
                here = ROOT / copied
                if here.is_dir():
                    shutil.copytree(here, source / copied, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    source.mkdir(exist_ok=True)
                    shutil.copy(here, source / copied)
        elif name == "RUN":
            source.mkdir(exist_ok=True)
            words = shlex.split(rest.replace("/opt/livecommerce", str(target)))
            assert words[0] == "python"
            done = subprocess.run(
                [sys.executable, *words[1:]], cwd=source, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
    said = subprocess.run([target / "bin/livecommerce", "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert said.stdout.startswith("livecommerce, version"), said.stderr
    # A wheel forgets what is not Python unless it is told: every file of ours has to arrive.
    site = next((target / "lib").glob("python3.*/site-packages"))
    for package in ("livecommerce", "streams", "deals", "chat"):
        sent = {p.relative_to(source) for p in (source / package).rglob("*") if p.is_file()}
        there = {
            p.relative_to(site) for p in (site / package).rglob("*") if "__pycache__" not in p.parts and p.is_file()
        }
        assert sent == there
    assert list(site.glob("*/lua/*.lua"))
    assert not (target / "bin/pip").exists()
