"""The registry as its readers see it: who is a member, under which keys, since when.

Everything that a client or a relay must rely on comes through this port: from a file
signed by trusted partners (`psp.directory.trusted`), from the chain, or from a cache
of either. An implementation verifies before it answers, and never goes back.
"""

import enum
from collections.abc import Mapping
from typing import Protocol

from psp.ids import NodeId, UserId
from psp.netdoc.node_record import NodeRecord, Status, UserRecord
from psp.units import UnixTime
from psp.wire.network import Network

__all__ = [
    "RANDOM_PERIOD",
    "NodeRecord",
    "Registry",
    "Source",
    "Status",
    "UserRecord",
    "WithoutNames",
    "period_of",
]

RANDOM_PERIOD = 86_400
"""Seconds one random value lasts: a day, the life of a blinded presence key."""


class Source(enum.StrEnum):
    """Where the registry in use comes from; the best comes first."""

    ELECTED = "elected"
    """The chain, with discovery nodes elected for this epoch."""

    TRUSTED = "trusted"
    """A file signed by the trusted partners."""

    CACHED = "cached"
    """An earlier one of either kind, kept on disk."""


class Registry(Protocol):
    """Membership, as verified. All answers belong to one sequence number."""

    @property
    def network(self) -> Network:
        """Which network this is."""
        ...

    @property
    def sequence(self) -> int:
        """Rises with every change; compare it to notice one."""
        ...

    @property
    def source(self) -> Source:
        """Where these answers come from."""
        ...

    @property
    def issued(self) -> UnixTime:
        """When the answers were true."""
        ...

    @property
    def expires(self) -> UnixTime:
        """After this time they must not be used for new circuits."""
        ...

    def nodes(self) -> Mapping[NodeId, NodeRecord]:
        """Return every active node. Read-only; the same object until a change."""
        ...

    def node(self, node_id: NodeId) -> NodeRecord | None:
        """Return an active node's record; None for all others."""
        ...

    def has_user(self, user_id: UserId) -> bool:
        """Tell whether a user is registered and not revoked."""
        ...

    def is_revoked_user(self, user_id: UserId) -> bool:
        """Tell whether a user was registered and is revoked, for ever."""
        ...

    def discovery_nodes(self) -> tuple[NodeId, ...]:
        """Return the active discovery nodes of this period, sorted."""
        ...

    def retiring_nodes(self) -> tuple[NodeId, ...]:
        """Return the active discovery nodes of the list before this one, sorted.

        They still hold what was stored with them; those elected again are not among
        them. Empty where nothing is elected.
        """
        ...

    @property
    def elected_at(self) -> UnixTime:
        """When the list of discovery nodes came into force; 0 if nothing is elected."""
        ...

    def trusted_nodes(self) -> tuple[NodeId, ...]:
        """Return the active nodes run by trusted partners, sorted."""
        ...

    def random_value(self, period: int) -> bytes | None:
        """Return the 32 random bytes of a period (`period_of`), or None if unknown."""
        ...

    @property
    def knows_names(self) -> bool:
        """Whether the list of registered names was read, and is not too old."""
        ...

    def user_of_name(self, name: str) -> UserId | None:
        """Return whose a registered name is, in any mixture of small and large letters.

        None if it counts for nobody, or no names are known. Nobody is asked for it: the
        whole list is at hand.
        """
        ...

    def name_of(self, user_id: UserId) -> str | None:
        """Return a user's registered name; None without one, or if none are known."""
        ...


class WithoutNames:
    """The part of the port that is the same for all registries without names."""

    knows_names = False

    def user_of_name(self, name: str) -> UserId | None:  # noqa: ARG002 - the port's
        """Return None."""
        return None

    def name_of(self, user_id: UserId) -> str | None:  # noqa: ARG002 - the port's
        """Return None."""
        return None


def period_of(unix_now: int) -> int:
    """Return the number of the random value that is in force."""
    return unix_now // RANDOM_PERIOD
