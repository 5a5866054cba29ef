"""Presence messages: round trips, exact sizes, any bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.endpoint import Endpoint
from psp.wire.presence import (
    IntroduceRequest,
    IntroductionAnswer,
    IntroductionStatus,
    Published,
    Registered,
)

V4, V6 = Endpoint("192.0.2.1", 443), Endpoint("2001:db8::1", 9)
SIGNATURE = bytes(range(64))

ANSWERS = [
    *(
        IntroductionAnswer(status)
        for status in IntroductionStatus
        if status is not IntroductionStatus.WORK_NEEDED
    ),
    IntroductionAnswer(IntroductionStatus.WORK_NEEDED, 14),
]
EXAMPLES = [
    (Registered(SIGNATURE, ()), 113),
    (Registered(SIGNATURE, (V4,)), 113),
    (Registered(SIGNATURE, (V4, V6)), 113),
    (Published(0), 1),
    (Published(8), 1),
    (IntroduceRequest(b"t" * 16, b"s" * 1_504), 1_520),
    *((answer, 2) for answer in ANSWERS),
]
KINDS = [
    Registered,
    Published,
    IntroduceRequest,
    IntroductionAnswer,
]


@pytest.mark.parametrize(("message", "size"), EXAMPLES, ids=repr)
def test_message_survives_the_wire(message, size):
    data = message.encode()

    assert len(data) == size
    assert type(message).decode(data) == message


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.binary(max_size=130) | st.binary(min_size=451, max_size=451))
def test_any_bytes_are_the_one_encoding_or_a_decode_error(kind, data):
    try:
        message = kind.decode(data)
    except DecodeError:
        return
    assert message.encode() == data


@pytest.mark.parametrize(("message", "size"), EXAMPLES, ids=repr)
def test_one_byte_more_or_less_is_a_decode_error(message, size):
    data = message.encode()

    for wrong in (data[:-1], data + b"\0"):
        with pytest.raises(DecodeError):
            type(message).decode(wrong)


def test_registered_with_three_endpoints_is_refused():
    with pytest.raises(LocalProtocolError):
        Registered(SIGNATURE, (V4, V4, V4)).encode()
    with pytest.raises(DecodeError):
        Registered.decode(SIGNATURE + b"\x03" + bytes(48))


def test_endpoint_that_does_not_count_must_be_zero():
    data = Registered(SIGNATURE, (V4, V6)).encode()

    with pytest.raises(DecodeError):
        Registered.decode(data[:64] + b"\x01" + data[65:])


def test_more_copies_than_a_byte_counts_are_255():
    assert Published(1_000).encode() == b"\xff"


@pytest.mark.parametrize(("tag", "sealed"), [(15, 1_504), (16, 1_503), (17, 1_504)])
def test_introduction_of_another_size_is_not_encoded(tag, sealed):
    with pytest.raises(LocalProtocolError):
        IntroduceRequest(bytes(tag), bytes(sealed)).encode()


@pytest.mark.parametrize("data", [b"\x04\x00", b"\x04\x19", b"\x00\x01", b"\x06\x00"])
def test_an_effort_goes_with_a_demand_of_work_and_with_nothing_else(data):
    with pytest.raises(DecodeError):
        IntroductionAnswer.decode(data)
