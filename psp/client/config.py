"""Settings of a client."""

from dataclasses import dataclass, field
from pathlib import Path

from psp.client.announcer import AnnouncerConfig
from psp.runtime.membership import MembershipConfig


@dataclass(frozen=True, slots=True)
class PathConfig:
    """Rules for choosing relays.

    Attributes:
        subnet_rule: No two relays of a path in the same IPv4 /16 or IPv6 /32. Only a
            network on one machine needs it off.
    """

    subnet_rule: bool = True


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Everything a client is told.

    Attributes:
        membership: Which network, and who says who its members are.
        state_dir: A private directory for keys, guards and caches.
        bind: The address to send from; 0.0.0.0 or ::.
        port: The UDP port to send from; 0 for any.
        path: Rules for choosing relays.
        presence: How a presence is kept up.
    """

    membership: MembershipConfig
    state_dir: Path
    bind: str = "0.0.0.0"  # noqa: S104 - packets from strangers are dropped unanswered
    port: int = 0
    path: PathConfig = field(default_factory=PathConfig)
    presence: AnnouncerConfig = field(default_factory=AnnouncerConfig)
