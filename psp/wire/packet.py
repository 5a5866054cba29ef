"""Link packets: the 1,232 bytes of every UDP payload.

Source: SPEC.md section 1. Integers are big-endian.
"""

import enum
import struct
from dataclasses import dataclass
from typing import Self

from psp.errors import DecodeError, LocalProtocolError

VERSION = 1
PACKET_SIZE = 1232
"""IPv6 minimum MTU 1,280 - IPv6 header 40 - UDP header 8."""

HEADER_SIZE = 16
TAG_SIZE = 16
DATA_OVERHEAD = HEADER_SIZE + TAG_SIZE
MAC_SIZE = 16
MAC1_OFFSET = PACKET_SIZE - 2 * MAC_SIZE
MAC2_OFFSET = PACKET_SIZE - MAC_SIZE

INITIATION_PAYLOAD_SIZE = 28
NOISE_IK_1_SIZE = 32 + 48 + INITIATION_PAYLOAD_SIZE + 16
NOISE_NK_1_SIZE = 32 + INITIATION_PAYLOAD_SIZE + 16
NOISE_2_SIZE = 32 + 16
COOKIE_NONCE_SIZE = 12
SEALED_COOKIE_SIZE = 32

_DATA_HEADER = struct.Struct("!BBHIQ")
_INITIATION = struct.Struct("!BBHI")
_RESPONSE = struct.Struct("!BBHII")


class PacketType(enum.IntEnum):
    """What a link packet is (SPEC.md, table 1)."""

    INITIATION_IK = 1
    INITIATION_NK = 2
    RESPONSE = 3
    COOKIE = 4
    DATA = 5


def pack_data_header(receiver_index: int, counter: int) -> bytes:
    """Return the 16 bytes before a data packet's ciphertext."""
    return _DATA_HEADER.pack(PacketType.DATA, VERSION, 0, receiver_index, counter)


def packet_type(packet: bytes | memoryview) -> PacketType:
    """Return the type of a packet of the right size, version and reserved bytes.

    Raises:
        DecodeError: If it is anything else.
    """
    if len(packet) != PACKET_SIZE:
        raise DecodeError(f"packet of {len(packet)} bytes")
    if packet[1] != VERSION or packet[2] or packet[3]:
        raise DecodeError(f"packet version {packet[1]}")
    try:
        return PacketType(packet[0])
    except ValueError:
        raise DecodeError(f"unknown packet type {packet[0]}") from None


@dataclass(frozen=True, slots=True)
class Initiation:
    """The first packet of a link handshake, without its macs.

    Attributes:
        sender_index: What the responder puts into its packets as receiver index.
        noise: Noise message 1: 124 bytes for IK, 76 for NK.
        is_client: NK rather than IK.
    """

    sender_index: int
    noise: bytes
    is_client: bool

    def encode(self) -> bytes:
        """Return bytes 0 … 1,199; mac1 and mac2 follow."""
        kind = PacketType.INITIATION_NK if self.is_client else PacketType.INITIATION_IK
        if len(self.noise) != _noise_1_size(is_client=self.is_client):
            raise LocalProtocolError(f"noise message of {len(self.noise)} bytes")
        head = _INITIATION.pack(kind, VERSION, 0, self.sender_index)
        return (head + self.noise).ljust(MAC1_OFFSET, b"\0")

    @classmethod
    def decode(cls, packet: bytes) -> Self:
        """Read an initiation of either kind.

        Raises:
            DecodeError: If ``packet`` is not one, or its padding is not zero.
        """
        kind = packet_type(packet)
        if kind not in {PacketType.INITIATION_IK, PacketType.INITIATION_NK}:
            raise DecodeError(f"packet type {kind} is not an initiation")
        is_client = kind is PacketType.INITIATION_NK
        end = _INITIATION.size + _noise_1_size(is_client=is_client)
        _check_zeros(packet[end:MAC1_OFFSET])
        _, _, _, sender_index = _INITIATION.unpack_from(packet)
        return cls(sender_index, packet[_INITIATION.size : end], is_client)


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to an initiation, without its macs.

    Attributes:
        sender_index: The responder's own receiver index.
        receiver_index: The initiation's sender index.
        noise: Noise message 2, 48 bytes.
    """

    sender_index: int
    receiver_index: int
    noise: bytes

    def encode(self) -> bytes:
        """Return bytes 0 … 1,199; mac1 and mac2 follow."""
        if len(self.noise) != NOISE_2_SIZE:
            raise LocalProtocolError(f"noise message of {len(self.noise)} bytes")
        head = _RESPONSE.pack(
            PacketType.RESPONSE, VERSION, 0, self.sender_index, self.receiver_index
        )
        return (head + self.noise).ljust(MAC1_OFFSET, b"\0")

    @classmethod
    def decode(cls, packet: bytes) -> Self:
        """Read a response.

        Raises:
            DecodeError: If ``packet`` is not one, or its padding is not zero.
        """
        if packet_type(packet) is not PacketType.RESPONSE:
            raise DecodeError("not a response")
        end = _RESPONSE.size + NOISE_2_SIZE
        _check_zeros(packet[end:MAC1_OFFSET])
        _, _, _, sender_index, receiver_index = _RESPONSE.unpack_from(packet)
        return cls(sender_index, receiver_index, packet[_RESPONSE.size : end])


@dataclass(frozen=True, slots=True)
class CookieReply:
    """What a relay under load answers instead of a handshake.

    Attributes:
        receiver_index: The initiation's sender index.
        nonce: 12 random bytes.
        sealed: The cookie and its tag, 32 bytes.
    """

    receiver_index: int
    nonce: bytes
    sealed: bytes

    def encode(self) -> bytes:
        """Return the whole packet."""
        if (len(self.nonce), len(self.sealed)) != (
            COOKIE_NONCE_SIZE,
            SEALED_COOKIE_SIZE,
        ):
            raise LocalProtocolError("wrong size of nonce or sealed cookie")
        head = _INITIATION.pack(PacketType.COOKIE, VERSION, 0, self.receiver_index)
        return (head + self.nonce + self.sealed).ljust(PACKET_SIZE, b"\0")

    @classmethod
    def decode(cls, packet: bytes) -> Self:
        """Read a cookie reply.

        Raises:
            DecodeError: If ``packet`` is not one, or its padding is not zero.
        """
        if packet_type(packet) is not PacketType.COOKIE:
            raise DecodeError("not a cookie reply")
        nonce_end = _INITIATION.size + COOKIE_NONCE_SIZE
        end = nonce_end + SEALED_COOKIE_SIZE
        _check_zeros(packet[end:])
        _, _, _, receiver_index = _INITIATION.unpack_from(packet)
        return cls(
            receiver_index, packet[_INITIATION.size : nonce_end], packet[nonce_end:end]
        )


def _noise_1_size(*, is_client: bool) -> int:
    return NOISE_NK_1_SIZE if is_client else NOISE_IK_1_SIZE


def _check_zeros(padding: bytes) -> None:
    # 40 times faster than any(): strangers' packets pass here before their mac is known.
    if padding != bytes(len(padding)):
        raise DecodeError("padding is not zero")
