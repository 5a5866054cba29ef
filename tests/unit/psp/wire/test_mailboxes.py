"""Mailbox messages: their bytes, their limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto import work
from psp.errors import DecodeError, LocalProtocolError
from psp.wire import mailboxes
from psp.wire.mailboxes import (
    NOTICE_SIZE,
    Collected,
    MissedRequest,
    Noted,
    NotedStatus,
    is_effort,
)
from psp.wire.onion import message_capacity

TAG = b"t" * 16
NOTICE = bytes(range(256)) + bytes(NOTICE_SIZE - 256)


def test_a_notice_stands_behind_its_tag_and_its_work():
    request = MissedRequest(TAG, NOTICE, 9, b"w" * 16)

    assert request.encode() == TAG + b"\x09" + b"w" * 16 + NOTICE
    assert MissedRequest.decode(request.encode()) == request


def test_the_largest_answer_fits_one_message_at_the_third_hop():
    full = Collected(16, (NOTICE, NOTICE)).encode()

    assert 1 + len(full) <= message_capacity(3)
    assert Collected.decode(full) == Collected(16, (NOTICE, NOTICE))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_answers_are_of_one_size(count):
    collected = Collected(count, (NOTICE,) * count)

    assert len(collected.encode()) == 834
    assert Collected.decode(collected.encode()) == collected


@pytest.mark.parametrize(
    "noted",
    [
        Noted(NotedStatus.KEPT),
        Noted(NotedStatus.FULL),
        Noted(NotedStatus.WORK_NEEDED, 12),
    ],
    ids=str,
)
def test_what_became_of_a_notice_has_two_bytes(noted):
    assert noted.encode() == bytes([noted.status, noted.effort])
    assert Noted.decode(noted.encode()) == noted


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\0\0\0", b"\5\0", b"\0\1", b"\4\0", b"\4\x19"]
)
def test_other_statuses_and_efforts_are_refused(data):
    with pytest.raises(DecodeError):
        Noted.decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x11\x00" + bytes(832),
        b"\x00\x01" + bytes(832),
        b"\x03\x03" + bytes(832),
        b"\x01\x00" + bytes(831) + b"\1",
        b"\x01\x01" + bytes(833),
    ],
    ids=["many", "more than all", "no room", "padding", "long"],
)
def test_a_collection_that_does_not_add_up_is_refused(data):
    with pytest.raises(DecodeError):
        Collected.decode(data)


def test_a_nonce_without_effort_is_refused():
    with pytest.raises(DecodeError, match="effort"):
        MissedRequest.decode(TAG + b"\0" + b"w" * 16 + NOTICE)
    with pytest.raises(DecodeError, match="effort"):
        MissedRequest.decode(TAG + b"\x19" + b"w" * 16 + NOTICE)


@pytest.mark.parametrize(
    "broken",
    [
        MissedRequest(b"", NOTICE),
        MissedRequest(TAG, b""),
        MissedRequest(TAG, NOTICE, 25, b"w" * 16),
        MissedRequest(TAG, NOTICE, 1, b"w"),
        Collected(3, (NOTICE,) * 3),
        Collected(0, (NOTICE,)),
        Collected(17, ()),
        Collected(1, (b"short",)),
    ],
    ids=range(8),
)
def test_what_does_not_fit_is_not_encoded(broken):
    with pytest.raises(LocalProtocolError):
        broken.encode()


def test_its_limits_are_those_of_proofs_of_work():
    assert (mailboxes.MAX_EFFORT, mailboxes.WORK_NONCE_SIZE) == (
        work.MAX_EFFORT,
        work.NONCE_SIZE,
    )
    assert is_effort(0, is_wanted=False)
    assert not is_effort(0, is_wanted=True)


@given(st.binary(max_size=900))
def test_any_bytes_are_a_message_or_a_decode_error(data):
    for kind in (MissedRequest, Noted, Collected):
        try:
            message = kind.decode(data)
        except DecodeError:
            continue
        assert message.encode() == data


@given(st.binary(min_size=449, max_size=449), st.binary(min_size=834, max_size=834))
def test_any_bytes_of_the_right_size_are_a_message_or_a_decode_error(missed, collected):
    for kind, data in ((MissedRequest, missed), (Collected, collected)):
        try:
            message = kind.decode(data)
        except DecodeError:
            continue
        assert message.encode() == data
