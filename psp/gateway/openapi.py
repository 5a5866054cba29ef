"""The OpenAPI 3.1 document, made from the table of operations and the bodies."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from psp.gateway.operations import OPERATIONS, Operation
from psp.gateway.problems import CONTENT_TYPE, Kind, Problem

Json = dict[str, Any]

_ANY = (
    Kind.BAD_REQUEST,
    Kind.FOREIGN_ORIGIN,
    Kind.FOREIGN_HOST,
    Kind.INTERNAL,
    Kind.FAILED,
    Kind.TIMEOUT,
)
"""What any request can come to."""

_PARAMETERS: Mapping[str, Json] = {
    "contacts": {
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        "description": "The contact's name, or its identity in 64 hex digits.",
        "example": "alice",
    },
    "presence": {
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        "description": (
            "A contact's name, its identity in 64 hex digits, or @ and a registered "
            "name. Never a contact card: that is a secret."
        ),
        "example": "alice",
    },
    "watches": {"schema": {"type": "string"}, "description": "A watch's id."},
    "calls": {"schema": {"type": "string"}, "description": "A call's id."},
}
"""What ``{id}`` is, by the second part of the path."""

_LAST_EVENT_ID: Json = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": (
        "The id of the last event that was read: only what is newer is sent. Without "
        "it, or after a restart of the client, the newest state of everything is."
    ),
    "schema": {"type": "string"},
}
_ONE_WATCH: Json = {
    "name": "watch",
    "in": "query",
    "required": False,
    "description": "Events of this watch only.",
    "schema": {"type": "string"},
}


def document(version: str, base: str) -> Json:
    """Return the document.

    Args:
        version: Of the program.
        base: The gateway's own address.
    """
    kinds = {
        kind
        for operation in OPERATIONS
        for kind in (operation.answer, operation.body, *operation.events.values())
        if kind is not None
    } | {Problem}
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(
        ordered, ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        row = paths.setdefault(operation.path, {})
        row[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PSP on this host",
            "version": version,
            "description": (
                "Presence over onion-routed circuits, for programs on this host. Each "
                "request shows the token from the client's token file. Times are Unix "
                "seconds; errors are problem+json (RFC 9457) with a stable type."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "What the token file holds.",
                }
            },
        },
    }


def _operation(operation: Operation) -> Json:
    shown: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "responses": _responses(operation),
    }
    if parameters := _parameters(operation):
        shown["parameters"] = parameters
    if operation.body is not None:
        shown["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _reference(operation.body)}},
        }
    if operation.is_open:
        shown["security"] = []
    return shown


def _parameters(operation: Operation) -> list[Json]:
    found = [
        {"name": name, "in": "path", "required": True}
        | _PARAMETERS[operation.path.split("/")[2]]
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    if operation.events:
        found.append(_LAST_EVENT_ID)
    if operation.name == "events":
        found.append(_ONE_WATCH)
    return found


def _responses(operation: Operation) -> Json:
    good: Json = {"description": "It was done."}
    if operation.answer is not None:
        schema = _reference(operation.answer)
        good["content"] = {"application/json": {"schema": schema}}
    elif operation.events:
        good["description"] = "Server-sent events; " + "; ".join(
            f'event "{name}" with data {kind.__name__}'
            for name, kind in operation.events.items()
        )
        good["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
    responses: Json = {str(operation.status): good}
    for status, kinds in sorted(_by_status(_problems(operation)).items()):
        responses[str(status)] = {
            "description": "; ".join(f"{kind.urn}: {kind.title}" for kind in kinds),
            "content": {CONTENT_TYPE: {"schema": _reference(Problem)}},
        }
    return responses


def _problems(operation: Operation) -> list[Kind]:
    kinds = [*operation.problems, *_ANY]
    if not operation.is_open:
        kinds.append(Kind.UNAUTHORIZED)
    if operation.body is not None:
        kinds += [Kind.TOO_LARGE, Kind.UNSUPPORTED_MEDIA_TYPE]
    return kinds


def _by_status(kinds: Iterable[Kind]) -> dict[int, list[Kind]]:
    found: dict[int, list[Kind]] = {}
    for kind in dict.fromkeys(kinds):
        found.setdefault(kind.status, []).append(kind)
    return found


def _reference(kind: type[Struct]) -> Json:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
