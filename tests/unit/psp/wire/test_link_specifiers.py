"""Endpoints packed into the words of a record on the chain."""

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.endpoint import Endpoint
from psp.wire.link_specifiers import MAX_WORDS, WORD_SIZE, pack, unpack

V4 = Endpoint("192.0.2.1", 443)
V6 = Endpoint("2001:db8::1", 256)

endpoints = st.builds(
    Endpoint,
    st.one_of(
        st.integers(0, 2**32 - 1).map(lambda n: str(ipaddress.IPv4Address(n))),
        st.integers(0, 2**128 - 1).map(lambda n: str(ipaddress.IPv6Address(n))),
    ),
    st.integers(1, 65_535),
)
lists = st.lists(endpoints, min_size=1, max_size=6, unique=True)


def words_of(data):
    return [data[i : i + WORD_SIZE] for i in range(0, len(data), WORD_SIZE)]


def test_layout():
    first, second = pack((V4, V6, V4.__class__("192.0.2.2", 1)))

    assert (first + second).hex() == (
        "0406c000020101bb"
        "061220010db8" + "00" * 11 + "01" + "0100" + "0406c00002020001" + "00" * 28
    )


@given(lists)
def test_endpoints_survive_packing_and_no_word_is_empty(some):
    words = pack(some)

    assert unpack(words) == tuple(some)
    assert all(map(any, words))


@given(st.binary(max_size=140).map(words_of))
def test_any_words_are_the_one_packing_or_a_decode_error(words):
    try:
        some = unpack(words)
    except DecodeError:
        return

    assert list(pack(some)) == words


@given(lists, st.data())
def test_a_changed_byte_gives_other_endpoints_or_an_error(some, draw):
    data = bytearray(b"".join(pack(some)))
    place = draw.draw(st.integers(0, len(data) - 1))
    data[place] ^= draw.draw(st.integers(1, 255))

    with contextlib.suppress(DecodeError):
        assert unpack(words_of(bytes(data))) != tuple(some)


def test_room_for_sixteen_of_ipv4_and_six_of_ipv6():
    many = [Endpoint("192.0.2.1", port) for port in range(1, 18)]
    long = [Endpoint("2001:db8::1", port) for port in range(1, 8)]

    assert len(pack(many[:16])) == len(pack(long[:6])) == MAX_WORDS
    for some in (many, long):
        with pytest.raises(LocalProtocolError, match="bytes"):
            pack(some)


@pytest.mark.parametrize("some", [[], [V4, V6, V4], [Endpoint("name", 1)]])
def test_what_no_reader_takes_is_not_packed(some):
    with pytest.raises(LocalProtocolError):
        pack(some)


WORD = pack((V4,))[0]
FULL = pack([Endpoint("192.0.2.1", port) for port in range(1, 5)])[0]


@pytest.mark.parametrize(
    "words",
    [
        [],
        [bytes(32)],
        [WORD, bytes(32)],
        [FULL, bytes(32)],
        [WORD, WORD],
        [FULL] * 2,  # doubled endpoints
        [WORD[:31] + b"\1"],
        [WORD[:31]],
        [WORD + b"\0"],
        [b"\5" + WORD[1:]],
        [WORD[:1] + b"\7" + WORD[2:]],
        [WORD[:6] + bytes(26)],  # port 0
        [(b"\6\22" + bytes(17) + b"\1") * 1 + bytes(11) + b"\4"],  # cut off
        [FULL] * 5,
    ],
)
def test_other_packings_are_refused(words):
    with pytest.raises(DecodeError):
        unpack(words)
