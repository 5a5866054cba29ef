"""Link packets (psp/wire/packet.py)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.packet import (
    MAC1_OFFSET,
    NOISE_2_SIZE,
    NOISE_IK_1_SIZE,
    NOISE_NK_1_SIZE,
    PACKET_SIZE,
    CookieReply,
    Initiation,
    PacketType,
    Response,
    pack_data_header,
    packet_type,
)

MACS = bytes(PACKET_SIZE - MAC1_OFFSET)
INITIATIONS = [
    Initiation(7, b"n" * NOISE_IK_1_SIZE, is_client=False),
    Initiation(8, b"n" * NOISE_NK_1_SIZE, is_client=True),
]
DECODERS = [Initiation.decode, Response.decode, CookieReply.decode]


@pytest.mark.parametrize("initiation", INITIATIONS, ids=["ik", "nk"])
def test_an_initiation_survives_the_wire(initiation):
    packet = initiation.encode() + MACS

    assert len(packet) == PACKET_SIZE
    assert Initiation.decode(packet) == initiation


def test_a_response_survives_the_wire():
    response = Response(1, 2, b"r" * NOISE_2_SIZE)

    assert Response.decode(response.encode() + MACS) == response


def test_a_cookie_reply_survives_the_wire():
    reply = CookieReply(3, bytes(12), b"c" * 32)

    assert CookieReply.decode(reply.encode()) == reply


@pytest.mark.parametrize("decode", DECODERS, ids=lambda decode: decode.__qualname__)
@given(data=st.binary(max_size=PACKET_SIZE + 1))
def test_any_bytes_decode_or_raise_decode_error(decode, data):
    with suppress(DecodeError):
        decode(data)


@pytest.mark.parametrize("decode", DECODERS, ids=lambda decode: decode.__qualname__)
@given(
    kind=st.sampled_from(PacketType),
    rest=st.binary(min_size=PACKET_SIZE - 4, max_size=PACKET_SIZE - 4),
)
def test_any_packet_of_the_right_size_decodes_or_raises_decode_error(
    decode, kind, rest
):
    with suppress(DecodeError):
        decode(bytes([kind, 1, 0, 0]) + rest)


@pytest.mark.parametrize("size", [0, 1, PACKET_SIZE - 1, PACKET_SIZE + 1])
def test_a_packet_of_any_other_size_is_refused(size):
    with pytest.raises(DecodeError, match=f"packet of {size} bytes"):
        packet_type(bytes(size))


def test_another_version_and_reserved_bytes_are_refused():
    for head in ((5, 2, 0, 0), (5, 1, 1, 0), (5, 1, 0, 1), (0, 1, 0, 0), (6, 1, 0, 0)):
        with pytest.raises(DecodeError):
            packet_type(bytes(head).ljust(PACKET_SIZE, b"\0"))


def test_padding_that_is_not_zero_is_refused():
    for message in (*INITIATIONS, Response(1, 2, bytes(NOISE_2_SIZE))):
        packet = bytearray(message.encode() + MACS)
        packet[MAC1_OFFSET - 1] = 1

        with pytest.raises(DecodeError, match="padding"):
            type(message).decode(bytes(packet))


def test_a_data_header_names_key_and_counter():
    assert pack_data_header(1, 2).hex() == "05010000000000010000000000000002"


def test_a_wrong_size_inside_is_our_own_fault():
    for message in (
        Initiation(1, b"", is_client=True),
        Response(1, 2, b""),
        CookieReply(1, b"", b""),
    ):
        with pytest.raises(LocalProtocolError):
            message.encode()
