"""The contact book over HTTP (psp/gateway/contact_desk.py)."""

import pytest

from psp.netdoc.contact_card import ContactCard
from tests.unit.psp.gateway.rig import card_of


async def add(program, name="alice", **more):
    return await program.ask(
        "POST",
        "/v1/contacts",
        {"card": card_of("alice").encode(), "name": name, **more},
    )


async def test_a_contact_is_added_shown_listed_and_renamed(program):
    added = await add(program)
    renamed = await program.ask("PATCH", "/v1/contacts/alice", {"name": "Alice B."})
    listed = await program.ask("GET", "/v1/contacts")
    shown = await program.ask("GET", "/v1/contacts/Alice%20B.")

    assert added.status == 201
    assert renamed.status == 200
    assert listed.body == {"contacts": [shown.body]}
    assert shown.body == {
        "name": "Alice B.",
        "user": card_of("alice").identity.hex(),
        "card_name": "alice",
        "is_public": False,
        "is_verified": False,
        "is_invited": False,
        "added": 1_800_000_000,
    }


async def test_the_name_on_the_card_is_the_default(program):
    answer = await program.ask(
        "POST", "/v1/contacts", {"card": card_of("alice").encode()}
    )

    assert answer.body["name"] == "alice"


async def test_an_invitation_is_a_card_for_one_contact(program):
    made = await program.ask("POST", "/v1/invitations", {"name": "bob"})
    again = await program.ask("POST", "/v1/invitations", {"name": "bob"})

    assert made.status == 201
    assert made.body == again.body
    card = ContactCard.decode(made.body["card"])
    assert card.identity == program.client.identity.user_id
    assert len(card.ticket_key) == 32


async def test_words_are_compared(program):
    await add(program)

    words = (await program.ask("GET", "/v1/contacts/alice/words")).body["words"]
    wrong = await program.ask(
        "POST", "/v1/contacts/alice/verify", {"words": "zoo " * 12}
    )
    unverified = await program.ask("GET", "/v1/contacts/alice")
    right = await program.ask(
        "POST", "/v1/contacts/alice/verify", {"words": " ".join(words)}
    )

    assert len(words) == 12
    assert (wrong.status, wrong.problem) == (409, "words-differ")
    assert not unverified.body["is_verified"]
    assert right.body["is_verified"]


async def test_a_user_who_compared_the_words_says_so_without_them(program):
    await add(program)

    answer = await program.ask("POST", "/v1/contacts/alice/verify", {})

    assert answer.body["is_verified"]


async def test_a_revoked_contact_is_gone_and_the_others_get_fresh_cards(program):
    await add(program)
    program.client.contacts.invite("bob")
    secret = program.client.identity.discovery_secret

    answer = await program.ask("POST", "/v1/contacts/alice/revoke", {})
    gone = await program.ask("GET", "/v1/contacts/alice")

    assert answer.status == 200
    assert [card["name"] for card in answer.body["cards"]] == ["bob"]
    fresh = ContactCard.decode(answer.body["cards"][0]["card"])
    assert fresh.secret == program.client.identity.discovery_secret != secret
    assert gone.status == 404


async def test_revoking_may_leave_the_secret_alone(program):
    await add(program)
    secret = program.client.identity.discovery_secret

    answer = await program.ask("POST", "/v1/contacts/alice/revoke", {"rotate": False})

    assert answer.body == {"cards": []}
    assert program.client.identity.discovery_secret == secret


async def test_a_known_name_does_not_take_another_identity(program):
    await add(program)

    answer = await program.ask(
        "POST", "/v1/contacts", {"card": card_of("mallory").encode(), "name": "Alice"}
    )

    assert (answer.status, answer.problem) == (409, "changed-identity")


@pytest.mark.parametrize("name", ["  ", "@alice", "psp://x", "a\nb", "ä" * 33])
async def test_a_name_that_cannot_be_is_refused(program, name):
    await add(program)

    added = await add(program, name)
    renamed = await program.ask("PATCH", "/v1/contacts/alice", {"name": name})
    invited = await program.ask("POST", "/v1/invitations", {"name": name})

    for answer in (added, renamed, invited):
        assert (answer.status, answer.problem) == (422, "bad-name")


async def test_a_damaged_card_and_ones_own_are_told_apart(program):
    damaged = await program.ask(
        "POST", "/v1/contacts", {"card": card_of("alice").encode()[:-2] + "aa"}
    )
    own = await program.ask(
        "POST", "/v1/contacts", {"card": program.client.me.encode()}
    )

    assert (damaged.status, damaged.problem) == (422, "damaged-card")
    assert (own.status, own.problem) == (409, "not-possible")
