"""Removing a contact: the others, their cards, what is under way (ContactBook.revoke)."""

import asyncio

import pytest

from psp.client.errors import (
    ContactRevokedError,
)
from psp.client.identities.identity import ClientIdentity
from psp.crypto.blinding import PUBLIC_SECRET
from psp.errors import ConfigError
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.ticket import ticket_id
from psp.testing.clock import EPOCH
from tests.unit.psp.client.contacts.rig import book_of, card_of, someone


async def test_a_revoked_contact_is_gone_and_the_rest_get_fresh_cards(
    book, folder, alice
):
    old = alice.discovery_secret
    bobs = ContactCard.decode(book.invite("bob"))
    carols = ContactCard.decode(book.invite("carol"))
    book.add(card_of("dave"))

    fresh = await book.revoke("bob")

    assert "bob" not in book
    assert book.ticket_holder(ticket_id(bobs.ticket_key)) is None
    assert alice.discovery_secret not in {old, PUBLIC_SECRET}
    assert set(fresh) == {"carol", "dave"}
    card = ContactCard.decode(fresh["carol"])
    assert card.secret == alice.discovery_secret
    assert card.ticket_key == carols.ticket_key
    assert not ContactCard.decode(fresh["dave"]).is_personal
    # The key file still has the old secret: the book knows better.
    restarted = ClientIdentity(alice.key, old, "alice")
    book_of(folder, restarted)
    assert restarted.discovery_secret == alice.discovery_secret


async def test_a_new_secret_is_given_on_before_revoke_returns(book, alice):
    book.add(card_of("bob"))
    given = []

    async def take(secret):
        given.append((secret, "bob" in book))

    book.on_new_secret = take
    await book.revoke("bob")

    assert [known for _, known in given] == [False]


async def test_revoking_the_tickets_alone_keeps_the_secret(book, alice):
    old = alice.discovery_secret
    bobs = ContactCard.decode(book.invite("bob"))

    assert await book.revoke("bob", rotate=False) == {}

    assert alice.discovery_secret == old
    assert book.ticket_holder(ticket_id(bobs.ticket_key)) is None


async def test_a_public_user_has_no_secret_to_change(folder):
    public = ClientIdentity(someone("alice").key, PUBLIC_SECRET, "alice")
    book = book_of(folder, public)
    book.invite("bob")

    assert await book.revoke("bob") == {}
    assert public.is_public


async def test_a_host_on_keys_made_ahead_revokes_tickets_only(folder, alice):
    class Delegated(ClientIdentity):
        ends = EPOCH

    book = book_of(folder, Delegated(alice.key, alice.discovery_secret, "alice"))
    book.invite("bob")

    with pytest.raises(ConfigError, match="delegate anew"):
        await book.revoke("bob")
    assert "bob" in book

    await book.revoke("bob", rotate=False)
    assert "bob" not in book


async def test_keys_made_ahead_under_an_older_secret_are_refused(folder, alice):
    class Delegated(ClientIdentity):
        ends = EPOCH

    old = alice.discovery_secret
    book = book_of(folder, alice)
    book.invite("bob")
    await book.revoke("bob")

    with pytest.raises(ConfigError, match="older discovery secret"):
        book_of(folder, Delegated(alice.key, old, "alice"))
    book_of(folder, Delegated(alice.key, alice.discovery_secret, "alice"))


async def test_a_card_after_a_revocation_is_a_new_beginning(book):
    bobs = ContactCard.decode(book.invite("bob"))
    book.add(card_of("bob"))
    book.verify("bob")
    await book.revoke("bob")

    book.add(card_of("mallory"), "bob")

    assert not book.get("bob").is_verified
    assert ContactCard.decode(book.invite("bob")).ticket_key != bobs.ticket_key


async def test_what_is_under_way_about_a_revoked_contact_ends(book):
    bob, carol = book.add(card_of("bob")), book.add(card_of("carol"))
    about_bob, about_carol = [
        asyncio.create_task(book.revocations.guard(who.identity, asyncio.Event().wait))
        for who in (bob, carol)
    ]
    await asyncio.sleep(0)

    await book.revoke("bob", rotate=False)

    with pytest.raises(ContactRevokedError):
        await about_bob
    assert not about_carol.done()
    about_carol.cancel()


async def test_a_revocation_is_on_the_disk_before_anything_else(book, folder, alice):
    book.add(card_of("bob"))

    async def crash(_):
        raise RuntimeError("power cut")

    book.on_new_secret = crash
    with pytest.raises(RuntimeError):
        await book.revoke("bob")

    old = alice.discovery_secret
    restarted = ClientIdentity(alice.key, old, "alice")
    assert len(book_of(folder, restarted)) == 0
    assert restarted.discovery_secret != old
