"""AUDIO blocks (psp/wire/audio_bundle.py)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError
from psp.wire.audio_bundle import (
    MAX_AUDIO,
    MAX_BUNDLED,
    pack_bundle,
    unpack_bundle,
)
from psp.wire.session_block import PIPE_MTU

numbers = st.integers(0, 65535)
datagrams = st.lists(st.binary(min_size=1, max_size=267), min_size=1, max_size=4)


@given(numbers, datagrams)
def test_four_short_datagrams_fit_and_count_down(number, sent):
    content = pack_bundle(number, sent)

    assert len(content) <= PIPE_MTU
    assert unpack_bundle(content) == [
        ((number - place) % 65536, datagram) for place, datagram in enumerate(sent)
    ]


@given(numbers, st.lists(st.binary(min_size=1, max_size=MAX_AUDIO), min_size=1))
def test_of_longer_datagrams_the_newest_that_fit_are_kept(number, sent):
    sent = sent[:MAX_BUNDLED]

    unpacked = unpack_bundle(pack_bundle(number, sent))

    assert [datagram for _, datagram in unpacked] == sent[: len(unpacked)]
    assert unpacked[0] == (number, sent[0])


def test_the_bytes_are_those_of_the_specification():
    assert pack_bundle(0x0102, [b"new", b"o"]).hex() == "01020200036e657700016f"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0", "of 2 bytes"),
        (b"\0\0\0", "of 0 datagrams"),
        (b"\0\0\5" + b"\0\1x" * 5, "of 5 datagrams"),
        (b"\0\0\1\0", "ends in datagram 1 of 1"),
        (b"\0\0\1\0\0", "datagram of 0 bytes"),
        (b"\0\0\1\0\2x", "datagram of 2 bytes"),
        (b"\0\0\1\0\1xyz", "2 bytes behind"),
    ],
)
def test_a_malformed_bundle_is_refused(content, message):
    with pytest.raises(DecodeError, match=message):
        unpack_bundle(content)


@given(st.binary(max_size=PIPE_MTU))
def test_any_bytes_give_a_bundle_or_a_decode_error(content):
    with suppress(DecodeError):
        unpack_bundle(content)
