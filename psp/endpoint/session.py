"""A session: an encrypted, unreliable datagram pipe between two clients.

It also carries a small reliable message channel, and runs over several legs at once
(`psp.endpoint.legs`). It takes and gives session blocks (SPEC.md section 7); which
circuit a leg is, its owner knows. How fast and in which order it sends is
`psp.endpoint.sending`'s.

Until the first block comes, silence counts for nothing but giving up: the caller has
its keys before the callee, whose last handshake message may take several tries.

Bounds: what waits to be sent is bounded in `psp.endpoint.pacing`.
"""

from collections import deque
from collections.abc import Sequence

from psp.crypto.layer import OpeningLayer, SealingLayer, body_cutter
from psp.crypto.session import SessionKeys
from psp.endpoint.audio import AudioReceiver
from psp.endpoint.channel import MessageChannel
from psp.endpoint.legs import Legs
from psp.endpoint.reporter import Reporter
from psp.endpoint.sending import Sending
from psp.endpoint.session_events import (
    DatagramsReceived,
    LegBlocks,
    LegLost,
    LegMessageReceived,
    MessageReceived,
    RoomMade,
    SendingView,
    SessionClosed,
    SessionConfig,
    SessionEvent,
    SessionSilent,
    SessionStats,
)
from psp.errors import DecodeError, RemoteProtocolError
from psp.units import Monotonic
from psp.wire.cell import Reason
from psp.wire.feedback import Feedback
from psp.wire.onion import BLOCK_SIZE, Kind
from psp.wire.session_block import (
    HEADER_SIZE,
    PIPE_MTU,
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

__all__ = [
    "DatagramsReceived",
    "LegBlocks",
    "LegLost",
    "LegMessageReceived",
    "MessageReceived",
    "RoomMade",
    "SendingView",
    "Session",
    "SessionClosed",
    "SessionConfig",
    "SessionEvent",
    "SessionSilent",
    "SessionStats",
]

_CLOSE_REPEATS = 3
_APP = b"\0"
_LEGS = b"\1"
_DATAGRAM = int(BlockType.DATAGRAM)
_FEW = 3
"""Blocks that are not worth the preparations of opening them at once."""

_cut = body_cutter(BLOCK_SIZE)
_OF_APP = frozenset({BlockType.AUDIO, BlockType.MESSAGE})


class Session:
    """One end of a session whose keys are agreed."""

    def __init__(
        self, keys: SessionKeys, now: Monotonic, config: SessionConfig | None = None
    ) -> None:
        self.config = config or SessionConfig()
        self.stats = SessionStats()
        self.is_closed = False
        self.legs = Legs(self.config.legs)
        self._sealing = SealingLayer(keys.sending)
        self._opening = OpeningLayer(keys.receiving)
        self._sending = Sending(self._sealing, self.legs, self.config, self.stats, now)
        self._reporter = Reporter(now)
        self._audio = AudioReceiver()
        self._channel = MessageChannel()
        self._direct: list[tuple[int, bytes]] = []
        self._events: deque[SessionEvent] = deque()
        self._heard_at = now
        self._has_heard = False
        self._is_silent = False
        self._wants_room = False

    def add_leg(self, leg: int, now: Monotonic) -> None:
        """Use a leg whose two circuits have been joined."""
        self.legs.add(leg, now)

    def remove_leg(self, leg: int) -> None:
        """Stop using a leg whose circuit is gone."""
        self.legs.remove(leg)

    def send_datagram(self, datagram: bytes, kind: Kind = Kind.PASS) -> None:
        """Send one datagram of 1 … 1,080 bytes; it may be lost.

        It waits until the path's rate lets it go, at most 0.25 s, unless it is audio.
        See `room`.

        Raises:
            LocalProtocolError: If it is longer than 1,080 bytes.
        """
        self.stats.datagrams_sent += 1
        self._sending.add_datagram(datagram, kind)

    @property
    def room(self) -> int:
        """How many datagrams may be given now without any having to be dropped."""
        return self._sending.room

    @property
    def bitrate(self) -> int:
        """Bits a second, in datagrams of full length, that the path bears at present.

        A short datagram costs as much as a long one.
        """
        return self._sending.bitrate

    @property
    def sending(self) -> SendingView:
        """How sending goes now."""
        return self._sending.view()

    def want_room(self) -> None:
        """Ask for one `RoomMade`, when half the room is free."""
        self._wants_room = True

    def note_marks(self, cells: int, marked: int) -> None:
        """Cells came over our circuits, ``marked`` of them by a relay that is behind.

        Both ends hear of it: such a relay may be in the way of either direction.
        """
        self._sending.control.note_marks(cells, marked)
        self._reporter.note_marks(marked)

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
        good = of_app = 0
        for plain in self._open(blocks):
            if plain is None or self.is_closed:
                continue
            good += 1
            if plain[0] == _DATAGRAM:
                length = plain[1] << 8 | plain[2]
                if length <= PIPE_MTU:
                    datagrams.append(plain[HEADER_SIZE : HEADER_SIZE + length])
                    continue
            of_app += self._receive_other(leg, plain, datagrams, now)
        if good:
            self._note_heard(leg, good, len(datagrams) + of_app, now)
        if datagrams:
            self.stats.datagrams_received += len(datagrams)
            self._events.append(DatagramsReceived(datagrams))

    def _open(self, blocks: Sequence[bytes]) -> Sequence[bytes | None]:
        opening = self._opening
        if len(blocks) > _FEW and all(len(block) == BLOCK_SIZE for block in blocks):
            run = opening.open_run(*zip(*map(_cut, blocks), strict=True))
            if run is not None:
                return run
        return [opening.open(block) for block in blocks]

    def blocks_to_send(self, now: Monotonic) -> list[LegBlocks]:
        """Seal and return everything that must go out now, per leg."""
        if not self.is_closed:
            self._queue_control(now)
        seal = self._sealing.seal
        batches = [
            LegBlocks(leg, [seal(plain)], Kind.PASS) for leg, plain in self._direct
        ]
        self._direct.clear()
        if not self.is_closed:
            batches += self._sending.blocks_to_send(now)
            self._make_room()
        return batches

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
            candidates.append(self._sending.next_timeout())
            candidates.append(self._reporter.next_timeout())
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

    def _note_heard(self, leg: int, good: int, of_app: int, now: Monotonic) -> None:
        self._heard_at = now
        self._has_heard = True
        self.legs.heard(leg, now)
        self._reporter.note_blocks(good, of_app, self._opening.highest, now)

    def _make_room(self) -> None:
        sending = self._sending
        if self._wants_room and 2 * sending.room >= sending.capacity:
            self._wants_room = False
            self._events.append(RoomMade())

    def _queue_control(self, now: Monotonic) -> None:
        for probe in self.legs.probes_to_send(now):
            plain = pack_plain(BlockType.PROBE, probe.encode())
            self._direct.append((probe.leg, plain))
        if not len(self.legs):
            return
        self._channel.round_trip = self.legs.round_trip()
        if (ack := self._channel.ack_to_send()) is not None:
            self._sending.add_control(pack_plain(BlockType.ACK, ack.encode()))
        for piece in self._channel.pieces_to_send(now):
            self._sending.add_control(pack_plain(BlockType.MESSAGE, piece.encode()))
        if (feedback := self._reporter.feedback_to_send(now)) is not None:
            plain = pack_plain(BlockType.FEEDBACK, feedback.encode())
            self._direct += [(leg, plain) for leg in self.legs.to_use(now)]

    def _receive_other(
        self, leg: int, plain: bytes, datagrams: list[bytes], now: Monotonic
    ) -> bool:
        """Take in a block that is no datagram; tell whether it is of the app's."""
        try:
            kind, content = unpack_plain(plain)
            if kind is BlockType.AUDIO:
                datagrams += self._audio.receive(content)
                self.stats.audio_recovered = self._audio.recovered
            else:
                self._receive_control(leg, kind, content, now)
        except DecodeError:
            self.stats.malformed += 1
            return False
        except RemoteProtocolError:
            self._end(Reason.PROTOCOL)
            return False
        return kind in _OF_APP

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
            case BlockType.FEEDBACK:
                self._sending.receive_feedback(Feedback.decode(content), now)
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
