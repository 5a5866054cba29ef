"""Calls over HTTP (psp/gateway/ringing.py)."""

from psp.client.calls.missed_calls import MissedCall
from psp.gateway.ringing import MAX_RINGING
from psp.testing.presence_client import FakeCall
from tests.unit.psp.gateway.rig import card_of, read_events


async def test_a_call_rings_and_can_be_refused(program):
    call = FakeCall(contact="alice", effort=0)
    program.client.calls.put_nowait(call)

    async with program.stream("/v1/calls/incoming") as answer:
        (rings,) = await read_events(answer, 1)
        path = f"/v1/calls/incoming/{rings['data']['call']}/refuse"
        refused = await program.ask("POST", path)
        (ended,) = await read_events(answer, 1)
    again = await program.ask("POST", path)

    assert rings["event"] == "call"
    assert rings["data"] | {"call": ""} == {
        "call": "",
        "contact": "alice",
        "effort": 0,
        "expires": 1_800_000_060,
    }
    assert refused.status == 204
    assert call.is_refused
    assert ended["event"] == "call-ended"
    assert ended["data"] == {"call": rings["data"]["call"]}
    assert (again.status, again.problem) == (404, "unknown-call")


async def test_a_call_that_ends_by_itself_is_told(program):
    call = FakeCall()
    program.client.calls.put_nowait(call)

    async with program.stream("/v1/calls/incoming") as answer:
        (rings,) = await read_events(answer, 1)
        call.is_over.set()
        (ended,) = await read_events(answer, 1)

    assert rings["data"]["contact"] is None
    assert ended["data"]["call"] == rings["data"]["call"]


async def test_a_thousand_calls_are_not_remembered(program):
    calls = [FakeCall(effort=number) for number in range(MAX_RINGING + 10)]
    for call in calls:
        program.client.calls.put_nowait(call)

    async with program.stream("/v1/calls/incoming") as answer:
        events = await read_events(answer, len(calls))

    rings = [event["data"]["effort"] for event in events if event["event"] == "call"]
    ended = [event for event in events if event["event"] == "call-ended"]
    assert rings == list(range(10, len(calls)))
    assert len(ended) == 10


async def test_missed_calls_are_listed(program):
    alice = card_of("alice").identity
    program.client.missed += [
        MissedCall(1_799_999_000, text="call me"),
        MissedCall(1_799_999_900, alice, "alice"),
    ]

    answer = await program.ask("GET", "/v1/calls/missed")

    assert answer.body["calls"] == [
        {"at": 1_799_999_000, "caller": None, "contact": None, "text": "call me"},
        {
            "at": 1_799_999_900,
            "caller": alice.hex(),
            "contact": "alice",
            "text": "",
        },
    ]


async def test_a_fault_in_taking_calls_is_logged_and_the_rest_goes_on(program, logged):
    program.client.calls.put_nowait(None)

    while "gateway_fault" not in logged.getvalue():
        await program.ask("GET", "/v1/status")
    answer = await program.ask("GET", "/v1/contacts")

    assert answer.status == 200
