"""Look-ups over HTTP (psp/gateway/looking.py)."""

from urllib.parse import quote

import pytest

from psp.client import errors
from psp.client.lookups.lookup_result import PresenceState
from psp.testing.presence_client import looked_up
from tests.unit.psp.gateway.rig import card_of

ONLINE = looked_up(
    PresenceState.ONLINE,
    points=2,
    answers=2,
    status="in the garden",
    capabilities=({"video", "audio"}),
    issued=1_800_000_000,
    is_confirmed=True,
)


async def test_a_contact_is_looked_up_by_name_and_by_identity(program):
    program.befriend("alice")
    card = card_of("alice")
    program.client.known[card.identity] = ONLINE

    by_name = await program.ask("GET", "/v1/presence/alice")
    by_identity = await program.ask("GET", f"/v1/presence/{card.identity.hex()}")

    assert by_name.status == by_identity.status == 200
    assert by_name.body == by_identity.body
    assert by_name.body == {
        "who": "alice",
        "user": card.identity.hex(),
        "state": "online",
        "points": 2,
        "answers": 2,
        "issued": 1_800_000_000,
        "is_confirmed": True,
        "status": "in the garden",
        "capabilities": ["audio", "video"],
    }


@pytest.mark.parametrize("name", ["Zoë / at work", "100 %", "..", "a?b#c", "psp"])
async def test_any_name_of_the_book_fits_into_the_address(program, name):
    program.client.contacts.add(card_of("alice"), name)

    answer = await program.ask("GET", f"/v1/presence/{quote(name, safe='')}")

    if name == "..":  # a path's dots are the path's: such a one is found by identity
        assert answer.status == 404
    else:
        assert answer.status == 200
        assert answer.body["who"] == name


async def test_nobody_known_is_told_as_such(program):
    unknown = await program.ask("GET", "/v1/presence/nobody")
    foreign = await program.ask("GET", f"/v1/presence/{'ab' * 32}")
    registered = await program.ask("GET", "/v1/presence/@nobody")

    assert unknown.status == foreign.status == registered.status == 404
    assert {unknown.problem, foreign.problem, registered.problem} == {"unknown-contact"}


async def test_a_card_does_not_belong_in_an_address(program):
    card = card_of("alice").encode()

    answer = await program.ask("GET", f"/v1/presence/{quote(card, safe='')}")

    assert answer.status == 400
    assert answer.problem == "card-in-address"
    assert card not in str(answer.body)


async def test_one_who_was_invited_only_cannot_be_looked_up(program):
    program.client.contacts.invite("carol")

    answer = await program.ask("GET", "/v1/presence/carol")

    assert answer.problem == "unknown-contact"
    assert "has not given a card yet" in answer.body["detail"]


async def test_an_error_of_the_client_is_a_problem_of_its_own_kind(program):
    program.befriend("alice")
    refused = program.client.refused
    alice = card_of("alice").identity

    refused[alice] = errors.ContactRevokedError("removed while asking")
    revoked = await program.ask("GET", "/v1/presence/alice")
    refused[alice] = errors.ClockError("our clock is 86400 s behind")
    clock = await program.ask("GET", "/v1/presence/alice")

    assert (revoked.status, revoked.problem) == (410, "contact-revoked")
    assert (clock.status, clock.problem) == (503, "clock")
    assert clock.body["detail"] == "our clock is 86400 s behind"


async def test_a_batch_has_an_answer_for_each_in_order(program):
    program.befriend("alice", "bob")
    stranger = card_of("stranger")
    program.client.known[card_of("alice").identity] = ONLINE
    program.client.known[stranger.identity] = ONLINE
    program.client.refused[card_of("bob").identity] = errors.ClockError("wrong")

    answer = await program.ask(
        "POST",
        "/v1/presence",
        {"who": ["bob", "nobody", stranger.encode(), "psp://broken", "alice"]},
    )

    assert answer.status == 200
    kinds = [
        entry["problem"]["type"].rpartition(":")[2]
        if entry["presence"] is None
        else entry["presence"]["who"]
        for entry in answer.body["results"]
    ]
    assert kinds == [
        "clock",
        "unknown-contact",
        stranger.identity.hex(),
        "damaged-card",
        "alice",
    ]
    assert stranger.encode() not in str(answer.body)


async def test_who_is_named_twice_is_looked_up_once(program):
    program.befriend("alice")
    identity = card_of("alice").identity.hex()

    answer = await program.ask(
        "POST", "/v1/presence", {"who": ["alice", identity, "nobody", "Alice"]}
    )

    assert len(answer.body["results"]) == 4
    assert program.client.asked == [1]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"who": []},
        {"who": [""]},
        {"who": "alice"},
        {"who": ["alice"], "more": 1},
        {"who": ["a"] * 101},
        {"who": [7]},
        b"{",
        b"\xff",
        b'{"who": ["\\ud800"]}',
        b"[" * 100_000,
        b"",
    ],
)
async def test_a_batch_that_makes_no_sense_is_refused(program, body):
    answer = await program.ask("POST", "/v1/presence", body)

    assert answer.status == 400
    assert answer.problem == "bad-request"


@pytest.mark.parametrize("settings", [{"answer_within": 0.05}])
async def test_a_look_up_that_takes_too_long_is_given_up(program):
    program.befriend("alice")
    program.client.gate.clear()

    answer = await program.ask("GET", "/v1/presence/alice")

    assert (answer.status, answer.problem) == (504, "timeout")
