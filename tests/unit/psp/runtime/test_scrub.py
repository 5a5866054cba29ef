"""Texts without secrets (psp/runtime/scrub.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError
from psp.runtime.scrub import SCRUBBED, describe, scrub_text, where


@pytest.mark.parametrize(
    "secret",
    [
        "192.0.2.77",
        "192.0.2.77:9001",
        "2001:db8::1",
        "[2001:db8::1]:9001",
        "::1",
        "fe80:0:0:0:1:2:3:4",
        "::ffff:192.0.2.77",
        "deadbeef" * 4,
        "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
        repr(bytes(range(20))),
        repr(b"it's"),
    ],
)
def test_addresses_keys_and_bytes_go(secret):
    scrubbed = scrub_text(f"from {secret} came nothing")

    assert scrubbed == f"from {SCRUBBED} came nothing"


@pytest.mark.parametrize(
    "text", ["at 12:30 o'clock", "version 1.2.3", "4 bytes, 2 remain", "psp::x"]
)
def test_ordinary_words_stay(text):
    assert scrub_text(text) == text


def test_long_texts_are_cut():
    assert len(scrub_text("word " * 1_000)) <= 501


@given(st.text(max_size=300), st.ip_addresses(), st.text(max_size=300))
def test_no_address_survives_among_other_words(before, address, after):
    text = f"{before} {address} {after}"

    assert f" {address} " not in scrub_text(text)


def test_foreign_exceptions_lose_their_text_and_ours_keep_it():
    assert describe(OSError("192.0.2.77 refused")) == "OSError"
    assert describe(DecodeError("need 4 bytes, 2 remain")) == (
        "DecodeError: need 4 bytes, 2 remain"
    )


def test_traceback_names_the_innermost_calls_first():
    def deep(count):
        return deep(count - 1) if count else 1 / 0

    with pytest.raises(ZeroDivisionError) as caught:
        deep(20)

    text = where(caught.value.__traceback__)
    assert text.startswith("test_scrub.py:")
    assert text.count(" < ") == 5
    assert where(None) == ""
