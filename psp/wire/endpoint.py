"""Endpoints: where a node can be reached, 24 bytes (SPEC.md section 5)."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from psp.errors import DecodeError, LocalProtocolError
from psp.sansio import Address

ENDPOINT_SIZE = 24


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A numeric IP address and a UDP port.

    Attributes:
        host: IPv4 or IPv6, in canonical text; never a name.
        port: 1 … 65,535.
    """

    host: str
    port: int

    @property
    def address(self) -> Address:
        """The same as the pair that sockets take."""
        return self.host, self.port

    def encode(self) -> bytes:
        """Return the 24 bytes.

        Raises:
            LocalProtocolError: If host is not an IP address or the port is out of range.
        """
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            raise LocalProtocolError("an endpoint needs a numeric address") from None
        if not 0 < self.port < 65536:
            raise LocalProtocolError(f"port {self.port}")
        packed = address.packed.ljust(16, b"\0")
        return bytes([address.version]) + packed + self.port.to_bytes(2) + bytes(5)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read one endpoint.

        Raises:
            DecodeError: If ``data`` is not the one encoding of an endpoint.
        """
        if len(data) != ENDPOINT_SIZE or any(data[19:]):
            raise DecodeError("not an endpoint")
        family, packed, port = data[0], data[1:17], int.from_bytes(data[17:19])
        if port == 0:
            raise DecodeError("port 0")
        if family == 4 and not any(packed[4:]):
            return cls(str(ipaddress.IPv4Address(packed[:4])), port)
        if family == 6:
            return cls(str(ipaddress.IPv6Address(packed)), port)
        raise DecodeError(f"address family {family}")


def by_worker(endpoints: Sequence[Endpoint]) -> tuple[tuple[Endpoint, ...], ...]:
    """Return the endpoints of a node's record, one group for each of its workers.

    A worker is known by its port, as in the link prologue; it may have it at several
    addresses. Workers and endpoints keep the record's order: the first worker is the
    one that runs the node's services.
    """
    groups: dict[int, list[Endpoint]] = {}
    for endpoint in endpoints:
        groups.setdefault(endpoint.port, []).append(endpoint)
    return tuple(map(tuple, groups.values()))
