"""Turns: over one circuit goes one introduction or notice, and one more with work.

::

    (none) --take--> TAKEN --work demanded--> AGAIN --take--> SPENT

Whoever wants another turn builds another circuit, which costs it something. The table
holds at most ``size`` circuits; when full, newcomers get no turn until others close.
"""

import enum


class _Turn(enum.Enum):
    TAKEN = enum.auto()
    AGAIN = enum.auto()
    SPENT = enum.auto()


class Turns:
    """Which circuits have had their turn."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._turns: dict[int, _Turn] = {}

    def __len__(self) -> int:
        return len(self._turns)

    def is_spent(self, circuit: int) -> bool:
        """Tell whether a circuit has had every turn it may have."""
        return self._turns.get(circuit, _Turn.AGAIN) is not _Turn.AGAIN

    def is_full(self, circuit: int) -> bool:
        """Tell whether there is no room to note a turn of this circuit."""
        return circuit not in self._turns and len(self._turns) >= self._size

    def take(self, circuit: int) -> None:
        """Note a turn; the caller has asked `is_spent` and `is_full`."""
        again = self._turns.get(circuit) is _Turn.AGAIN
        self._turns[circuit] = _Turn.SPENT if again else _Turn.TAKEN

    def work_demanded(self, circuit: int) -> None:
        """Let a circuit come once more, with a proof of work."""
        if self._turns.get(circuit) is _Turn.TAKEN:
            self._turns[circuit] = _Turn.AGAIN

    def forget(self, circuit: int) -> None:
        """Note that a circuit has closed; any key is fine."""
        self._turns.pop(circuit, None)
