"""``/openapi.json``: OpenAPI 3.1, made from the endpoint table and the types that validate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from livecommerce.http.answers import ProblemDetails
from livecommerce.http.endpoints import Body, Endpoint, Listing
from livecommerce.problems import KINDS, kind_of

REF = "#/components/schemas/{name}"
#: what any operation may answer
_ALWAYS = ("rate_limited", "internal")
_WITH_TOKEN = ("token_required", "token_invalid", "token_expired")
_WITH_GRANT = ("forbidden",)
_WITH_BODY = ("malformed", "invalid", "too_large", "timeout", "unsupported_media_type")
_FREE_TEXT = {"type": "string"}


def openapi(endpoints: Sequence[Endpoint], *, version: str) -> dict[str, Any]:
    """The whole document."""
    kinds = _kinds(endpoints)
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REF)
    schema_of = dict(zip(map(id, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "livecommerce",
            "version": version,
            "summary": "Livestream shopping: video, ordered chat and flash deals that never oversell.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _kinds(endpoints: Sequence[Endpoint]) -> list[Any]:
    """Every type that occurs, once, in order of appearance."""
    kinds: dict[int, Any] = {id(ProblemDetails): ProblemDetails}
    for endpoint in endpoints:
        bodies = [b for bs in endpoint.answers.values() for b in bs] + ([endpoint.body] if endpoint.body else [])
        for body in bodies:
            kind = body.kind.kind if isinstance(body.kind, Listing) else body.kind
            if kind is not None:
                kinds[id(kind)] = kind
    return list(kinds.values())


def _operation(endpoint: Endpoint, schema_of: dict[int, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id(endpoint),
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint, schema_of),
    }
    if endpoint.body is not None:
        operation["requestBody"] = {"required": True, "content": _content((endpoint.body,), schema_of)}
    if endpoint.needs:
        operation["security"] = [{"token": []}]
        if endpoint.needs != "any":
            operation["description"] = f"Needs a token with the grant `{endpoint.needs}`."
    return operation


def operation_id(endpoint: Endpoint) -> str:
    """A stable name: the method and the path's words."""
    words = re.findall(r"[a-z0-9]+", endpoint.path.removeprefix("/api/v1").replace("_id}", "}"))
    return "_".join((endpoint.method.lower(), *words)) or endpoint.method.lower()


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)(?::[^}]*)?}", endpoint.path)
    ]
    others = [
        {"name": name, "in": where, "required": required, "schema": dict(schema), "description": description}
        for name, where, required, schema, description in endpoint.parameters
    ]
    return in_path + others


def refusals_of(endpoint: Endpoint) -> list[str]:
    """Every code the operation may refuse with."""
    codes = [*endpoint.refusals, *_ALWAYS]
    if endpoint.needs:
        codes += _WITH_TOKEN
    if endpoint.needs not in ("", "any"):
        codes += _WITH_GRANT
    if endpoint.body is not None:
        codes += _WITH_BODY
    return list(dict.fromkeys(codes))


def _responses(endpoint: Endpoint, schema_of: dict[int, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, bodies in endpoint.answers.items():
        responses[str(status)] = {"description": "Done." if status != 202 else "Not known yet; ask again."}
        if bodies:
            responses[str(status)]["content"] = _content(bodies, schema_of)
        headers = {n: text for body in bodies for n, text in body.headers.items()}
        if headers:
            responses[str(status)]["headers"] = {
                name: {"description": text, "schema": _FREE_TEXT} for name, text in headers.items()
            }
    by_status: dict[int, list[str]] = {}
    for code in refusals_of(endpoint):
        by_status.setdefault(kind_of(code).status, []).append(code)
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = {
            "description": "; ".join(f"`{code}`: {KINDS[code].title}" for code in codes) + ".",
            "content": {"application/problem+json": {"schema": schema_of[id(ProblemDetails)]}},
        }
    return responses


def _content(bodies: Sequence[Body], schema_of: dict[int, Any]) -> dict[str, Any]:
    return {
        # OpenAPI 3.1: binary content has no schema
        body.media_type: {} if body.media_type.startswith("image/") else {"schema": _schema(body.kind, schema_of)}
        for body in bodies
    }


def _schema(kind: Any, schema_of: dict[int, Any]) -> dict[str, Any]:
    if kind is None:
        return dict(_FREE_TEXT)
    if isinstance(kind, Listing):
        return {
            "type": "object",
            "required": ["items", "next"],
            "properties": {
                "items": {"type": "array", "items": schema_of[id(kind.kind)]},
                "next": {"type": ["string", "null"], "description": "Send it as `after` for the next page."},
            },
        }
    schema: dict[str, Any] = schema_of[id(kind)]
    return schema
