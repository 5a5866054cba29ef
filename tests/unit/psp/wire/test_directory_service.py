"""Directory requests between relays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError
from psp.wire.directory_service import DirectoryRequest, Operation, PublishStatus


@given(st.sampled_from(Operation), st.binary(max_size=1182))
def test_request_survives_the_round_trip(operation, body):
    request = DirectoryRequest(operation, body)

    assert DirectoryRequest.decode(request.encode()) == request


@given(st.sampled_from(PublishStatus))
def test_status_survives_the_round_trip(status):
    assert PublishStatus.decode(status.encode()) is status


@given(st.binary(max_size=1300))
def test_any_bytes_give_a_message_or_decode_error(data):
    for kind in (DirectoryRequest, PublishStatus):
        try:
            message = kind.decode(data)
        except DecodeError:
            continue
        assert message.encode() == data


@pytest.mark.parametrize("data", [b"", b"\x00x", b"\x03x", b"\x01" * 1184])
def test_bad_requests_are_refused(data):
    with pytest.raises(DecodeError):
        DirectoryRequest.decode(data)


@pytest.mark.parametrize("data", [b"", b"\x05", b"\x00\x00"])
def test_bad_statuses_are_refused(data):
    with pytest.raises(DecodeError):
        PublishStatus.decode(data)
