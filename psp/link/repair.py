"""Repair on one link: what was lost is asked for again, once (SPEC.md section 2).

The sender keeps sealed packets for a moment (`SentTrains`); the receiver notices holes
in the counters (`Gaps`), waits a little for reordered packets, and asks.
"""

from bisect import bisect_right

from psp.link.config import REORDER_TOLERANCE, REPAIR_AGE, REPAIR_RING
from psp.units import Monotonic

MAX_CREDIT = 64.0
CREDIT_PER_PACKET = 0.2
"""Packets we may ask for per packet received: repair heals losses up to some 15 %, and
adds at most a fifth to a path that is losing packets because it is full."""


class SentTrains:
    """The sealed packets of one key that may still be asked for.

    Holds whole trains: at most `REPAIR_RING` packets and the train that exceeds it.
    """

    __slots__ = ("_firsts", "_taken", "_trains")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._trains: list[tuple[Monotonic, list[bytes]]] = []
        self._taken: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._firsts)

    @property
    def oldest(self) -> Monotonic | None:
        """When the oldest train that is kept was sent."""
        return self._trains[0][0] if self._trains else None

    def append(self, first: int, parts: list[bytes], now: Monotonic) -> None:
        """Keep a train: header and ciphertext by turns, counters from ``first`` on."""
        firsts = self._firsts
        firsts.append(first)
        self._trains.append((now, parts))
        oldest = first + len(parts) // 2 - REPAIR_RING
        if len(firsts) > 1 and firsts[1] <= oldest:
            # Keep what covers the last REPAIR_RING counters.
            self._forget(bisect_right(firsts, oldest) - 1)

    def expire(self, now: Monotonic) -> None:
        """Forget trains as old as `REPAIR_AGE`."""
        count = 0
        for sent_at, _ in self._trains:
            if sent_at + REPAIR_AGE > now:
                break
            count += 1
        if count:
            self._forget(count)

    def take(self, counter: int, now: Monotonic) -> list[bytes] | None:
        """Return header and ciphertext of a packet; None when it is gone or was taken."""
        position = bisect_right(self._firsts, counter) - 1
        if position < 0 or counter in self._taken:
            return None
        sent_at, parts = self._trains[position]
        start = 2 * (counter - self._firsts[position])
        newest = self._firsts[-1] + len(self._trains[-1][1]) // 2 - 1
        if (
            start >= len(parts)
            or sent_at + REPAIR_AGE <= now
            or counter <= newest - REPAIR_RING
        ):
            return None
        self._taken.add(counter)
        return parts[start : start + 2]

    def _forget(self, count: int) -> None:
        del self._firsts[:count]
        del self._trains[:count]
        if self._taken:
            first = self._firsts[0] if self._firsts else None
            self._taken = {
                counter
                for counter in self._taken
                if first is not None and counter >= first
            }


class Gaps:
    """Counters of one key that were overtaken.

    At most `REPAIR_RING` are waiting and as many are asked for; the oldest is forgotten
    for a new one, since the sender no longer has it either.

    Attributes:
        received: Packets that came; whoever opens them adds to it.
        repaired: Packets that came because we asked.
    """

    __slots__ = (
        "_accounted",
        "_asked",
        "_credit",
        "_missing",
        "received",
        "repaired",
    )

    def __init__(self) -> None:
        self._missing: dict[int, Monotonic] = {}
        self._asked: dict[int, None] = {}
        self._credit = MAX_CREDIT
        self._accounted = 0
        self.received = 0
        self.repaired = 0

    def __bool__(self) -> bool:
        return bool(self._missing)

    @property
    def due(self) -> Monotonic | None:
        """When the first counter is to be asked for."""
        return next(iter(self._missing.values()), None)

    def note(self, first: int, end: int, now: Monotonic) -> None:
        """Note that the counters ``first`` … ``end - 1`` were overtaken."""
        missing = self._missing
        due = Monotonic(now + REORDER_TOLERANCE)
        for counter in range(max(first, end - REPAIR_RING), end):
            missing[counter] = due
        while len(missing) > REPAIR_RING:
            del missing[next(iter(missing))]

    def fill(self, counter: int) -> bool:
        """Note that ``counter`` has come; tell whether only because we asked."""
        if self._missing.pop(counter, None) is not None:
            return False
        if counter in self._asked:
            del self._asked[counter]
            self.repaired += 1
            return True
        return False

    def pop_due(self, now: Monotonic) -> list[int]:
        """Remove and return the counters to ask for now."""
        due: list[int] = []
        for counter, deadline in self._missing.items():
            if deadline > now:
                break
            due.append(counter)
        for counter in due:
            del self._missing[counter]
        earned = (self.received - self._accounted) * CREDIT_PER_PACKET
        self._credit = min(MAX_CREDIT, self._credit + earned)
        self._accounted = self.received
        asked = due[-int(self._credit) :] if self._credit >= 1 else []
        self._credit -= len(asked)
        for counter in asked:
            self._asked[counter] = None
        while len(self._asked) > REPAIR_RING:
            del self._asked[next(iter(self._asked))]
        return asked
