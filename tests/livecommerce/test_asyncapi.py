"""/asyncapi.json describes every command and event with the types that validate."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from livecommerce.http.asyncapi import asyncapi
from livecommerce.schema.commands import COMMANDS
from livecommerce.schema.events import EVENTS
from tests.livecommerce.edge import EdgeWorker


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncapi(COMMANDS, EVENTS, version="1.2.3")


def resolve(document: dict[str, Any], reference: str) -> Any:
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part.replace("~1", "/")]
    return node


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    if isinstance(node, list):
        return set().union(*map(references, node)) if node else set()
    return set()


async def test_it_is_served(edge: EdgeWorker, document: dict[str, Any]) -> None:
    answer = await edge.ask("GET", "/asyncapi.json")
    assert (answer.status, answer.body["asyncapi"]) == (200, "3.0.0")
    assert answer.body["components"] == document["components"]


def test_every_command_and_event_is_a_message_of_the_room(document: dict[str, Any]) -> None:
    channel = document["channels"]["room"]
    commands = {f"command.{name}" for name in COMMANDS}
    events = {f"event.{name}" for name in EVENTS}
    assert commands | events | {"reply.ok", "reply.err"} == set(channel["messages"])
    follow = document["operations"]["follow"]
    assert {m["$ref"].rpartition("/")[2] for m in follow["messages"]} == events
    assert document["operations"]["command"]["action"] == "receive", "the server receives commands"
    assert set(channel["parameters"]) == {"stream_id"}


def test_every_reference_leads_somewhere_and_every_schema_is_one(document: dict[str, Any]) -> None:
    for reference in references(document):
        assert resolve(document, reference), reference
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("name", "body", "good"),
    [
        ("command.chat.send", {"do": "chat.send", "id": 1, "text": "hi"}, True),
        ("command.chat.send", {"do": "chat.send", "id": 1}, False),
        ("command.chat.send", {"do": "chat.send", "id": 1, "text": "hi", "as": "host"}, False),
        ("command.chat.send", {"do": "chat.ban", "id": 1, "text": "hi"}, False),
        ("event.viewers", {"type": "viewers", "as_of": 3, "data": {"count": 2}}, True),
        ("event.viewers", {"type": "viewers", "as_of": 3, "data": {}}, False),
        ("reply.err", {"re": 1, "err": {"code": "closed", "message": "Closed.", "temporary": False}}, True),
        ("reply.err", {"re": 1, "err": {"code": "closed"}}, False),
    ],
)
def test_its_messages_tell_good_from_bad(document: dict[str, Any], name: str, body: Any, good: bool) -> None:
    payload = document["components"]["messages"][name]["payload"]
    schema = payload | {"components": document["components"]}
    assert jsonschema.Draft202012Validator(schema).is_valid(body) is good
