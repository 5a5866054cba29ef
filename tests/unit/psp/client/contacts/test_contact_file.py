"""The contact book's file: whole, sealed, or a clear error."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.client.contacts.contact import Contact
from psp.client.contacts.contact_file import ContactFile, decode_book
from psp.crypto.kdf import Label
from psp.errors import ConfigError, DecodeError
from psp.testing.clock import EPOCH
from psp.testing.entropy import SeededEntropy
from tests.unit.psp.client.contacts.rig import HERE, THERE, book_of, card_of, someone


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
