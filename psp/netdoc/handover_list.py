"""Several hand-overs as one string of bytes, as they are fetched from a server.

``length 4 | hand-over`` again and again, the oldest first, at most 16, no two of one
period: so each server brings at most one body for each.
"""

from collections.abc import Iterable

from psp.errors import DecodeError, LocalProtocolError
from psp.netdoc.handover import HandOver
from psp.wire.buffer import Reader

MAX_HAND_OVERS = 16
MAX_LIST_BYTES = 1 << 20
"""Sixteen of 256 seats, all signed, take 760 kB."""

_LENGTH = 4


def join_hand_overs(hand_overs: Iterable[HandOver]) -> bytes:
    """Return the list of some hand-overs, the oldest first.

    Raises:
        LocalProtocolError: If there are more than 16.
    """
    encoded = [hand_over.encode() for hand_over in hand_overs]
    if len(encoded) > MAX_HAND_OVERS:
        raise LocalProtocolError(f"{len(encoded)} hand-overs")
    return b"".join(len(data).to_bytes(_LENGTH) + data for data in encoded)


def split_hand_overs(data: bytes) -> list[HandOver]:
    """Return the hand-overs of a list, unverified.

    Raises:
        DecodeError: If it is no such list.
    """
    reader = Reader(data)
    hand_overs: list[HandOver] = []
    while reader.remaining:
        if len(hand_overs) == MAX_HAND_OVERS:
            raise DecodeError(f"more than {MAX_HAND_OVERS} hand-overs")
        hand_over = HandOver.decode(reader.take(reader.u32()))
        if hand_overs and hand_over.start <= hand_overs[-1].start:
            raise DecodeError("hand-overs are not in order, one a period")
        hand_overs.append(hand_over)
    return hand_overs
