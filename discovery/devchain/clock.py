"""The chain's clock: the wall clock, moved.

A block's time stamp is the clock's, or one second after its parent if that is later: a
burst of instant blocks runs ahead of the clock, which catches up while nothing happens.
A stamp set by hand moves the clock to it.
"""

from collections.abc import Callable

from discovery.devchain.errors import refuse_params

MAX_TIME = 2**40
"""Some 35,000 years: keeps `offset` sane."""


class ChainClock:
    """Seconds since 1970 as the chain sees them.

    Attributes:
        offset: What is added to the wall clock.
        next_timestamp: Of the next block, set by hand; None else.
    """

    def __init__(self, now: Callable[[], float], offset: int = 0) -> None:
        """Start; `now` is the wall clock."""
        self._now = now
        self.offset = offset
        self.next_timestamp: int | None = None

    def stamp(self, parent: int) -> int:
        """Return the time stamp a block after one of time `parent` has now."""
        if self.next_timestamp is not None:
            return max(self.next_timestamp, parent + 1)
        return max(int(self._now()) + self.offset, parent + 1)

    def advance(self, seconds: int, head: int) -> int:
        """Move forward, counted from the clock or the head, whichever is later.

        Returns:
            The offset.
        """
        now = int(self._now())
        target = max(now + self.offset, head) + seconds
        if seconds < 0 or target > MAX_TIME:
            refuse_params(f"cannot move the clock by {seconds} s")
        self.offset = target - now
        return self.offset

    def set_next(self, timestamp: int, head: int) -> None:
        """Set the next block's time stamp by hand.

        Raises:
            RpcError: If it is not later than the head's.
        """
        if not head < timestamp <= MAX_TIME:
            refuse_params(f"time stamp {timestamp} is not after the head's {head}")
        self.next_timestamp = timestamp

    def block_made(self, timestamp: int) -> None:
        """Take note of a block: a stamp set by hand moves the clock there."""
        if self.next_timestamp is not None:
            self.offset = timestamp - int(self._now())
            self.next_timestamp = None
