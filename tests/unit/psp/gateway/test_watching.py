"""Watches over HTTP and their event stream (psp/gateway/watching.py)."""

import pytest

from psp.client.errors import ClockError, ContactRevokedError
from psp.client.lookups.lookup_result import PresenceState
from psp.testing.presence_client import presence_event
from tests.unit.psp.gateway.rig import card_of, read_events

ONLINE, OFFLINE = PresenceState.ONLINE, PresenceState.OFFLINE


async def open_watch(program, *who):
    answer = await program.ask("POST", "/v1/watches", {"who": list(who)})
    assert answer.status == 201, answer.body
    return answer.body["id"]


async def test_what_happens_to_a_watched_user_is_told(program):
    program.befriend("alice")
    watch = await open_watch(program, "alice")
    program.client.watches[0].put_nowait(
        presence_event(
            card_of("alice"),
            ONLINE,
            name="alice",
            status="here",
            capabilities=({"audio"}),
        )
    )

    async with program.stream("/v1/events") as answer:
        (event,) = await read_events(answer, 1)

    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert event["event"] == "presence"
    assert event["data"] == {
        "watch": watch,
        "user": card_of("alice").identity.hex(),
        "name": "alice",
        "state": "online",
        "status": "here",
        "capabilities": ["audio"],
        "at": 1_800_000_000,
        "reason": "first",
    }


async def test_who_connects_again_gets_what_was_missed_and_nothing_twice(program):
    program.befriend("alice", "bob")
    await open_watch(program, "alice", "bob")
    queue = program.client.watches[0]
    queue.put_nowait(presence_event(card_of("alice"), ONLINE, name="alice"))
    queue.put_nowait(presence_event(card_of("bob"), ONLINE, name="bob"))
    async with program.stream("/v1/events") as answer:
        before = await read_events(answer, 2)

    for state in (OFFLINE, ONLINE, OFFLINE):
        queue.put_nowait(presence_event(card_of("bob"), state, name="bob"))
    async with program.stream("/v1/events", last=before[-1]["id"]) as answer:
        (missed,) = await read_events(answer, 1)
    async with program.stream("/v1/events", last="f00d-1") as answer:
        everything = await read_events(answer, 2)

    assert missed["data"]["name"] == "bob"
    assert missed["data"]["state"] == "offline"
    assert [event["data"]["name"] for event in everything] == ["alice", "bob"]


async def test_a_stream_may_be_of_one_watch(program):
    program.befriend("alice", "bob")
    await open_watch(program, "alice")
    second = await open_watch(program, "bob")
    program.client.watches[0].put_nowait(presence_event(card_of("alice"), ONLINE))
    program.client.watches[1].put_nowait(presence_event(card_of("bob"), ONLINE))

    async with program.stream(f"/v1/events?watch={second}") as answer:
        (event,) = await read_events(answer, 1)
    unknown = await program.ask("GET", "/v1/events?watch=nonsense")

    assert event["data"]["user"] == card_of("bob").identity.hex()
    assert (unknown.status, unknown.problem) == (404, "unknown-watch")


async def test_a_watch_that_is_closed_says_so_and_is_forgotten(program):
    program.befriend("alice")
    watch = await open_watch(program, "alice")
    program.client.watches[0].put_nowait(presence_event(card_of("alice"), ONLINE))

    async with program.stream("/v1/events") as answer:
        await read_events(answer, 1)
        closed = await program.ask("DELETE", f"/v1/watches/{watch}")
        (ended,) = await read_events(answer, 1)
    again = await program.ask("DELETE", f"/v1/watches/{watch}")
    listed = await program.ask("GET", "/v1/watches")

    assert closed.status == 204
    assert ended["event"] == "watch-ended"
    assert ended["data"] == {"watch": watch, "problem": None}
    assert (again.status, again.problem) == (404, "unknown-watch")
    assert listed.body == {"watches": []}


async def test_a_watch_that_breaks_tells_why(program):
    program.befriend("alice")
    await open_watch(program, "alice")
    program.client.watches[0].put_nowait(ContactRevokedError("nobody is left"))

    async with program.stream("/v1/events") as answer:
        (ended,) = await read_events(answer, 1)
    listed = await program.ask("GET", "/v1/watches")

    assert ended["data"]["problem"]["type"] == "urn:psp:problem:contact-revoked"
    assert listed.body == {"watches": []}


async def test_a_user_named_twice_is_watched_once(program):
    program.befriend("alice")
    identity = card_of("alice").identity.hex()

    answer = await program.ask("POST", "/v1/watches", {"who": ["alice", identity]})

    assert answer.body["users"] == [identity]


async def test_a_watch_of_somebody_unknown_does_not_begin(program):
    program.befriend("alice")

    answer = await program.ask("POST", "/v1/watches", {"who": ["alice", "nobody"]})

    assert (answer.status, answer.problem) == (404, "unknown-contact")
    assert program.client.watches == []


async def test_a_watch_that_the_client_refuses_does_not_begin(program):
    program.befriend("alice")
    program.client.watch_refusal = ClockError("wrong")

    answer = await program.ask("POST", "/v1/watches", {"who": ["alice"]})
    listed = await program.ask("GET", "/v1/watches")

    assert (answer.status, answer.problem) == (503, "clock")
    assert listed.body == {"watches": []}


@pytest.mark.parametrize("settings", [{"max_watches": 2}])
async def test_only_so_many_watches_are_open(program):
    program.befriend("alice")
    await open_watch(program, "alice")
    watch = await open_watch(program, "alice")

    refused = await program.ask("POST", "/v1/watches", {"who": ["alice"]})
    await program.ask("DELETE", f"/v1/watches/{watch}")
    await open_watch(program, "alice")

    assert (refused.status, refused.problem) == (429, "too-many-watches")


async def test_a_fault_of_ours_ends_the_watch_and_is_logged_without_its_text(
    program, logged
):
    program.befriend("alice")
    await open_watch(program, "alice")
    program.client.watches[0].put_nowait(RuntimeError("secret"))

    async with program.stream("/v1/events") as answer:
        (ended,) = await read_events(answer, 1)
    program.client.watch_refusal = RuntimeError("secret")
    refused = await program.ask("POST", "/v1/watches", {"who": ["alice"]})

    assert ended["data"]["problem"]["type"] == "urn:psp:problem:internal"
    assert (refused.status, refused.problem) == (500, "internal")
    assert "gateway_fault" in logged.getvalue()
    assert "secret" not in logged.getvalue() + str(ended) + str(refused.body)


async def test_a_card_is_called_by_its_identity(program):
    card = card_of("stranger")
    await open_watch(program, card.encode())
    program.client.watches[0].put_nowait(presence_event(card, ONLINE))

    async with program.stream("/v1/events") as answer:
        (event,) = await read_events(answer, 1)

    assert event["data"]["name"] == card.identity.hex()
