"""A small reliable message channel inside a session, for signalling.

Messages are cut into pieces (SPEC.md section 7); pieces are numbered, acknowledged
selectively and sent again when no acknowledgement comes. Order is kept.

Bounds: at most `WINDOW` pieces are under way and `MAX_QUEUED` wait behind them (then
`send` raises); a message is at most 65,536 bytes (a longer one closes the session).
"""

from collections import deque
from dataclasses import dataclass

from psp.errors import LocalProtocolError, RemoteProtocolError
from psp.units import Monotonic, Seconds
from psp.wire.session_block import MAX_PIECE, Ack, Piece

WINDOW = 64
MAX_QUEUED = 1024
MAX_MESSAGE_BYTES = 65536
MIN_RETRY = Seconds(0.25)
MAX_RETRY = Seconds(2.0)
_MODULUS = 1 << 32


@dataclass(slots=True)
class _Outstanding:
    piece: Piece
    due: Monotonic
    interval: float


class MessageChannel:
    """Both directions of the channel at one end."""

    def __init__(self) -> None:
        self.round_trip = Seconds(0.0)
        self._next_sequence = 0
        self._waiting: deque[Piece] = deque()
        self._under_way: dict[int, _Outstanding] = {}
        self._expected = 0
        self._early: dict[int, Piece] = {}
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._ack_due = False

    @property
    def is_idle(self) -> bool:
        """Whether the peer has acknowledged everything that was sent."""
        return not (self._waiting or self._under_way)

    def send(self, message: bytes) -> None:
        """Queue one message.

        Raises:
            LocalProtocolError: If it is longer than 65,536 bytes or too much waits.
        """
        if len(message) > MAX_MESSAGE_BYTES:
            raise LocalProtocolError(f"message of {len(message)} bytes")
        pieces = [
            message[at : at + MAX_PIECE] for at in range(0, len(message), MAX_PIECE)
        ] or [b""]
        if len(self._waiting) + len(pieces) > MAX_QUEUED:
            raise LocalProtocolError(f"{len(self._waiting)} pieces already wait")
        for number, data in enumerate(pieces, 1):
            is_last = number == len(pieces)
            self._waiting.append(Piece(self._next_sequence, is_last, data))
            self._next_sequence = (self._next_sequence + 1) % _MODULUS

    def receive_piece(self, piece: Piece) -> list[bytes]:
        """Take in a piece; return the messages it completes, in order.

        Raises:
            RemoteProtocolError: If the message grows longer than 65,536 bytes.
        """
        self._ack_due = True
        ahead = (piece.sequence - self._expected) % _MODULUS
        if ahead > WINDOW:
            return []  # seen before, or further ahead than a peer may go
        self._early[piece.sequence] = piece
        messages: list[bytes] = []
        while (ready := self._early.pop(self._expected, None)) is not None:
            self._expected = (self._expected + 1) % _MODULUS
            self._partial.append(ready.data)
            self._partial_bytes += len(ready.data)
            if self._partial_bytes > MAX_MESSAGE_BYTES:
                raise RemoteProtocolError(f"message of {self._partial_bytes} bytes")
            if ready.is_last:
                messages.append(b"".join(self._partial))
                self._partial.clear()
                self._partial_bytes = 0
        return messages

    def receive_ack(self, ack: Ack) -> None:
        """Forget what the peer has."""
        for sequence in list(self._under_way):
            behind = (ack.expected - sequence) % _MODULUS
            ahead = (sequence - ack.expected - 1) % _MODULUS
            if 0 < behind <= 2 * WINDOW or (ahead < 64 and ack.bitmap >> ahead & 1):
                del self._under_way[sequence]

    def ack_to_send(self) -> Ack | None:
        """Return an acknowledgement when one is owed."""
        if not self._ack_due:
            return None
        self._ack_due = False
        bitmap = 0
        for sequence in self._early:
            bitmap |= 1 << ((sequence - self._expected - 1) % _MODULUS)
        return Ack(self._expected, bitmap & ((1 << 64) - 1))

    def pieces_to_send(self, now: Monotonic) -> list[Piece]:
        """Return new pieces that fit the window and old ones whose time has come."""
        pieces: list[Piece] = []
        for outstanding in self._under_way.values():
            if outstanding.due <= now:
                outstanding.interval = min(outstanding.interval * 1.5, MAX_RETRY)
                outstanding.due = Monotonic(now + outstanding.interval)
                pieces.append(outstanding.piece)
        interval = max(MIN_RETRY, 2 * self.round_trip)
        while self._waiting and self._fits(self._waiting[0]):
            piece = self._waiting.popleft()
            due = Monotonic(now + interval)
            self._under_way[piece.sequence] = _Outstanding(piece, due, interval)
            pieces.append(piece)
        return pieces

    def next_timeout(self) -> Monotonic | None:
        """Return when a piece must be sent again."""
        return min((entry.due for entry in self._under_way.values()), default=None)

    def _fits(self, piece: Piece) -> bool:
        oldest = next(iter(self._under_way), piece.sequence)
        return (piece.sequence - oldest) % _MODULUS < WINDOW
