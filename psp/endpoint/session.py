"""A session: an encrypted, unreliable datagram pipe between two clients.

It also carries a small reliable message channel, and runs over several legs at once
(`psp.endpoint.legs`). It takes and gives session blocks (SPEC.md section 7); which
circuit a leg is, its owner knows.

Until the first block comes, silence counts for nothing but giving up: the caller has
its keys before the callee, whose last handshake message may take several tries.

Bounds: at most `MAX_OUTGOING` plain blocks wait for the next flush, the oldest are
dropped and counted first.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from psp.crypto.layer import OpeningLayer, SealingLayer
from psp.crypto.session import SessionKeys
from psp.endpoint.channel import MessageChannel
from psp.endpoint.legs import LegConfig, Legs
from psp.errors import DecodeError, RemoteProtocolError
from psp.units import Monotonic, Seconds
from psp.wire.cell import Reason
from psp.wire.onion import Kind
from psp.wire.session_block import (
    Ack,
    BlockType,
    LegMessage,
    Piece,
    Probe,
    pack_echo,
    pack_plain,
    unpack_echo,
    unpack_plain,
)

MAX_OUTGOING = 1024
_CLOSE_REPEATS = 3
_APP = b"\0"
_LEGS = b"\1"


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
class SessionClosed:
    """The session is over; nothing follows."""

    reason: Reason


SessionEvent = (
    DatagramsReceived
    | MessageReceived
    | LegMessageReceived
    | LegLost
    | SessionSilent
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
        dropped_outgoing: Dropped because nothing flushed the session.
        malformed: Good seal, bad content.
        leg_changes: How often another leg took over.
    """

    datagrams_sent: int = 0
    datagrams_received: int = 0
    dropped_outgoing: int = 0
    malformed: int = 0
    leg_changes: int = 0


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Timing of a session.

    Attributes:
        legs: When a leg counts as silent or lost.
        silent_after: Nothing over any leg for this long, and the reserves are wanted;
            above three probes.
        give_up_after: Without any leg, or with silent ones only, for this long the
            session is over.
    """

    legs: LegConfig = field(default_factory=LegConfig)
    silent_after: Seconds = Seconds(0.5)
    give_up_after: Seconds = Seconds(20.0)


class Session:
    """One end of a session whose keys are agreed."""

    def __init__(
        self, keys: SessionKeys, now: Monotonic, config: SessionConfig | None = None
    ) -> None:
        self.config = config or SessionConfig()
        self.stats = SessionStats()
        self.is_closed = False
        self._sealing = SealingLayer(keys.sending)
        self._opening = OpeningLayer(keys.receiving)
        self._channel = MessageChannel()
        self.legs = Legs(self.config.legs)
        self._outgoing: deque[tuple[Kind, bytes]] = deque()
        self._direct: list[tuple[int, bytes]] = []
        self._events: deque[SessionEvent] = deque()
        self._heard_at = now
        self._has_heard = False
        self._is_silent = False
        self._used: list[int] = []

    def add_leg(self, leg: int, now: Monotonic) -> None:
        """Use a leg whose two circuits have been joined."""
        self.legs.add(leg, now)

    def remove_leg(self, leg: int) -> None:
        """Stop using a leg whose circuit is gone."""
        self.legs.remove(leg)

    def send_datagram(self, datagram: bytes, kind: Kind = Kind.PASS) -> None:
        """Send one datagram of 1 … 1,080 bytes; it may be lost.

        Raises:
            LocalProtocolError: If it is longer than 1,080 bytes.
        """
        self.stats.datagrams_sent += 1
        self._queue(kind, pack_plain(BlockType.DATAGRAM, datagram))

    def send_message(self, message: bytes) -> None:
        """Send one reliable message of at most 65,535 bytes."""
        self._channel.send(_APP + message)

    def send_leg_message(self, message: LegMessage) -> None:
        """Tell the peer about a leg, reliably."""
        self._channel.send(_LEGS + message.encode())

    def close(self) -> None:
        """End the session; the peer is told, without waiting for its answer."""
        if not self.is_closed:
            plain = pack_plain(BlockType.CLOSE, bytes([Reason.REQUESTED]))
            self._direct += [
                (leg, plain) for leg in self.legs for _ in range(_CLOSE_REPEATS)
            ]
            self._end(Reason.REQUESTED)

    def receive_blocks(self, leg: int, blocks: list[bytes], now: Monotonic) -> None:
        """Take in blocks that came over ``leg``; bad ones are counted and dropped."""
        datagrams: list[bytes] = []
        opened = self._opening.open
        for block in blocks:
            plain = opened(block)
            if plain is None or self.is_closed:
                continue
            self._heard_at = now
            self._has_heard = True
            self.legs.heard(leg, now)
            try:
                kind, content = unpack_plain(plain)
                if kind is BlockType.DATAGRAM:
                    datagrams.append(content)
                else:
                    self._receive_control(leg, kind, content, now)
            except DecodeError:
                self.stats.malformed += 1
            except RemoteProtocolError:
                self._end(Reason.PROTOCOL)
        if datagrams:
            self.stats.datagrams_received += len(datagrams)
            self._events.append(DatagramsReceived(datagrams))

    def blocks_to_send(self, now: Monotonic) -> list[LegBlocks]:
        """Seal and return everything that must go out now, per leg."""
        if not self.is_closed:
            self._queue_control(now)
        direct = [
            LegBlocks(leg, [self._sealing.seal(plain)], Kind.PASS)
            for leg, plain in self._direct
        ]
        self._direct.clear()
        return direct + self._seal_outgoing(now)

    def next_event(self) -> SessionEvent | None:
        """Return the oldest unread event, or None."""
        return self._events.popleft() if self._events else None

    def next_timeout(self) -> Monotonic | None:
        """Return when to call `handle_timeout` and `blocks_to_send`."""
        if self.is_closed:
            return None
        candidates = [self.legs.next_timeout()]
        if len(self.legs):  # pieces cannot be sent again without
            candidates.append(self._channel.next_timeout())
        is_told = self._is_silent or not self._has_heard
        limit = self.config.give_up_after if is_told else self.config.silent_after
        candidates.append(Monotonic(self._heard_at + limit))
        return min(due for due in candidates if due is not None)

    def handle_timeout(self, now: Monotonic) -> None:
        """Look at the silence of each leg and of the session."""
        if self.is_closed:
            return
        if self._has_heard:
            self._judge_silence(now)
        if now >= self._heard_at + self.config.give_up_after:
            self._end(Reason.TIMEOUT)

    def _judge_silence(self, now: Monotonic) -> None:
        for leg in self.legs.lost(now):
            self.legs.remove(leg)
            self._events.append(LegLost(leg))
        silent = now >= self._heard_at + self.config.silent_after
        if silent and not self._is_silent:
            self._events.append(SessionSilent())
        self._is_silent = silent

    def _queue(self, kind: Kind, plain: bytes) -> None:
        if len(self._outgoing) >= MAX_OUTGOING:
            self._outgoing.popleft()
            self.stats.dropped_outgoing += 1
        self._outgoing.append((kind, plain))

    def _queue_control(self, now: Monotonic) -> None:
        for probe in self.legs.probes_to_send(now):
            plain = pack_plain(BlockType.PROBE, probe.encode())
            self._direct.append((probe.leg, plain))
        if not len(self.legs):
            return
        self._channel.round_trip = self.legs.round_trip()
        if (ack := self._channel.ack_to_send()) is not None:
            self._queue(Kind.PASS, pack_plain(BlockType.ACK, ack.encode()))
        for piece in self._channel.pieces_to_send(now):
            self._queue(Kind.PASS, pack_plain(BlockType.MESSAGE, piece.encode()))

    def _seal_outgoing(self, now: Monotonic) -> list[LegBlocks]:
        if not self._outgoing:
            return []
        legs = self.legs.to_use(now)
        if legs != self._used:
            self.stats.leg_changes += bool(self._used)
            self._used = legs
        seal = self._sealing.seal
        batches: list[LegBlocks] = []
        for leg in legs:
            latest: LegBlocks | None = None
            for kind, plain in self._outgoing:
                if latest is None or latest.kind != kind:
                    latest = LegBlocks(leg, [], kind)
                    batches.append(latest)
                latest.blocks.append(seal(plain))
        if legs:
            self._outgoing.clear()
        return batches

    def _receive_control(
        self, leg: int, kind: BlockType, content: bytes, now: Monotonic
    ) -> None:
        match kind:
            case BlockType.MESSAGE:
                for message in self._channel.receive_piece(Piece.decode(content)):
                    self._receive_message(message)
            case BlockType.ACK:
                self._channel.receive_ack(Ack.decode(content))
            case BlockType.PROBE:
                probe = Probe.decode(content)
                self.legs.receive_probe(probe)
                echo = pack_echo(leg, probe.number)
                self._direct.append((leg, pack_plain(BlockType.PROBE_ECHO, echo)))
            case BlockType.PROBE_ECHO:
                echoed, number = unpack_echo(content)
                self.legs.receive_echo(echoed, number, now)
            case BlockType.CLOSE:
                self._end(Reason.from_wire(content[0] if content else 0))
            case _:
                pass  # padding

    def _receive_message(self, message: bytes) -> None:
        if message[:1] == _LEGS:
            decoded = LegMessage.decode(message[1:])
            self._events.append(LegMessageReceived(decoded))
        elif message[:1] == _APP:
            self._events.append(MessageReceived(message[1:]))
        else:
            self.stats.malformed += 1

    def _end(self, reason: Reason) -> None:
        self.is_closed = True
        self._events.append(SessionClosed(reason))
