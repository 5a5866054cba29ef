"""The contact book: sealed, bounded, whole, and hard to fool."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.client.contacts import contacts as contacts_module
from psp.client.contacts.contact import Contact, checked_name
from psp.client.contacts.contact_file import MAX_BOOK_BYTES, ContactFile, decode_book
from psp.client.contacts.contacts import ContactBook
from psp.client.errors import (
    ChangedIdentityError,
    ContactRevokedError,
    UnknownContactError,
    WordsDifferError,
    WrongNetworkError,
)
from psp.client.identities.identity import ClientIdentity
from psp.crypto.blinding import PUBLIC_SECRET
from psp.crypto.kdf import Label
from psp.errors import ConfigError, DecodeError
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.ticket import ticket_id
from psp.testing.clock import EPOCH
from psp.testing.entropy import SeededEntropy
from psp.wire.network import Network

HERE = Network(31_337, bytes(range(20)))
THERE = Network(1, bytes(20))


def someone(name):
    return ClientIdentity.generate(SeededEntropy(name), name)


def book_of(folder, identity, *, seed="book"):
    key = b"" if identity is None else identity.sealing_key(Label.CONTACT_BOOK)
    file = ContactFile(folder / "contacts.json", key, HERE, SeededEntropy(seed))
    return ContactBook(
        file,
        HERE,
        identity,
        entropy=SeededEntropy(f"{seed} of keys"),
        unix_time=lambda: EPOCH,
    )


@pytest.fixture
def alice():
    return someone("alice")


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def book(folder, alice):
    return book_of(folder, alice)


def card_of(name):
    return someone(name).contact_card(HERE)


# -- adding


def test_a_card_is_added_under_its_own_name_or_ours(book):
    bob = book.add(card_of("bob").encode())
    carol = book.add(card_of("carol"), "Carol from work")

    assert (bob.name, bob.card) == ("bob", card_of("bob"))
    assert book.get("CAROL from Work") == carol
    assert [contact.name for contact in book] == ["bob", "Carol from work"]
    assert book.find(carol.identity) == carol
    assert "carol" not in book
    assert not bob.is_verified


def test_a_contact_survives_a_restart_sealed(book, folder, alice):
    book.add(card_of("bob"), "bob")
    book.invite("bob")
    book.verify("bob")

    stored = (folder / "contacts.json").read_bytes()
    again = book_of(folder, alice, seed="later")

    assert list(again) == list(book)
    assert again.get("bob").is_verified
    assert b"bob" not in stored
    assert card_of("bob").identity.hex().encode() not in stored


def test_another_identity_does_not_open_the_book(book, folder):
    book.add(card_of("bob"))

    with pytest.raises(ConfigError, match="not this identity's"):
        book_of(folder, someone("mallory"))


def test_a_changed_identity_under_a_known_name_is_refused(book):
    bob = book.add(card_of("bob"), "bob")
    book.verify("bob")

    with pytest.raises(ChangedIdentityError, match="ask bob by voice"):
        book.add(card_of("mallory"), "Bob")

    assert book.get("bob") == replace(bob, is_verified=True)


def test_a_known_identity_under_another_name_is_refused(book):
    book.add(card_of("bob"), "bob")

    with pytest.raises(ChangedIdentityError, match="in the book as 'bob'"):
        book.add(card_of("bob"), "robert")

    assert len(book) == 1


def test_a_fresh_card_of_the_same_person_renews_the_old(book):
    old = replace(card_of("bob"), ticket_key=b"t" * 32)
    book.add(old, "bob")
    book.verify("bob")

    book.add(replace(card_of("bob"), secret=b"n" * 32), "bob")

    card = book.get("bob").card
    assert card.secret == b"n" * 32
    assert card.ticket_key == b"t" * 32
    assert book.get("bob").is_verified


@pytest.mark.parametrize("name_on_card", ["", "robert"])
def test_a_fresh_card_without_a_name_given_goes_to_whom_it_is_of(book, name_on_card):
    bob = someone("bob")
    book.add(bob.contact_card(HERE), "bobby")
    fresh = replace(bob.contact_card(HERE), name=name_on_card)

    assert book.add(fresh) == replace(book.get("bobby"), card=fresh)


def test_a_card_without_a_name_wants_one(book):
    card = replace(someone("bob").contact_card(HERE), name="")

    with pytest.raises(DecodeError, match="say what to call"):
        book.add(card)

    assert book.add(card, "bob").name == "bob"


def test_a_card_of_another_network_is_refused(book):
    with pytest.raises(WrongNetworkError):
        book.add(someone("bob").contact_card(THERE), "bob")

    assert len(book) == 0


def test_ones_own_card_is_no_contact(book, alice):
    with pytest.raises(ConfigError, match="your own"):
        book.add(alice.contact_card(HERE), "me")


def test_a_damaged_card_says_so(book):
    with pytest.raises(DecodeError, match="checksum"):
        book.add(card_of("bob").encode()[:-8] + "aaaaaaaa", "bob")


@pytest.mark.parametrize(
    "name", ["", "  ", "x" * 65, "a\nb", "@bob", "psp://bob", "PSP://bob", "\u202eb"]
)
def test_a_name_that_could_be_mistaken_is_refused(book, name):
    with pytest.raises(DecodeError, match="choose another"):
        book.add(card_of("bob"), name)


@given(st.text(max_size=80))
def test_any_name_is_good_or_a_decode_error(name):
    try:
        good = checked_name(name)
    except DecodeError:
        return
    assert checked_name(good) == good


def test_a_full_book_refuses_and_loses_nothing(book, monkeypatch):
    monkeypatch.setattr(contacts_module, "MAX_CONTACTS", 2)
    book.add(card_of("bob"))
    book.add(card_of("carol"))

    with pytest.raises(ConfigError, match="holds 2 contacts"):
        book.add(card_of("dave"))
    with pytest.raises(ConfigError, match="holds 2 contacts"):
        book.invite("erin")

    book.invite("bob")
    assert [contact.name for contact in book] == ["bob", "carol"]


def test_ten_thousand_contacts_fit_in_the_file():
    key = SeededEntropy("tickets").token(32)
    card = ContactCard(
        HERE, card_of("bob").identity, b"s" * 32, "ä" * 32, ticket_key=b"t" * 32
    )
    entry = Contact("ß" * 32, card, is_verified=True, added=EPOCH, ticket_key=key)
    # JSON writes each letter outside ASCII in six characters, base64 adds a third.
    size = len(str(entry.encode())) + 5 * 32

    assert size * 4 / 3 * contacts_module.MAX_CONTACTS < MAX_BOOK_BYTES


# -- inviting, tickets


def test_an_invitation_is_a_personal_card_and_stays_the_same(book, alice):
    text = book.invite("bob")

    card = ContactCard.decode(text)
    assert card.is_personal
    assert card.identity == alice.user_id
    assert card.secret == alice.discovery_secret
    assert book.invite("Bob") == text
    assert book.get("bob").card is None
    assert book.ticket_holder(ticket_id(card.ticket_key)).name == "bob"
    assert book.ticket_holder(ticket_id(card.ticket_key)).key == card.ticket_key


def test_an_invited_contact_can_answer_with_a_card(book):
    text = book.invite("bob")

    book.add(card_of("bob"), "bob")

    assert len(book) == 1
    assert book.invite("bob") == text


def test_every_contact_has_tickets_of_its_own(book):
    keys = {ContactCard.decode(book.invite(name)).ticket_key for name in "bcd"}

    assert len(keys) == 3


def test_a_public_user_invites_too(folder):
    alice = someone("alice")
    public = ClientIdentity(alice.key, PUBLIC_SECRET, "alice")

    card = ContactCard.decode(book_of(folder, public).invite("bob"))

    assert card.is_public
    assert card.is_personal


# -- words


def test_words_are_the_same_whoever_reads_first(folder, book, alice):
    bob = someone("bob")
    (folder / "bob").mkdir(mode=0o700)
    other = book_of(folder / "bob", bob)
    book.add(bob.contact_card(HERE))
    other.add(alice.contact_card(HERE))

    assert book.words("bob") == other.words("alice")
    assert book.verify("bob", other.words("alice")).is_verified


def test_wrong_words_verify_nothing(book):
    book.add(card_of("bob"))

    with pytest.raises(WordsDifferError):
        book.verify("bob", "abandon " * 12)

    assert not book.get("bob").is_verified


def test_without_a_card_there_are_no_words(book):
    book.invite("bob")

    with pytest.raises(UnknownContactError, match="not given a card"):
        book.words("bob")
    with pytest.raises(UnknownContactError, match="called 'carol'"):
        book.verify("carol")


# -- renaming


def test_a_contact_is_renamed_with_all_it_has(book):
    book.add(card_of("bob"))
    text = book.invite("bob")

    book.rename("bob", "Bobby")

    assert "bob" not in book
    assert book.invite("bobby") == text
    assert book.find(card_of("bob").identity).name == "Bobby"
    assert book.rename("bobby", "BOBBY").name == "BOBBY"


def test_nobody_takes_the_name_of_another(book):
    book.add(card_of("bob"))
    book.add(card_of("carol"))

    with pytest.raises(ChangedIdentityError):
        book.rename("carol", "Bob")

    assert len(book) == 2


# -- revoking


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


# -- the file


def test_a_change_that_the_disk_refuses_is_no_change(book, folder):
    book.add(card_of("bob"))
    folder.chmod(0o755)

    with pytest.raises(ConfigError):
        book.add(card_of("carol"))
    with pytest.raises(ConfigError):
        asyncio.run(book.revoke("bob"))

    folder.chmod(0o700)
    assert [contact.name for contact in book] == ["bob"]


def test_damage_anywhere_is_a_clear_error(book, folder, alice):
    book.add(card_of("bob"))
    file = folder / "contacts.json"
    data = file.read_bytes()

    for place in range(0, len(data), 7):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(ConfigError, match=r"contacts\.json"):
            book_of(folder, alice)
    for length in range(0, len(data), 11):
        file.write_bytes(data[:length])
        with pytest.raises(ConfigError, match=r"contacts\.json"):
            book_of(folder, alice)


def test_a_book_of_another_network_is_refused(folder, alice):
    theirs = someone("bob").contact_card(THERE)
    contact = Contact("bob", theirs, is_verified=False, added=EPOCH)
    key = alice.sealing_key(Label.CONTACT_BOOK)
    file = ContactFile(folder / "contacts.json", key, THERE, SeededEntropy("other"))
    file.save({"bob": contact}, b"")

    with pytest.raises(ConfigError, match="of another network"):
        book_of(folder, alice)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=4) | json_values,
        "card": st.just("") | st.just(card_of("bob").encode()) | json_values,
        "verified": st.booleans() | json_values,
        "added": st.integers() | json_values,
        "ticket": st.just("") | st.just("ab" * 32) | json_values,
    },
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "contacts": st.lists(entries | json_values, max_size=3) | json_values,
            "secret": st.just("cd" * 32) | json_values,
        },
    )
)
def test_any_state_is_a_book_or_a_decode_error(state):
    try:
        by_key, secret = decode_book(state, HERE)
    except DecodeError:
        return
    assert len(secret) in {0, 32}
    kept = {"contacts": [contact.encode() for contact in by_key.values()]}
    assert decode_book(kept, HERE)[0] == by_key


# -- without an identity


def test_a_client_without_an_identity_has_a_book_but_invites_nobody(folder):
    book = book_of(folder, None)
    book.add(card_of("bob"))

    with pytest.raises(ConfigError, match="no identity"):
        book.invite("carol")
    with pytest.raises(ConfigError, match="no identity"):
        book.words("bob")
    assert [contact.name for contact in book_of(folder, None)] == ["bob"]


def test_secrets_do_not_show(book):
    text = book.invite("bob")
    key = ContactCard.decode(text).ticket_key

    shown = repr(book.get("bob")) + repr(book.ticket_holder(ticket_id(key)))
    assert repr(key) not in shown
    assert key.hex() not in shown
