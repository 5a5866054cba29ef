"""Which relays may not stand in one path (R-PATH-1).

Two relays that one party may control must not see both ends of a circuit. We take it
that a party controls relays that share an operator account, that declare a common
family, or that are close on the network: one IPv4 /16 or one IPv6 /32, as Tor does.
"""

import enum
import functools
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psp.netdoc.node_record import NodeRecord
from psp.wire.endpoint import Endpoint

IPV4_PREFIX = 16
IPV6_PREFIX = 32


class Conflict(enum.StrEnum):
    """Why two relays may not stand in one path."""

    SAME_NODE = "the same node"
    OPERATOR = "one operator"
    FAMILY = "one family"
    SUBNET = "one network"


@dataclass(frozen=True, slots=True)
class Constraints:
    """The rules in force.

    Attributes:
        subnet_rule: Whether networks must differ. Switched off by configuration, and
            only where all nodes share a network on purpose: loopback, a test bed.
    """

    subnet_rule: bool = True

    def conflict(self, first: NodeRecord, second: NodeRecord) -> Conflict | None:
        """Return why the two exclude each other, or None if they do not."""
        if first.node_id == second.node_id:
            return Conflict.SAME_NODE
        if first.operator == second.operator:
            return Conflict.OPERATOR
        if not set(first.families).isdisjoint(second.families):
            return Conflict.FAMILY
        if self.subnet_rule and not _networks(first.endpoints).isdisjoint(
            _networks(second.endpoints)
        ):
            return Conflict.SUBNET
        return None

    def allows(self, node: NodeRecord, others: Iterable[NodeRecord]) -> bool:
        """Tell whether ``node`` may join a path that has ``others``."""
        return all(self.conflict(node, other) is None for other in others)

    def explain(self, path: Sequence[NodeRecord]) -> list[tuple[int, int, Conflict]]:
        """Return every pair of positions that breaks a rule; empty for a good path."""
        return [
            (i, j, conflict)
            for j, second in enumerate(path)
            for i, first in enumerate(path[:j])
            if (conflict := self.conflict(first, second)) is not None
        ]


@functools.lru_cache(maxsize=32_768)
def _networks(endpoints: tuple[Endpoint, ...]) -> frozenset[tuple[int, int]]:
    """Return the networks of a node's endpoints as (IP version, prefix)."""
    return frozenset(_network(endpoint.host) for endpoint in endpoints)


def _network(host: str) -> tuple[int, int]:
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address):
        # ::ffff:a.b.c.d is the IPv4 host; else one host would count as two networks.
        if address.ipv4_mapped is None:
            return 6, int(address) >> (128 - IPV6_PREFIX)
        address = address.ipv4_mapped
    return 4, int(address) >> (32 - IPV4_PREFIX)
