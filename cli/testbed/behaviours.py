"""How relays of a test bed misbehave, and what those who do so know of each other.

They are in league: what one has seen of a user's past, all may show, and each signs
whatever another wants to have signed. No attacker can have more than that.
"""

import enum
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from presence.record_store import HeldRecord, RecordStore
from psp.directory.dht_id import dht_id
from psp.ids import NodeId
from psp.netdoc.voice import VOICE_SLOTS, Question, Voice
from psp.wire.lookup import MAX_VOICES

if TYPE_CHECKING:
    from psp.crypto.keys import SigningKey


BOAST = 60_000
"""Milliseconds by which a boaster's record would be newer than any there is."""


class Behaviour(enum.StrEnum):
    """What a bad relay does.

    Attributes:
        GARBAGE: It gives random bytes for a record, and every other time for an answer.
        STALE: It shows the oldest record that is still valid, and takes no newer one.
        REFUSE: It answers nothing, and refuses look-ups at once.
        LIE: It says that there is nothing, and names others of the league only.
        WITHHOLD: It signs for the newest record and does not give it.
        STALL: It takes requests and never answers.
        BOAST: It signs for a newer record than there is, and has none to give.
    """

    GARBAGE = "garbage"
    STALE = "stale"
    REFUSE = "refuse"
    LIE = "lie"
    WITHHOLD = "withhold"
    STALL = "stall"
    BOAST = "boast"


class League:
    """What bad relays share.

    Attributes:
        members: Their identity keys by node id.
        past: The oldest record known, by location and slot.
    """

    def __init__(self) -> None:
        self.members: dict[NodeId, SigningKey] = {}
        self.past: dict[bytes, dict[int, HeldRecord]] = {}

    def remember(self, location: bytes, records: Iterable[HeldRecord]) -> None:
        """Keep the oldest of each slot."""
        slots = self.past.setdefault(location, {})
        for record in records:
            known = slots.setdefault(record.slot, record)
            if record.sequence < known.sequence:
                slots[record.slot] = record

    def oldest(self, location: bytes, unix_now: float) -> list[HeldRecord]:
        """Return the oldest record of each slot that is still valid, newest first."""
        slots = self.past.get(location, {}).values()
        living = [record for record in slots if record.expires > unix_now]
        return sorted(living, key=lambda each: each.sequence, reverse=True)

    def voices(
        self, question: Question, unix_now: float, sequences: Sequence[int]
    ) -> list[bytes]:
        """Return what those nearest to the location sign, as many as fit an answer."""
        target = int.from_bytes(question.location)

        def distance(node: NodeId) -> int:
            return int.from_bytes(dht_id(node, question.network)) ^ target

        nearest = sorted(self.members, key=distance)[:MAX_VOICES]
        return [
            Voice.of(self.members[node], question, unix_now, sequences).encode()
            for node in nearest
        ]


class PastStore(RecordStore):
    """A record store that lives in the past: what it had is what it shows."""

    def __init__(self, records: RecordStore, league: League, *, is_empty: bool) -> None:
        vars(self).update(vars(records))  # the same records, seen in another way
        self._records = records
        self._league = league
        self._is_empty = is_empty

    def put(self, *args: object, **settings: object) -> None:
        """Say yes, and keep what there was."""

    def held(self, location: bytes, unix_now: float) -> list[HeldRecord]:
        """Return the oldest records that anybody in the league knows."""
        if self._is_empty:
            return []
        self._league.remember(location, self._records.held(location, unix_now))
        return self._league.oldest(location, unix_now)


def sequences_of(records: Iterable[HeldRecord]) -> list[int]:
    """Return what a node that holds these signs for: a sequence for each slot."""
    held = {record.slot: record.sequence for record in records}
    return [held.get(slot, 0) for slot in range(VOICE_SLOTS)]


def boasting(sequences: Sequence[int]) -> list[int]:
    """Return sequences that are newer than these, in every place of the user."""
    return [each + BOAST if each else 0 for each in sequences]
