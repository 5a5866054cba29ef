"""Directory requests between relays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.directory_service import (
    DirectoryRequest,
    HandOverSignature,
    Operation,
    PublishStatus,
    SignatureStatus,
)


@given(st.sampled_from(Operation), st.binary(max_size=1182))
def test_request_survives_the_round_trip(operation, body):
    request = DirectoryRequest(operation, body)

    assert DirectoryRequest.decode(request.encode()) == request


@given(st.sampled_from([*PublishStatus, *SignatureStatus]))
def test_status_survives_the_round_trip(status):
    assert type(status).decode(status.encode()) is status


@given(
    st.builds(
        HandOverSignature,
        st.integers(0, 2**64 - 1),
        st.binary(min_size=32, max_size=32),
        st.binary(min_size=32, max_size=32),
        st.binary(min_size=64, max_size=64),
    )
)
def test_a_hand_overs_signature_survives_the_round_trip(signature):
    assert HandOverSignature.decode(signature.encode()) == signature
    assert len(signature.encode()) == 136


def test_a_time_beyond_64_bits_is_not_written():
    with pytest.raises(LocalProtocolError):
        HandOverSignature(1 << 64, bytes(32), bytes(32), bytes(64)).encode()


@given(st.binary(max_size=1300) | st.binary(min_size=136, max_size=136))
def test_any_bytes_give_a_message_or_decode_error(data):
    for kind in (
        DirectoryRequest,
        HandOverSignature,
        PublishStatus,
        SignatureStatus,
    ):
        try:
            message = kind.decode(data)
        except DecodeError:
            continue
        assert message.encode() == data


@pytest.mark.parametrize("data", [b"", b"\x00x", b"\x04x", b"\x01" * 1184])
def test_bad_requests_are_refused(data):
    with pytest.raises(DecodeError):
        DirectoryRequest.decode(data)


@pytest.mark.parametrize("kind", [PublishStatus, SignatureStatus])
@pytest.mark.parametrize("data", [b"", b"\x07", b"\x00\x00"])
def test_bad_statuses_are_refused(kind, data):
    with pytest.raises(DecodeError):
        kind.decode(data)
