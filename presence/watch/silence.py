"""Tells when a user's circuit that used to speak has fallen silent. Pure.

A user's host that is cut off closes nothing: its guard gives it up after 100 s only, so
that who comes back in time finds its circuits. But hosts ping their presence points
every few seconds. What is usual is learnt from the circuit itself, as hosts differ.
"""

from collections.abc import Collection
from dataclasses import dataclass

from psp.units import Monotonic, Seconds
from psp.wire.watch import Change

_TURNS = 3
"""Signs of life before anything is judged: two whole gaps have been measured then."""


@dataclass(slots=True)
class _Ear:
    """What is known of one circuit.

    Attributes:
        circuit: Its key.
        cells: Came over it until we last looked.
        heard_at: When we last saw that there were more.
        longest: The longest gap that is usual between two signs of life.
        turns: Signs of life so far, up to `_TURNS`.
        is_silent: Whether it is called silent now.
    """

    circuit: int
    cells: int
    heard_at: Monotonic
    longest: Seconds = Seconds(0.0)
    turns: int = 0
    is_silent: bool = False


class SilenceJudge:
    """Judges the circuits of tags, as many as it is shown."""

    def __init__(self, least: Seconds, factor: float) -> None:
        """Begin without any.

        Args:
            least: No circuit is called silent sooner.
            factor: Nor before this many times its longest gap.
        """
        self._least = least
        self._factor = factor
        self._ears: dict[bytes, _Ear] = {}

    def __len__(self) -> int:
        return len(self._ears)

    def is_silent(self, tag: bytes) -> bool:
        """Tell whether a tag's circuit is called silent."""
        ear = self._ears.get(tag)
        return ear is not None and ear.is_silent

    def listen(
        self, tag: bytes, circuit: int, cells: int, now: Monotonic
    ) -> Change | None:
        """Take in how many cells came over a tag's circuit; return what is news.

        Args:
            tag: Whose circuit.
            circuit: Its key; another one begins anew.
            cells: Since it was built.
            now: When that was so.
        """
        ear = self._ears.get(tag)
        if ear is None or ear.circuit != circuit:
            self._ears[tag] = _Ear(circuit, cells, now)
            return None
        return self._hear(ear, cells, now)

    def forget_others(self, tags: Collection[bytes]) -> None:
        """Forget all tags but these."""
        for tag in self._ears.keys() - set(tags):
            del self._ears[tag]

    def _hear(self, ear: _Ear, count: int, now: Monotonic) -> Change | None:
        gap = Seconds(now - ear.heard_at)
        if count != ear.cells:
            ear.cells, ear.heard_at = count, now
            if ear.is_silent:
                ear.is_silent = False
                # A host that is often late gets more patience, one that was cut off
                # once little.
                ear.longest = min(gap, Seconds(2 * ear.longest))
                return Change.HEARD
            if ear.turns:
                ear.longest = max(ear.longest, gap)
            ear.turns = min(ear.turns + 1, _TURNS)
            return None
        patience = max(self._least, self._factor * ear.longest)
        if ear.turns < _TURNS or ear.is_silent or gap < patience:
            return None
        ear.is_silent = True
        return Change.SILENT
