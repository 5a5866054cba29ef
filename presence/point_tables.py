"""What a presence point remembers of circuits, tags and registrations."""

import enum
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from presence.limits import SlidingWindow
from psp.ids import UserId

Line = tuple[UserId, bytes, int]
"""Within what the sequence must rise: a user's record of one blinded key and slot."""


KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class UserTable(Generic[KeyT, ValueT]):
    """A table that knows how much of it belongs to each user.

    Attributes:
        rows: To be read only.
    """

    def __init__(self, user_of: Callable[[KeyT, ValueT], UserId]) -> None:
        """Start empty; ``user_of`` tells whose a row is."""
        self.rows: dict[KeyT, ValueT] = {}
        self._user_of = user_of
        self._counts: Counter[UserId] = Counter()

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, user: UserId) -> int:
        """Return how many rows are a user's."""
        return self._counts[user]

    def put(self, key: KeyT, value: ValueT) -> None:
        """Add a row, or replace it."""
        self.pop(key)
        self.rows[key] = value
        self._counts[self._user_of(key, value)] += 1

    def pop(self, key: KeyT) -> ValueT | None:
        """Take a row out, if there is one."""
        value = self.rows.pop(key, None)
        if value is not None:
            user = self._user_of(key, value)
            self._counts[user] -= 1
            if not self._counts[user]:
                del self._counts[user]
        return value


class TagState(enum.Enum):
    """Where the user of a tag is."""

    NONE = "none"
    HERE = "here"
    AWAY = "away"


@dataclass(slots=True)
class CircuitEntry:
    """What one user's circuit has here.

    Attributes:
        registrations: Their rate.
        publications: Their rate.
        agreed: The head agreed to last of each kind and day, the oldest first.
        tags: Served over it, the oldest first.
    """

    registrations: SlidingWindow
    publications: SlidingWindow
    agreed: dict[Line, bytes] = field(default_factory=dict)
    tags: dict[bytes, None] = field(default_factory=dict)


@dataclass(slots=True)
class TagEntry:
    """Where introductions for one tag go.

    Attributes:
        identity: Who registered it; only they may move it.
        circuit: Key of the circuit that serves it.
        expires: Unix seconds.
        sequence: The newest agreed to.
        introductions: Their rate.
    """

    identity: UserId
    circuit: int
    expires: int
    sequence: int
    introductions: SlidingWindow


@dataclass(slots=True)
class LastRegistration:
    """The newest registration of one user for one slot under one blinded key.

    Attributes:
        sequence: Only a higher one is agreed to.
        digest: Of the registration, so that its repetition is answered again.
        until: Unix seconds; afterwards the replayed text would be refused by its time.
    """

    sequence: int
    digest: bytes
    until: int
