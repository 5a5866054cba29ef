"""Endpoints as a node's record on the chain holds them: packed into words.

Link specifiers, back to back, big-endian::

    family 1 (4 or 6) | length 1 | address 4 or 16 | port 2

The length counts address and port: 6 or 18. Zeros fill the last word of 32 bytes; a
record has one to four words, which is room for 16 IPv4 endpoints or 6 of IPv6.
"""

import ipaddress
from collections.abc import Sequence

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.buffer import Reader
from psp.wire.endpoint import Endpoint

WORD_SIZE = 32
MAX_WORDS = 4

_ADDRESS_SIZES = {4: 4, 6: 16}
_PORT_SIZE = 2
_END = 0
"""Family of the padding."""


def pack(endpoints: Sequence[Endpoint]) -> tuple[bytes, ...]:
    """Return the words of some endpoints, 32 bytes each.

    Raises:
        LocalProtocolError: If there are none, one is malformed or doubled, or they do
            not fit in four words.
    """
    packed = b"".join([_pack(endpoint) for endpoint in endpoints])
    if not 0 < len(packed) <= MAX_WORDS * WORD_SIZE:
        raise LocalProtocolError(
            f"{len(endpoints)} endpoints take {len(packed)} bytes; a record has 1 … 128"
        )
    if len(set(endpoints)) != len(endpoints):
        raise LocalProtocolError("an endpoint stands twice in one record")
    packed += bytes(-len(packed) % WORD_SIZE)
    return tuple(
        packed[start : start + WORD_SIZE] for start in range(0, len(packed), WORD_SIZE)
    )


def unpack(words: Sequence[bytes]) -> tuple[Endpoint, ...]:
    """Read the endpoints of a record.

    Raises:
        DecodeError: If the words are not what `pack` returns for some endpoints.
    """
    if not 0 < len(words) <= MAX_WORDS:
        raise DecodeError(f"endpoints of {len(words)} words")
    if any(len(word) != WORD_SIZE for word in words):
        raise DecodeError("a word has 32 bytes")
    reader = Reader(b"".join(words))
    endpoints: list[Endpoint] = []
    while reader.remaining and (family := reader.u8()) != _END:
        endpoints.append(_unpack(family, reader))
    # The end byte is read already: with 31 more the last word would hold nothing.
    padding = reader.take(reader.remaining)
    if any(padding) or len(padding) + 1 >= WORD_SIZE:
        raise DecodeError("endpoints end before their last word, or are none")
    if len(set(endpoints)) != len(endpoints):
        raise DecodeError("an endpoint stands twice in one record")
    return tuple(endpoints)


def _pack(endpoint: Endpoint) -> bytes:
    # The 24-byte encoding checks host and port.
    encoded = endpoint.encode()
    family, size = encoded[0], _ADDRESS_SIZES[encoded[0]]
    return bytes([family, size + _PORT_SIZE]) + encoded[1 : 1 + size] + encoded[17:19]


def _unpack(family: int, reader: Reader) -> Endpoint:
    size = _ADDRESS_SIZES.get(family)
    if size is None:
        raise DecodeError(f"address family {family}")
    if (length := reader.u8()) != size + _PORT_SIZE:
        raise DecodeError(f"link specifier {family} of {length} bytes")
    address = ipaddress.ip_address(reader.take(size))
    port = reader.u16()
    if port == 0:
        raise DecodeError("port 0")
    return Endpoint(str(address), port)
