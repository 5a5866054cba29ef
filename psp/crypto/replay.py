"""The replay window: each counter is taken once, and too-old ones never.

The rule of RFC 6479 and WireGuard, kept in two parts so that traffic in order costs
one addition::

    too old | older: one bit each in an integer | the unbroken run, all seen | not seen
            ^                                   ^                    ^
            highest - size + 1                  run start            highest

Ask `ReplayWindow.is_fresh` before the AEAD (a forgery must be cheap) and call
`ReplayWindow.accept` after a good tag only (a forgery must not move the window).
"""

import functools


@functools.cache
def _all_ones(size: int) -> int:
    # One integer for all windows of a size: the protocol has two sizes, a relay 20,000
    # windows.
    return (1 << size) - 1


class ReplayWindow:
    """The newest ``size`` counters of one key.

    Attributes:
        highest: The greatest counter accepted, ``start - 1`` before the first. Adding
            one to it is all that accepting ``highest + 1`` does; a loop that cannot
            afford a call may do so itself.
    """

    __slots__ = ("_mask", "_older", "_run_start", "_size", "highest")

    def __init__(self, size: int, start: int = 0) -> None:
        """Start empty.

        Args:
            size: How far back a counter may be, 1 or more.
            start: The first counter; those before it are never fresh.
        """
        self.highest = start - 1
        self._size = size
        self._run_start = start
        self._mask = _all_ones(size)
        # Bit i stands for counter run_start - 1 - i. What is before the first counter
        # passes as seen.
        self._older = self._mask

    def is_fresh(self, counter: int) -> bool:
        """Tell whether ``counter`` was neither accepted before nor is too old."""
        if counter > self.highest:
            return True
        if counter >= self._run_start or counter <= self.highest - self._size:
            return False
        return not (self._older >> (self._run_start - 1 - counter)) & 1

    def accept(self, counter: int) -> None:
        """Mark ``counter`` as seen; it must be fresh and its packet authentic."""
        ahead = counter - self.highest
        if ahead == 1:
            self.highest = counter
        elif ahead > 0:
            self._open_new_run(counter, ahead)
        else:
            self._older |= 1 << (self._run_start - 1 - counter)

    def _open_new_run(self, counter: int, ahead: int) -> None:
        # Shifting further than the window is wide would only build a huge integer to
        # throw away: a counter may be 2**63 ahead.
        size = self._size
        missed = ahead - 1
        if missed >= size:
            self._older = 0
        else:
            run = min(self.highest + 1 - self._run_start, size)
            older = (self._older << run) | ((1 << run) - 1)
            self._older = (older << missed) & self._mask
        self._run_start = self.highest = counter
