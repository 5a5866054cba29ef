"""The body of SERVICE cells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.cell import BODY_SIZE, Cell
from relay.service_message import MAX_SERVICE_DATA, ServiceKind, ServiceMessage

messages = st.builds(
    ServiceMessage,
    service=st.integers(0, 255),
    kind=st.sampled_from(ServiceKind),
    request_id=st.binary(min_size=8, max_size=8),
    data=st.binary(max_size=MAX_SERVICE_DATA),
)


@given(messages)
def test_message_survives_encoding(message):
    cell = Cell.decode(message.encode())

    assert cell.circuit_id == 0
    assert ServiceMessage.decode(cell.body) == message


@given(st.binary(max_size=1300) | st.binary(min_size=BODY_SIZE, max_size=BODY_SIZE))
def test_any_bytes_decode_or_raise_decode_error(data):
    try:
        message = ServiceMessage.decode(data)
    except DecodeError:
        return
    assert message.encode()[5:] == data


def test_layout_is_the_one_of_the_specification():
    message = ServiceMessage(1, ServiceKind.ANSWER, bytes(range(8)), b"abc")

    assert message.encode()[:20].hex() == "00000000090101" + (
        "00010203040506070003" + b"abc".hex()
    )


def test_longest_data_fits_and_one_more_byte_does_not():
    assert MAX_SERVICE_DATA == 1183
    assert len(ServiceMessage(1, ServiceKind.REQUEST, bytes(8), bytes(1183)).encode())
    with pytest.raises(LocalProtocolError):
        ServiceMessage(1, ServiceKind.REQUEST, bytes(8), bytes(1184)).encode()


@pytest.mark.parametrize(
    ("offset", "value"), [(1, 2), (10, 0xFF), (BODY_SIZE - 1, 1), (15, 7)]
)
def test_wrong_kind_length_or_padding_is_refused(offset, value):
    body = bytearray(ServiceMessage(1, ServiceKind.REQUEST, bytes(8), b"abc").encode())
    del body[:5]
    body[offset] = value

    with pytest.raises(DecodeError):
        ServiceMessage.decode(bytes(body))
