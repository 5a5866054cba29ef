"""The OpenAPI document (psp/gateway/openapi.py), and that the gateway keeps to it."""

import asyncio
import json
import sys

import pytest

from psp.client.calls.missed_calls import MissedCall
from psp.client.lookups.lookup_result import PresenceState
from psp.gateway.openapi import document
from psp.gateway.operations import OPERATIONS
from psp.testing.presence_client import FakeCall, looked_up
from tests.unit.psp.gateway.rig import TOKEN, card_of, read_events

SETTINGS = """
[checks.positive_data_acceptance]
# A card that is damaged, a name that the book does not take: no schema can tell.
expected-statuses = ["2xx", 401, 404, 409, 422, 429, 503]
"""

STREAMS = [operation.name for operation in OPERATIONS if operation.events]


@pytest.fixture
def described():
    return document("1.2.3", "http://127.0.0.1:8790")


def test_every_operation_is_described_once(described):
    names = [
        operation["operationId"]
        for row in described["paths"].values()
        for operation in row.values()
    ]

    assert sorted(names) == sorted(operation.name for operation in OPERATIONS)
    assert len(set(names)) == len(names)


def test_every_reference_leads_somewhere(described):
    schemas = described["components"]["schemas"]
    text = json.dumps(described)
    wanted = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}

    assert wanted <= set(schemas)
    assert "Presence" in wanted


def test_every_field_that_comes_in_is_strict(described):
    for operation in OPERATIONS:
        if operation.body is not None:
            schema = described["components"]["schemas"][operation.body.__name__]
            assert schema["additionalProperties"] is False


async def furnish(program):
    """Fill the gateway with what can be asked for; return the document with examples."""
    client = program.client
    program.befriend("alice", "bob")
    client.contacts.invite("carol")
    client.known[card_of("alice").identity] = looked_up(
        PresenceState.ONLINE,
        1,
        4,
        status="here",
        capabilities=["audio"],
        issued=1_800_000_000,
    )
    client.missed.append(MissedCall(1_799_999_000, card_of("bob").identity, "bob"))
    client.calls.put_nowait(FakeCall())
    watch = await program.ask("POST", "/v1/watches", {"who": ["alice"]})
    async with program.stream("/v1/calls/incoming") as answer:
        (rings,) = await read_events(answer, 1)
    described = (await program.ask("GET", "/v1/openapi.json")).body
    examples = {
        "close_watch": watch.body["id"],
        "refuse_call": rings["data"]["call"],
        "revoke": "bob",
        "rename_contact": "carol",
    }
    for row in described["paths"].values():
        for operation in row.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "id":
                    name = operation["operationId"]
                    parameter["example"] = examples.get(name, "alice")
    card = described["components"]["schemas"]["AddContact"]["properties"]["card"]
    card["examples"] = [card_of("dave").encode()]
    return described


@pytest.mark.timeout(60)
async def test_schemathesis_finds_no_way_around_the_document(program, tmp_path):
    """Ask everything that the document allows, and much that it does not.

    Streams do not end and are asked elsewhere (test_watching.py, test_streams.py).
    """
    described = await furnish(program)
    (tmp_path / "openapi.json").write_text(json.dumps(described))
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", "openapi.json"),
        *("--url", program.gateway.url),
        *("--header", f"Authorization: Bearer {TOKEN}"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "10"),
        *("--seed", "4", "--checks", "all", "--no-color", "--request-timeout", "5"),
        *(option for name in STREAMS for option in ("--exclude-operation-id", name)),
    ]

    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()

    assert process.returncode == 0, printed.decode()
    assert f"{len(OPERATIONS) - len(STREAMS)} selected" in printed.decode()
    done = program.gateway.stats.requests
    never = {each.name for each in OPERATIONS} - set(STREAMS) - set(done)
    assert never == set()
    assert program.gateway.stats.problems["internal"] == 0
