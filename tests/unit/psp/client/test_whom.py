"""Who is meant by a contact, a card, or text (psp/client/whom.py)."""

from dataclasses import replace

import pytest

from psp.client.contacts.contact_file import ContactFile
from psp.client.contacts.contacts import ContactBook
from psp.client.errors import (
    ContactRevokedError,
    UnknownContactError,
    UserRevokedError,
    WrongNetworkError,
)
from psp.client.identities.identity import ClientIdentity
from psp.client.whom import Finder
from psp.errors import ConfigError, DecodeError
from psp.testing.clock import EPOCH
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import MemoryRegistry
from psp.wire.network import Network


class NamedRegistry(MemoryRegistry):
    """A registry with names that a test sets."""

    knows_names = True

    def __init__(self):
        super().__init__([], [])
        self.names = {}

    def user_of_name(self, name):
        return self.names.get(name.lower())

    def name_of(self, user_id):
        return next((n for n, user in self.names.items() if user == user_id), None)


def someone(name):
    return ClientIdentity.generate(SeededEntropy(name), name)


@pytest.fixture
def registry():
    return NamedRegistry()


@pytest.fixture
def book(tmp_path, registry):
    tmp_path.chmod(0o700)
    entropy = SeededEntropy("book")
    file = ContactFile(tmp_path / "contacts.json", b"", registry.network, entropy)
    return ContactBook(
        file, registry.network, someone("me"), entropy=entropy, unix_time=lambda: EPOCH
    )


@pytest.fixture
def finder(book, registry):
    return Finder(book, registry)


@pytest.fixture
def card(registry):
    return someone("bob").contact_card(registry.network)


def test_a_contact_is_found_by_name_entry_card_and_text(book, finder, card):
    contact = book.add(card, "Bob")

    for who in ("bob", " BOB ", contact, card, card.encode(), card.encode().upper()):
        subject = finder.find(who)
        assert subject.card == card
        assert subject.name == "Bob"


def test_a_card_that_is_not_in_the_book_does(finder, card):
    assert finder.find(card).name is None
    assert finder.find(card.encode()).card == card


def test_an_old_entry_leads_to_the_newest_card_and_name(book, finder, card):
    old = book.add(card, "bob")
    book.add(replace(card, secret=b"n" * 32), "bob")
    book.rename("bob", "bobby")

    subject = finder.find(old)

    assert subject.card.secret == b"n" * 32
    assert subject.name == "bobby"


async def test_an_entry_that_was_revoked_is_not_looked_for(book, finder, card):
    old = book.add(card, "bob")
    await book.revoke("bob", rotate=False)

    with pytest.raises(ContactRevokedError):
        finder.find(old)
    with pytest.raises(UnknownContactError):
        finder.find("bob")


def test_who_was_invited_cannot_be_found_yet(book, finder):
    book.invite("bob")

    with pytest.raises(UnknownContactError, match="not given a card"):
        finder.find("bob")
    with pytest.raises(UnknownContactError, match="not given a card"):
        finder.find(book.get("bob"))


def test_a_card_of_another_network_is_refused(finder, card):
    with pytest.raises(WrongNetworkError):
        finder.find(replace(card, network=Network(1, bytes(20))))


def test_a_lost_identity_is_refused_however_it_is_named(book, finder, registry, card):
    contact = book.add(card, "bob")
    registry.revoked_users.add(card.identity)

    for who in ("bob", contact, card, card.encode()):
        with pytest.raises(UserRevokedError):
            finder.find(who)


def test_damaged_text_of_a_card_says_so(finder, card):
    with pytest.raises(DecodeError, match="checksum"):
        finder.find(card.encode()[:-8] + "a" * 8)


def test_a_registered_name_needs_its_sign(finder, registry, card):
    registry.names["bob-2"] = card.identity

    subject = finder.find("@Bob-2")

    assert subject.identity == card.identity
    assert subject.card.is_public
    assert subject.card.name == "bob-2"
    assert finder.resolve("bob-2") == subject.card
    with pytest.raises(UnknownContactError):
        finder.find("bob-2")


def test_a_registered_name_of_a_contact_leads_to_the_contact(
    book, finder, registry, card
):
    book.add(card, "Bob")
    registry.names["bob-2"] = card.identity

    assert finder.find("@bob-2").card == card


def test_a_name_that_nobody_has_registered_is_unknown(finder):
    with pytest.raises(UnknownContactError, match="registered the name 'bob'"):
        finder.find("@bob")


def test_without_names_that_is_said(book):
    finder = Finder(book, MemoryRegistry([], []))

    with pytest.raises(ConfigError, match="registered names"):
        finder.find("@bob")
