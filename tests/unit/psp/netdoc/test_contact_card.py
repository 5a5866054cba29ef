"""Contact cards: round trips, typing errors, clear sentences, hidden secrets."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.blinding import PUBLIC_SECRET, Credential
from psp.crypto.kdf import Label
from psp.crypto.primitives import blake2b
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import UserId
from psp.netdoc.contact_card import SCHEME, ContactCard, is_card
from psp.wire.network import Network

NETWORK = Network(31_337, bytes(range(20)))
CARD = ContactCard(NETWORK, UserId(bytes(range(32))), b"s" * 32, "Alice Ω")

names = st.text(max_size=16).filter(str.isprintable)


networks = st.builds(
    Network, st.integers(0, 2**64 - 1), st.binary(min_size=20, max_size=20)
)


@given(
    networks,
    st.binary(min_size=32, max_size=32),
    st.just(PUBLIC_SECRET) | st.binary(min_size=32, max_size=32),
    names,
    st.just(b"") | st.binary(min_size=32, max_size=32).filter(any),
)
def test_card_survives_being_copied(network, identity, secret, name, ticket):
    card = ContactCard(network, identity, secret, name, ticket)

    text = card.encode()

    assert ContactCard.decode(text) == card
    assert text.startswith(SCHEME)
    assert text.isascii()


def test_line_ends_spaces_and_case_do_not_matter():
    text = CARD.encode()
    mangled = "  " + "\n ".join(text[i : i + 20] for i in range(0, len(text), 20))

    assert ContactCard.decode(mangled.upper()) == CARD


def test_a_text_meant_as_a_card_is_told_even_if_it_is_damaged():
    assert is_card(f"  {CARD.encode().upper()}")
    assert is_card("psp://nonsense")
    assert not is_card("alice")
    assert not is_card("")


def test_public_card_is_shorter_and_says_so():
    card = ContactCard(NETWORK, CARD.identity)

    assert card.is_public
    assert not CARD.is_public
    assert len(card.encode()) < len(CARD.encode())
    assert ContactCard.decode(card.encode()).secret == PUBLIC_SECRET


@pytest.mark.parametrize("secret", [PUBLIC_SECRET, b"s" * 32])
def test_personal_card_keeps_its_ticket_key_to_itself(secret):
    card = ContactCard(NETWORK, CARD.identity, secret, "Alice", b"t" * 32)

    assert card.is_personal
    assert ContactCard.decode(card.encode()) == card
    assert card.is_public == (secret == PUBLIC_SECRET)
    assert "tttt" not in repr(card)
    assert not CARD.is_personal


def test_card_gives_the_credential():
    assert CARD.credential == Credential.derive(CARD.identity, b"s" * 32)


def test_any_one_wrong_letter_is_noticed():
    text = CARD.encode()

    for i in range(len(SCHEME), len(text)):
        wrong = "a" if text[i] != "a" else "b"
        with pytest.raises(DecodeError):
            ContactCard.decode(text[:i] + wrong + text[i + 1 :])


def test_two_letters_changed_over_are_noticed():
    text = CARD.encode()

    for i in range(len(SCHEME), len(text) - 1):
        if text[i] != text[i + 1]:
            swapped = text[:i] + text[i + 1] + text[i] + text[i + 2 :]
            with pytest.raises(DecodeError):
                ContactCard.decode(swapped)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", 'begins with "psp://"'),
        ("http://example.org", 'begins with "psp://"'),
        ("psp://", "checksum does not fit"),
        ("psp://0189", "only the letters a-z and the digits 2-7"),
        ("psp://ä", "only the letters a-z"),
        ("psp://a", "characters that do not belong|incomplete"),
        (CARD.encode()[:-8], "checksum does not fit|incomplete"),
        (CARD.encode() * 10, "too long"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(text, sentence):
    with pytest.raises(DecodeError, match=sentence):
        ContactCard.decode(text)


def with_bytes(change):
    """Return a card with a right checksum over wrong bytes."""
    letters = CARD.encode().removeprefix(SCHEME).upper()
    body = bytearray(base64.b32decode(letters + "=" * (-len(letters) % 8))[:-4])
    changed = bytes(change(body))
    data = changed + blake2b(Label.CONTACT_CARD, changed, size=4)
    return SCHEME + base64.b32encode(data).decode().rstrip("=").lower()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda b: b"\x02" + b[1:], "has version 2; this program reads version 1"),
        (lambda b: b[:1] + b"\x07" + b[2:], "unknown kind 7"),
        (lambda b: b[:62] + bytes(32) + b[94:], "all zeros"),
        (lambda b: b[:1] + b"\x02" + b[2:94] + bytes(32) + b[94:], "key is all zeros"),
        (lambda b: b[:1] + b"\x02" + b[2:], "remain"),
        (lambda b: b[:-1], "remain"),
        (lambda b: b + b"x", "after the end"),
        (lambda b: b[:94] + b"\x01\xff", "not UTF-8"),
        (lambda b: b[:94] + b"\x01\n", "unprintable"),
        (lambda b: b[:94] + "\x03\u202e".encode(), "unprintable"),
        (lambda b: b[:94] + b"\x41" + b"x" * 65, "too long"),
        (lambda b: b[:30], "remain"),
    ],
    ids=[
        "version",
        "kind",
        "secret",
        "ticket",
        "no ticket",
        "short",
        "long",
        "utf8",
        "line",
        "bidi",
        "name",
        "cut",
    ],
)
def test_damage_with_a_right_checksum_is_named(change, sentence):
    with pytest.raises(DecodeError, match=sentence):
        ContactCard.decode(with_bytes(change))


@given(st.text(max_size=300) | st.text("abcdefghij234567", max_size=400))
def test_any_text_is_a_card_or_a_decode_error(text):
    for candidate in (text, SCHEME + text):
        sentence = ""
        try:
            ContactCard.decode(candidate)
        except DecodeError as error:
            sentence = str(error)
        assert not sentence or sentence.endswith(".")


@given(st.binary(max_size=200))
def test_any_bytes_under_a_right_checksum_are_a_card_or_a_decode_error(body):
    try:
        card = ContactCard.decode(with_bytes(lambda _: body))
    except DecodeError:
        return
    assert ContactCard.decode(card.encode()) == card


@pytest.mark.parametrize("name", ["x" * 65, "ä" * 33, "a\nb", "\u202eecila"])
def test_name_that_no_card_may_carry_is_not_encoded(name):
    with pytest.raises(LocalProtocolError):
        ContactCard(NETWORK, CARD.identity, name=name).encode()


def test_secret_does_not_show_in_a_repr():
    assert "ssss" not in repr(CARD)
    assert "secret" not in repr(CARD)
