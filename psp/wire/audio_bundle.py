"""The content of an AUDIO block: the newest small datagram, and some before it.

Source: SPEC.md section 7. Integers are big-endian::

    newest number 2 | count 1 | count x ( length 2 | datagram )

The newest comes first; numbers go down by one, modulo 65,536. A block is always full,
so what came before rides along for nothing, and a lost block loses no datagram.
"""

import struct
from collections.abc import Iterable

from psp.errors import DecodeError
from psp.wire.session_block import PIPE_MTU

MAX_BUNDLED = 4
"""Datagrams of one block: four of up to 267 bytes fit, and four of 20 ms outlast three
lost blocks in a row."""

MAX_AUDIO = PIPE_MTU - 5
"""Bytes of the longest datagram that has a number, alone in its block."""

_HEADER = struct.Struct("!HB")
_LENGTH = struct.Struct("!H")
_MODULUS = 1 << 16


def pack_bundle(number: int, datagrams: Iterable[bytes]) -> bytes:
    """Return the content of an AUDIO block with as many datagrams as fit.

    Args:
        number: Of the first datagram, 0 … 65,535.
        datagrams: 1 … 4, the newest first, which has 1 … 1,075 bytes.
    """
    parts = [b""]
    room = PIPE_MTU - _HEADER.size
    for datagram in datagrams:
        room -= _LENGTH.size + len(datagram)
        if room < 0:
            break
        parts += (_LENGTH.pack(len(datagram)), datagram)
    parts[0] = _HEADER.pack(number, len(parts) // 2)
    return b"".join(parts)


def unpack_bundle(content: bytes) -> list[tuple[int, bytes]]:
    """Return number and bytes of each datagram, the newest first.

    Raises:
        DecodeError: If it holds none, more than four, or not what it says.
    """
    if len(content) < _HEADER.size:
        raise DecodeError(f"audio bundle of {len(content)} bytes")
    number, count = _HEADER.unpack_from(content)
    if not 1 <= count <= MAX_BUNDLED:
        raise DecodeError(f"audio bundle of {count} datagrams")
    bundled: list[tuple[int, bytes]] = []
    at = _HEADER.size
    for place in range(count):
        if at + _LENGTH.size > len(content):
            raise DecodeError(f"audio bundle ends in datagram {place + 1} of {count}")
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(content, at)[0]
        if at == start or at > len(content):
            raise DecodeError(f"audio datagram of {at - start} bytes in a bundle")
        bundled.append(((number - place) % _MODULUS, content[start:at]))
    if at != len(content):
        raise DecodeError(f"{len(content) - at} bytes behind an audio bundle")
    return bundled
