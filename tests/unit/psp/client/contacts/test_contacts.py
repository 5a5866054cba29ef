"""The contact book: sealed, bounded, whole, and hard to fool."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.client.contacts import contacts as contacts_module
from psp.client.contacts.contact import Contact, checked_name
from psp.client.contacts.contact_file import MAX_BOOK_BYTES
from psp.client.errors import (
    ChangedIdentityError,
    UnknownContactError,
    WordsDifferError,
    WrongNetworkError,
)
from psp.client.identities.identity import ClientIdentity
from psp.crypto.blinding import PUBLIC_SECRET
from psp.errors import ConfigError, DecodeError
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.ticket import ticket_id
from psp.testing.clock import EPOCH
from psp.testing.entropy import SeededEntropy
from tests.unit.psp.client.contacts.rig import HERE, THERE, book_of, card_of, someone

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
