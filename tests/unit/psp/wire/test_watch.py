"""Watching messages: round trips, exact sizes, any bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NodeId
from psp.units import Seconds
from psp.wire.watch import (
    MAX_COOKIES,
    MAX_LIFETIME,
    ChangeMessage,
    Held,
    HoldRequest,
    Passed,
    Watched,
    WatchRequest,
    WatchStatus,
)

TAG, COOKIE, KEY = b"t" * 16, b"c" * 20, b"k" * 32
POINT = NodeId(b"w" * 32)
WATCH = WatchRequest(TAG, Seconds(3_600), POINT, COOKIE, KEY)

EXAMPLES = [
    (HoldRequest((COOKIE,)), 21),
    (HoldRequest((COOKIE,) * MAX_COOKIES), 1_001),
    (Held(0), 2),
    (Held(512), 2),
    (WATCH, 104),
    (Watched(WatchStatus.HERE), 9),
    (Watched(WatchStatus.AWAY, 2**64 - 1), 9),
    (ChangeMessage(COOKIE, b"s" * 32), 52),
    *((answer, 1) for answer in Passed),
]
KINDS = [HoldRequest, Held, WatchRequest, Watched, ChangeMessage, Passed]


@pytest.mark.parametrize(("message", "size"), EXAMPLES, ids=repr)
def test_message_survives_the_wire(message, size):
    data = message.encode()

    assert len(data) == size
    assert type(message).decode(data) == message


@pytest.mark.parametrize("kind", KINDS)
@given(
    data=st.binary(max_size=130)
    | st.binary(min_size=104, max_size=104)
    | st.binary(max_size=100).map(lambda tail: b"\x05" + tail)
)
def test_any_bytes_are_the_one_encoding_or_a_decode_error(kind, data):
    try:
        message = kind.decode(data)
    except DecodeError:
        return
    assert message.encode() == data


@pytest.mark.parametrize("cookies", [(), (COOKIE,) * (MAX_COOKIES + 1), (b"short",)])
def test_cookies_that_do_not_fit_are_not_sent(cookies):
    with pytest.raises(LocalProtocolError):
        HoldRequest(cookies).encode()


@pytest.mark.parametrize("lifetime", [0, MAX_LIFETIME + 1, 2**32 - 1])
def test_a_lifetime_out_of_range_is_neither_sent_nor_read(lifetime):
    with pytest.raises(LocalProtocolError):
        WatchRequest(TAG, Seconds(lifetime), POINT, COOKIE, KEY).encode()

    data = TAG + lifetime.to_bytes(4) + POINT + COOKIE + KEY
    with pytest.raises(DecodeError):
        WatchRequest.decode(data)


def test_no_message_shows_its_secrets():
    shown = repr(WATCH) + repr(HoldRequest((COOKIE,)))

    assert not any(repr(secret) in shown for secret in (TAG, COOKIE, KEY))
