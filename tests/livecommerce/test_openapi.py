"""/openapi.json describes every route with the types that validate, and describes it truly."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from livecommerce.http.app import ENDPOINTS, ROOMS
from livecommerce.http.openapi import openapi, operation_id, refusals_of
from livecommerce.problems import KINDS
from tests.api import DEAL
from tests.livecommerce.edge import EdgeWorker
from tests.livecommerce.test_http_api import open_deal

#: what is not part of the contract: the documents themselves, pages, workers among themselves
NOT_OPERATIONS = ("/openapi.json", "/asyncapi.json", "/assets/", "/internal/", "/watch/")
PAGES = {"/", "/studio", "/favicon.ico"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi([*ENDPOINTS, *ROOMS], version="1.2.3")


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    if isinstance(node, list):
        return set().union(*map(references, node)) if node else set()
    return set()


async def test_every_route_is_described_and_nothing_else(edge: EdgeWorker) -> None:
    answer = await edge.ask("GET", "/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    described = {(m.upper(), p) for p, ms in answer.body["paths"].items() for m in ms}
    routed = {
        (route.method, route.resource.canonical)
        for route in edge.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    contract = {(m, p) for m, p in routed if p not in PAGES and not p.startswith(NOT_OPERATIONS)}
    assert described == contract


def test_it_is_openapi_3_1_in_form(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == "1.2.3"
    ids = [operation_id(e) for e in (*ENDPOINTS, *ROOMS)]
    assert len(set(ids)) == len(ids)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}
            assert all(p["required"] for p in operation["parameters"] if p["in"] == "path")
            assert operation["responses"]
            assert all("description" in r for r in operation["responses"].values())


def test_every_reference_leads_somewhere_and_every_schema_is_one(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert references(document) == {f"#/components/schemas/{name}" for name in schemas}
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_code_it_names_has_its_row() -> None:
    for endpoint in ENDPOINTS:
        assert set(refusals_of(endpoint)) <= set(KINDS), endpoint.path


def test_what_the_types_refuse_the_document_refuses(document: dict[str, Any]) -> None:
    spec = jsonschema.Draft202012Validator(
        {"$ref": "#/components/schemas/DealSpec", "components": document["components"]}
    )
    spec.validate(DEAL)
    for bad in ({"stock": 0}, {"stock": "3"}, {"surprise": 1}, {"price": {"amount": -1, "currency": "EUR"}}):
        assert not spec.is_valid(DEAL | bad), bad


async def test_real_answers_are_of_the_described_form(edge: EdgeWorker) -> None:
    document = (await edge.ask("GET", "/openapi.json")).body

    def check(method: str, path: str, status: int, body: Any, media: str = "application/json") -> None:
        content = document["paths"][path][method]["responses"][str(status)]["content"]
        schema = content[media]["schema"] | {"components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(body)

    stream_id = await edge.stream()
    base = "/api/v1/streams/{stream_id}"
    check("get", base, 200, (await edge.ask("GET", f"/api/v1/streams/{stream_id}")).body)
    check("get", "/api/v1/streams", 200, (await edge.ask("GET", "/api/v1/streams")).body)
    path = await open_deal(edge, stream_id)
    check("get", f"{base}/deals/{{deal_id}}", 200, (await edge.ask("GET", path)).body)
    buyer = edge.token("b", "buy")
    claimed = await edge.ask("POST", f"{path}/claims", token=buyer, json={"units": 1}, headers={"Idempotency-Key": "k"})
    check("post", f"{base}/deals/{{deal_id}}/claims", 201, claimed.body)
    journal = await edge.ask("GET", f"/api/v1/streams/{stream_id}/orders", token=edge.token("host", "host"))
    check("get", f"{base}/orders", 200, journal.body)
    refused = await edge.ask("POST", f"{path}/claims", token=buyer, json={"units": 1})
    check("post", f"{base}/deals/{{deal_id}}/claims", 400, refused.body, "application/problem+json")
    check("get", "/readyz", 200, (await edge.ask("GET", "/readyz")).body)
