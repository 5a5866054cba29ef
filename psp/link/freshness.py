"""Which first handshake messages were seen before (R-LNK-3).

Relays put a strictly rising time into theirs; clients send no time, so their
ephemeral keys are remembered.
"""

from collections.abc import Callable

from psp.errors import DecodeError
from psp.wire.buffer import Reader

STATIC_SIZE = 32
TIME_SIZE = 12
NANOSECONDS = 1_000_000_000

NO_TIME = bytes(TIME_SIZE)
"""What clients send: a clock tells clients apart (R-TIM-1)."""


class HandshakeClock:
    """Our own times: `unix seconds 8 | nanoseconds 4`, each later than the last."""

    __slots__ = ("_last", "_unix_time")

    def __init__(self, unix_time: Callable[[], float]) -> None:
        self._unix_time = unix_time
        self._last = 0

    def next(self) -> bytes:
        """Return 12 bytes that compare greater than all before."""
        nanoseconds = int(max(0.0, self._unix_time()) * NANOSECONDS)
        self._last = max(self._last + 1, nanoseconds)
        seconds, rest = divmod(self._last, NANOSECONDS)
        return seconds.to_bytes(8) + rest.to_bytes(4)


class Timestamps:
    """The latest handshake time of each relay, by its X25519 key.

    Bounded: the relay that was heard longest ago is forgotten for a new one. Only
    registered nodes get in, so a bound above their number is never met.
    """

    __slots__ = ("_latest", "_max_entries")

    def __init__(self, max_entries: int) -> None:
        self._latest: dict[bytes, bytes] = {}
        self._max_entries = max_entries

    def __len__(self) -> int:
        return len(self._latest)

    def accept(self, static: bytes, time: bytes) -> bool:
        """Take note of ``time``, if it is later than the last one of ``static``."""
        if time <= self._latest.get(static, NO_TIME):
            return False
        self._latest.pop(static, None)
        self._latest[static] = time
        if len(self._latest) > self._max_entries:
            del self._latest[next(iter(self._latest))]
        return True

    def encode(self) -> bytes:
        """Return `static 32 | time 12` for each, to be kept over restarts."""
        return b"".join(static + time for static, time in self._latest.items())

    def load(self, data: bytes) -> None:
        """Add what `encode` gave, keeping the later time where both have one.

        Raises:
            DecodeError: If ``data`` is cut off.
        """
        if len(data) % (STATIC_SIZE + TIME_SIZE):
            raise DecodeError(f"{len(data)} bytes of handshake times")
        reader = Reader(data)
        while reader.remaining:
            self.accept(reader.take(STATIC_SIZE), reader.take(TIME_SIZE))


class Seen:
    """Values seen lately: at least the last `half`, at most twice as many.

    Two generations: when the newer is full, the older is forgotten at once.
    """

    __slots__ = ("_half", "_newer", "_older")

    def __init__(self, max_entries: int) -> None:
        self._half = max(1, max_entries // 2)
        self._newer: set[bytes] = set()
        self._older: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def __contains__(self, value: bytes) -> bool:
        return value in self._newer or value in self._older

    def add(self, value: bytes) -> None:
        """Remember a value."""
        if len(self._newer) >= self._half:
            self._older = self._newer
            self._newer = set()
        self._newer.add(value)
