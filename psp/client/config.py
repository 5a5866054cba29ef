"""Settings of a client."""

from dataclasses import dataclass, field
from pathlib import Path

from psp.client.announcing.announcer_config import AnnouncerConfig
from psp.client.call_config import CallConfig
from psp.client.gateway_config import GatewayConfig
from psp.client.spare_config import SpareConfig
from psp.directory.fallback import MIN_SOURCES
from psp.runtime.membership import MembershipConfig
from psp.units import Seconds
from psp.wire.directory_page import DIGEST_SIZE

_DAY = 86_400
_RENEWED_EVERY = 3_600
"""Seconds between two descriptors of one relay, as relays publish them."""
_PAGE_SHARE = 1.03
"""What requests and the heads of answers add to the bytes of a listing."""


@dataclass(frozen=True, slots=True)
class PathConfig:
    """Rules for choosing relays.

    Attributes:
        subnet_rule: No two relays of a path in the same IPv4 /16 or IPv6 /32. Only a
            network on one machine needs it off.
    """

    subnet_rule: bool = True


@dataclass(frozen=True, slots=True)
class DirectoryConfig:
    """How often a client looks which relays run.

    Attributes:
        refresh_every: Seconds between two looks in a small network, plus or minus a
            tenth.
        longest: The most seconds between two looks. A relay counts as running for 24
            hours after its last descriptor (R-RPC-2), which may be an hour old.
        retry_after: Seconds until the next try while too few sources have answered.
        day_bytes: Bytes of messages a day that looking may cost. From 650 relays on
            looks become rarer for it, 18 hours apart at 10,000; from 11,000 on
            `longest` goes before it.
    """

    refresh_every: Seconds = Seconds(600.0)
    longest: Seconds = Seconds(72_000.0)
    retry_after: Seconds = Seconds(15.0)
    day_bytes: int = 2_000_000

    def interval(self, relays: int, listing_bytes: int) -> Seconds:
        """Return the seconds between two looks.

        Each look costs three lists of digests, and each descriptor that has been
        renewed since the last one: all of them if that is more than an hour ago.

        Args:
            relays: Described in the directory.
            listing_bytes: Of all their descriptors together.
        """
        digests = _PAGE_SHARE * MIN_SOURCES * DIGEST_SIZE * relays * _DAY
        elements = _PAGE_SHARE * listing_bytes * _DAY
        # The renewed ones cost the same however often they are fetched: what is left
        # pays for the digests. Where nothing is left, some are skipped.
        left = self.day_bytes - elements / _RENEWED_EVERY
        wanted = digests / left if left > 0 else float("inf")
        if wanted > _RENEWED_EVERY:
            wanted = max(_RENEWED_EVERY, (digests + elements) / self.day_bytes)
        return Seconds(min(max(wanted, self.refresh_every), self.longest))


@dataclass(frozen=True, slots=True)
class SnapshotConfig:
    """How a client without an RPC endpoint keeps the chain's list fresh.

    Attributes:
        first_wait: Seconds after a period has begun at which its hand-over is looked
            for: its block must become final, and those who sign need a moment. A
            quarter more or less; no more than an eighth of a period.
        longest_wait: The most seconds between two looks while nothing new is found.
        most_sources: Asked in one look, while fewer than three have answered.
    """

    first_wait: Seconds = Seconds(300.0)
    longest_wait: Seconds = Seconds(3_600.0)
    most_sources: int = 9


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Everything a client is told.

    Attributes:
        membership: Which network, and who says who its members are.
        state_dir: A private directory for keys, guards and caches.
        bind: The address to send from; 0.0.0.0 or ::.
        port: The UDP port to send from; 0 for any.
        path: Rules for choosing relays.
        call: What calls ask of relays.
        presence: How a presence is kept up.
        directory: How often to look which relays run.
        snapshot: How the chain's list is kept fresh without an endpoint.
        spares: Which circuits stand ready for look-ups.
        gateway: How programs on this host reach the client (psp client run).
    """

    membership: MembershipConfig
    state_dir: Path
    bind: str = "0.0.0.0"  # noqa: S104 - packets from strangers are dropped unanswered
    port: int = 0
    path: PathConfig = field(default_factory=PathConfig)
    call: CallConfig = field(default_factory=CallConfig)
    presence: AnnouncerConfig = field(default_factory=AnnouncerConfig)
    directory: DirectoryConfig = field(default_factory=DirectoryConfig)
    snapshot: SnapshotConfig = field(default_factory=SnapshotConfig)
    spares: SpareConfig = field(default_factory=SpareConfig)
    gateway: GatewayConfig = field(default_factory=GatewayConfig)
