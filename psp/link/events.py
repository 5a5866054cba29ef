"""What links tell their owner."""

import enum
from dataclasses import dataclass
from typing import NamedTuple

from psp.ids import LinkId, NodeId
from psp.units import Monotonic


class CloseReason(enum.StrEnum):
    """Why a link ended."""

    REQUESTED = "requested"
    """Our owner closed it."""
    REMOTE = "remote"
    """The peer said that it closed it."""
    UNREACHABLE = "unreachable"
    """We started it and nobody answers any more."""
    SILENT = "silent"
    """The peer started it and has not been heard for too long."""
    PROTOCOL = "protocol"
    """The peer, authenticated, broke the protocol."""
    RESTARTED = "restarted"
    """The peer has forgotten it; a new link to the same peer follows."""
    REPLACED = "replaced"
    """The peer, which started it, has started another."""


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """A link may carry cells.

    Attributes:
        link: Its name in this process.
        peer: The relay at the other end; None for a client.
        is_initiator: Whether we started it.
    """

    link: LinkId
    peer: NodeId | None
    is_initiator: bool


@dataclass(frozen=True, slots=True)
class LinkClosed:
    """A link is gone, and with it its circuits.

    Attributes:
        link: Its name in this process; not used again.
        peer: The relay at the other end; None for a client.
        reason: Why.
    """

    link: LinkId
    peer: NodeId | None
    reason: CloseReason


LinkEvent = LinkOpened | LinkClosed


class CellBatch(NamedTuple):
    """Cells of one link, in the order they came.

    Attributes:
        link: Where they came from.
        cells: 1,200 bytes each; never cells that only concern the link.
    """

    link: LinkId
    cells: list[bytes]


class PeerKind(enum.StrEnum):
    """Who is at the other end of a link, as far as metrics may tell."""

    CLIENT = "client"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """A link as status pages show it: no address, and no peer for clients.

    Attributes:
        link: Its name in this process.
        kind: Who is at the other end.
        peer: The relay at the other end; None for a client.
        is_initiator: Whether we started it.
        is_up: Whether it has keys.
        is_silent: Whether we sent and heard nothing for too long.
        opened_at: When it came up first; None before.
        rtt: Smoothed round trip in seconds; None before the first measurement.
        sent_cells: Cells sealed, those of the link itself included.
        received_cells: Cells opened, those of the link itself included.
        repaired_cells: Cells received only because we asked again.
    """

    link: LinkId
    kind: PeerKind
    peer: NodeId | None
    is_initiator: bool
    is_up: bool
    is_silent: bool
    opened_at: Monotonic | None
    rtt: float | None
    sent_cells: int
    received_cells: int
    repaired_cells: int
