"""What event streams send: the newest event of each subject, in the order of change.

There is no queue for each reader. A reader remembers the number of the last event that
it has sent, and asks for what came behind it; of a subject that changed three times
meanwhile it gets the last state only. So a slow reader costs nothing and is never told
something that is no longer true. Pure.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

MAX_SUBJECTS = 2_048
"""Subjects remembered; beyond it the one that has not changed for longest goes."""
MAX_ENDED = 64
"""Of these, subjects that are over and are kept only for readers to learn that."""

_ID = re.compile(r"([0-9a-f]{1,32})-([0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Event:
    """The newest thing that happened to a subject.

    Attributes:
        number: Counts all events of a run.
        group: What the subject belongs to, such as a watch.
        kind: Name of the event.
        data: Its body, JSON on one line.
    """

    number: int
    group: str
    kind: str
    data: bytes


class EventLog:
    """Remembers events for readers that come and go."""

    def __init__(self, run: str, max_subjects: int = MAX_SUBJECTS) -> None:
        """Begin without events.

        Args:
            run: Hex digits that no other run has: ids of another run are not believed.
            max_subjects: See `MAX_SUBJECTS`.
        """
        self._run = run
        self._max_subjects = max_subjects
        self._number = 0
        self._events: dict[tuple[str, str], Event] = {}
        self._ended: list[tuple[str, str]] = []

    def __len__(self) -> int:
        return len(self._events)

    def put(
        self, group: str, subject: str, kind: str, data: bytes, *, is_last: bool = False
    ) -> None:
        """Note what happened to a subject; forget what happened to it before.

        Args:
            group: What the subject belongs to.
            subject: Unique within its group.
            kind: Name of the event.
            data: JSON on one line.
            is_last: The subject is over.
        """
        key = (group, subject)
        self._number += 1
        # Popped first: the dictionary's order is that of the numbers.
        self._events.pop(key, None)
        self._events[key] = Event(self._number, group, kind, data)
        if is_last:
            self._ended.append(key)
            while len(self._ended) > MAX_ENDED:
                self._events.pop(self._ended.pop(0), None)
        while len(self._events) > self._max_subjects:
            del self._events[next(iter(self._events))]

    def drop(self, group: str) -> None:
        """Forget all subjects of a group."""
        for key in [key for key in self._events if key[0] == group]:
            del self._events[key]

    def after(
        self, number: int, is_wanted: Callable[[Event], bool] = lambda _: True
    ) -> list[Event]:
        """Return what came behind an event, the oldest first."""
        newer: list[Event] = []
        for event in reversed(self._events.values()):
            if event.number <= number:
                break
            if is_wanted(event):
                newer.append(event)
        return newer[::-1]

    def id_of(self, event: Event) -> str:
        """Return what a reader is told as the event's id."""
        return f"{self._run}-{event.number}"

    def number_of(self, last_event_id: str) -> int:
        """Return the number behind an id that a reader brings back.

        0, for everything, if it is no id, of another run, or of no event yet.
        """
        match = _ID.fullmatch(last_event_id)
        if match is None or match[1] != self._run:
            return 0
        number = int(match[2])
        return number if number <= self._number else 0
