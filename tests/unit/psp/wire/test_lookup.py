"""LOOKUP and FOUND (psp/wire/lookup.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.lookup import ANY_SLOT, Found, FoundState, LookupRequest
from psp.wire.onion import message_capacity

VOICE = b"v" * 108


@pytest.mark.parametrize("slot", [0, 3, ANY_SLOT])
def test_request_is_location_slot_and_nonce(slot):
    request = LookupRequest(b"l" * 20, slot, b"n" * 16)

    assert request.encode() == b"l" * 20 + bytes([slot]) + b"n" * 16
    assert LookupRequest.decode(request.encode()) == request


@pytest.mark.parametrize(
    "data", [b"", b"l" * 36, b"l" * 38, b"l" * 20 + b"\x04" + b"n" * 16]
)
def test_request_of_another_length_or_slot_is_refused(data):
    with pytest.raises(DecodeError):
        LookupRequest.decode(data)


@pytest.mark.parametrize(("location", "nonce"), [(b"l", b"n" * 16), (b"l" * 20, b"")])
def test_request_with_a_field_of_another_length_is_not_made(location, nonce):
    with pytest.raises(LocalProtocolError):
        LookupRequest(location, 0, nonce).encode()


@pytest.mark.parametrize("count", range(7))
@pytest.mark.parametrize(
    ("state", "record"),
    [
        (FoundState.RECORD, b"r" * 450),
        (FoundState.NO_RECORD, b""),
        (FoundState.COULD_NOT_ASK, b""),
    ],
)
def test_answer_comes_back_as_it_was(count, state, record):
    found = Found(state, record, (VOICE,) * count)
    data = found.encode()

    assert len(data) == 1_100
    assert data[0] == state
    assert data[451] == count
    assert Found.decode(data) == found


def test_answer_and_its_part_byte_fit_one_message_over_three_hops():
    whole = Found(FoundState.RECORD, bytes(450), (VOICE,) * 6).encode()

    assert 1 + len(whole) <= message_capacity(3)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(0, 3, id="unknown state"),
        pytest.param(1, 1, id="record without its state"),
        pytest.param(451, 7, id="seven voices"),
        pytest.param(1_099, 1, id="a voice that does not count"),
    ],
)
def test_answer_in_another_encoding_is_refused(place, value):
    data = bytearray(Found(FoundState.NO_RECORD).encode())
    data[place] = value

    with pytest.raises(DecodeError):
        Found.decode(bytes(data))


@pytest.mark.parametrize(
    "found",
    [
        Found(FoundState.RECORD),
        Found(FoundState.NO_RECORD, b"r" * 450),
        Found(FoundState.NO_RECORD, voices=(VOICE,) * 7),
        Found(FoundState.NO_RECORD, voices=(b"v",)),
    ],
)
def test_answer_that_makes_no_sense_is_not_made(found):
    with pytest.raises(LocalProtocolError):
        found.encode()


@given(st.binary(max_size=1_200))
def test_any_bytes_are_decoded_or_refused(data):
    for kind in (LookupRequest, Found):
        try:
            decoded = kind.decode(data)
        except DecodeError:
            continue
        assert decoded.encode() == data


@given(st.binary(min_size=1_100, max_size=1_100))
def test_any_bytes_of_the_right_length_are_decoded_or_refused(data):
    try:
        decoded = Found.decode(data)
    except DecodeError:
        return
    assert decoded.encode() == data
