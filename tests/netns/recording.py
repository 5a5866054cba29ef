"""What somebody who records every packet can tell: reads recordings of `capture`."""

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tests.netns.capture import HEADER

IPV4 = 0x0800
TCP = 6
UDP = 17
PACKET_SIZE = 1232
BLOCK = 16
_MANY_ZEROS = 8


class Link(NamedTuple):
    """Two ports that talk, the smaller first."""

    low: int
    high: int

    @classmethod
    def between(cls, one: int, other: int) -> "Link":
        """Return the link of two ports, in either order."""
        return cls(min(one, other), max(one, other))


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet as it was seen, a train of datagrams if the sender made one.

    Attributes:
        time: Unix seconds.
        kind: Its protocols: "udp", "tcp", or what else it is, in words.
        source: Sender's address.
        destination: Receiver's address.
        source_port: Of UDP or TCP.
        destination_port: Of UDP or TCP.
        payload: What the UDP packet carries.
    """

    time: float
    kind: str
    source: str = ""
    destination: str = ""
    source_port: int = 0
    destination_port: int = 0
    payload: bytes = b""

    @property
    def link(self) -> Link:
        """The ports at both ends."""
        return Link.between(self.source_port, self.destination_port)

    @property
    def datagrams(self) -> int:
        """How many datagrams of ours it can be made of, rounded up."""
        return -(-len(self.payload) // PACKET_SIZE)


def read(path: Path) -> list[Packet]:
    """Return all packets, in the order they were seen."""
    return list(_parse(path.read_bytes()))


def volumes(packets: Iterable[Packet]) -> Counter[Link]:
    """Return how many datagrams crossed each link, both ways together."""
    counts: Counter[Link] = Counter()
    for packet in packets:
        counts[packet.link] += packet.datagrams
    return counts


def mid_call(packets: list[Packet]) -> tuple[float, float]:
    """Return when 45 % and when 80 % of all datagrams had been seen.

    Most of the traffic is the call's, so an observer who knows nothing of it is sure to
    look at its middle.
    """
    seen = np.cumsum([packet.datagrams for packet in packets])
    first, last = np.searchsorted(seen, [0.45 * seen[-1], 0.80 * seen[-1]])
    return packets[first].time, packets[last].time


def repeated_blocks(packets: Iterable[Packet]) -> dict[bytes, set[Link]]:
    """Return the blocks of 16 bytes that stand on two links, at whatever offsets.

    Left out are blocks with more than 8 zero bytes: the padding of handshakes is zeros
    on every link and says nothing, and may begin or end in a block of other bytes. In
    16 bytes of ciphertext there are as many once in 10**17.
    """
    links: list[Link] = []
    payloads: list[bytes] = []
    for packet in packets:
        links += [packet.link] * packet.datagrams
        payloads.append(packet.payload)
    numbers = {link: number for number, link in enumerate(sorted(set(links)))}
    owners = np.array([numbers[link] for link in links])
    table = np.frombuffer(b"".join(payloads), np.uint8).reshape(-1, PACKET_SIZE)
    names, places = _name_blocks(table)
    order = np.argsort(names, kind="stable")
    names, places = names[order], places[order]
    owner = owners[places // PACKET_SIZE]
    alike = np.flatnonzero((names[1:] == names[:-1]) & (owner[1:] != owner[:-1]))
    found: dict[bytes, set[Link]] = {}
    flat = table.tobytes()
    for index in alike:
        one, other = (flat[p : p + BLOCK] for p in places[index : index + 2])
        if one == other:
            pair = (links[places[n] // PACKET_SIZE] for n in (index, index + 1))
            found.setdefault(one, set()).update(pair)
    return found


def _name_blocks(
    table: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return a 64-bit name and the place of every block worth comparing."""
    offsets = PACKET_SIZE - BLOCK + 1
    windows = np.lib.stride_tricks.sliding_window_view(table, BLOCK, axis=1)
    zeros = np.cumsum(table == 0, axis=1, dtype=np.int16)
    zeros = np.pad(zeros, ((0, 0), (1, 0)))
    is_random = zeros[:, BLOCK:] - zeros[:, :-BLOCK] <= _MANY_ZEROS
    names = np.zeros((len(table), offsets), np.uint64)
    for column in range(BLOCK):
        names = names * np.uint64(0x9E37_79B9_7F4A_7C15) + windows[:, :, column]
        names ^= names >> np.uint64(29)
    places = np.arange(len(table))[:, None] * PACKET_SIZE + np.arange(offsets)
    return names[is_random], places[is_random]


def _parse(data: bytes) -> Iterator[Packet]:
    offset = 0
    while offset < len(data):
        time, _, protocol, _, size = HEADER.unpack_from(data, offset)
        offset += HEADER.size
        yield _packet(time, protocol, data[offset : offset + size])
        offset += size


def _packet(time: float, protocol: int, data: bytes) -> Packet:
    if protocol != IPV4:
        return Packet(time, f"protocol {protocol:#06x}")
    source, destination = (
        ".".join(map(str, data[start : start + 4])) for start in (12, 16)
    )
    if data[9] not in {UDP, TCP}:
        return Packet(time, f"IP protocol {data[9]}", source, destination)
    header = (data[0] & 0x0F) * 4
    from_port, to_port = struct.unpack_from("!HH", data, header)
    if data[9] == TCP:
        return Packet(time, "tcp", source, destination, from_port, to_port)
    payload = data[header + 8 :]
    return Packet(time, "udp", source, destination, from_port, to_port, payload)
