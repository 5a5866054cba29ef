"""What a session tells its owner, how it is set, and what it counts."""

from dataclasses import dataclass, field
from typing import NamedTuple

from psp.endpoint.legs import LegConfig
from psp.endpoint.rate_control import RateConfig
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.onion import Kind
from psp.wire.session_block import LegMessage


@dataclass(frozen=True, slots=True)
class DatagramsReceived:
    """Datagrams of the pipe, in the order they came."""

    datagrams: list[bytes]


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """One whole message of the app, in order."""

    message: bytes


@dataclass(frozen=True, slots=True)
class LegMessageReceived:
    """The peer speaks about legs."""

    message: LegMessage


@dataclass(frozen=True, slots=True)
class LegLost:
    """Nothing has come over a leg for too long; the session has dropped it."""

    leg: int


@dataclass(frozen=True, slots=True)
class SessionSilent:
    """No leg is well: the reserve is wanted now. Said once per silence."""


@dataclass(frozen=True, slots=True)
class RoomMade:
    """There is room to send again; said once after each `Session.want_room`."""


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """The session is over; nothing follows."""

    reason: Reason


SessionEvent = (
    DatagramsReceived
    | MessageReceived
    | LegMessageReceived
    | LegLost
    | SessionSilent
    | RoomMade
    | SessionClosed
)


class LegBlocks(NamedTuple):
    """Sealed blocks for one leg."""

    leg: int
    blocks: list[bytes]
    kind: Kind


@dataclass(slots=True)
class SessionStats:
    """What a session has carried and lost.

    Attributes:
        datagrams_sent: Datagrams handed to the pipe.
        datagrams_received: Datagrams delivered.
        audio_recovered: Those that a later block brought, as their own was lost.
        dropped_outgoing: Blocks that waited too long to be sent, or with too many.
        malformed: Good seal, bad content.
        leg_changes: How often another leg took over.
    """

    datagrams_sent: int = 0
    datagrams_received: int = 0
    audio_recovered: int = 0
    dropped_outgoing: int = 0
    malformed: int = 0
    leg_changes: int = 0


@dataclass(frozen=True, slots=True)
class SendingView:
    """How sending goes at one moment.

    Attributes:
        bitrate: Bits a second, in datagrams of full length, that the path bears.
        queued: Datagrams that wait for their turn.
        dropped: Datagrams that waited too long, or with too many, since the beginning.
        marked: Share of cells that relays marked as congested, of late, 0 … 1.
        loss: Share of blocks that did not come of late, before audio's repair, 0 … 1.
        queueing: Seconds that the fastest block waited on its way, of late.
        round_trip: Seconds there and back without queues; 0 when not measured yet.
    """

    bitrate: int
    queued: int
    dropped: int
    marked: float
    loss: float
    queueing: Seconds
    round_trip: Seconds


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Timing of a session.

    Attributes:
        legs: When a leg counts as silent or lost.
        silent_after: Nothing over any leg for this long, and the reserves are wanted;
            above three probes.
        give_up_after: Without any leg, or with silent ones only, for this long the
            session is over.
        rate: Where its rate begins and ends.
        duplicate_audio: Whether audio goes over two legs when two are well, for a path
            that loses much: twice its cells, and the other side hears each once.
    """

    legs: LegConfig = field(default_factory=LegConfig)
    silent_after: Seconds = Seconds(0.5)
    give_up_after: Seconds = Seconds(20.0)
    rate: RateConfig = field(default_factory=RateConfig)
    duplicate_audio: bool = False
