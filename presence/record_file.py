"""The records of a discovery node on the disk: plain, and believed no more than others. Pure.

::

    "PSPR" | version 1 | network 28 | any number of
        location 20 | publisher 32 | bringer 32 (zeros: the publisher) | record 450

Whoever reads it puts each record into the store as if it had just come: what is forged,
expired or elsewhere by now is refused there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from presence.record_store import HeldRecord
from psp.errors import DecodeError
from psp.ids import NODE_ID_SIZE, NodeId
from psp.netdoc.presence_record import LOCATION_SIZE, RECORD_SIZE
from psp.wire.network import Network

_MAGIC = b"PSPR\x01"
_NOBODY = bytes(NODE_ID_SIZE)
_PUBLISHER_AT = LOCATION_SIZE
_BRINGER_AT = _PUBLISHER_AT + NODE_ID_SIZE
_RECORD_AT = _BRINGER_AT + NODE_ID_SIZE
ENTRY_SIZE = _RECORD_AT + RECORD_SIZE
"""Bytes of one record and whom it counts for."""


@dataclass(frozen=True, slots=True)
class FiledRecord:
    """One entry.

    Attributes:
        location: Where it lay.
        publisher: Whom it counted for.
        bringer: Who handed it over; None if the publisher brought it.
        raw: 450 bytes.
    """

    location: bytes
    publisher: NodeId
    bringer: NodeId | None
    raw: bytes


def header(network: Network) -> bytes:
    """Return what a file of this network begins with."""
    return _MAGIC + network.encode()


def encode(
    network: Network, held: Iterable[tuple[bytes, Iterable[HeldRecord]]]
) -> bytes:
    """Return a file's bytes.

    Args:
        network: Which network.
        held: Locations and what lies there.
    """
    parts = [header(network)]
    for location, records in held:
        for each in records:
            parts += (location, each.publisher, each.bringer or _NOBODY, each.raw)
    return b"".join(parts)


def decode(data: bytes, network: Network) -> Iterator[FiledRecord]:
    """Yield the records of a file.

    Raises:
        DecodeError: At once, if it is no such file, of another network, or cut off.
    """
    start = header(network)
    if not data.startswith(start):
        raise DecodeError("not the records of this network")
    if (len(data) - len(start)) % ENTRY_SIZE:
        raise DecodeError("the last record is cut off")
    return _entries(data, len(start))


def _entries(data: bytes, start: int) -> Iterator[FiledRecord]:
    for at in range(start, len(data), ENTRY_SIZE):
        entry = data[at : at + ENTRY_SIZE]
        bringer = NodeId(entry[_BRINGER_AT:_RECORD_AT])
        yield FiledRecord(
            entry[:LOCATION_SIZE],
            NodeId(entry[_PUBLISHER_AT:_BRINGER_AT]),
            None if bringer == _NOBODY else bringer,
            entry[_RECORD_AT:],
        )
