"""What gateways brought in one look-up, and what it proves. Pure.

Records are believed for their signatures. That there is no newer one is believed for
the voices of those who are to hold it: a voice is *usable* when it is genuine, of one of
the nearest members by our own list, and claims nothing newer than what we have in hand.
One gateway, or two that lie together, can leave voices out, but cannot invent them.

How many it takes depends on how many gateways have answered: to deceive us, all of them
must lie, and as many of the eight nearest members as we count voices. With a fifth of
32 nodes malicious that comes about once in 12,000 look-ups, with a fifth of 1,000 once
in 1,200 (worked out in the tests).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from psp.client.lookups.clock_check import check_voices
from psp.client.lookups.replicas import Replicas
from psp.ids import NodeId
from psp.netdoc.presence_keys import CLOCK_SKEW
from psp.netdoc.presence_record import (
    HEAD_SIZE,
    SLOTS,
    OuterRecord,
    RandomValue,
    RecordHead,
    RecordRefusedError,
    parse,
)
from psp.netdoc.voice import Question, Voice
from psp.wire.lookup import ANY_SLOT, Found, FoundState

MOST_VOICES = 5
"""As many of the eight nearest as must speak when few gateways have answered."""
FRESH_VOICES = 3
"""Of either kind while an election is fresh: one answer has room for three of each."""
FEW_GATEWAYS = 3
"""Up to here it takes most of the nearest members, from four gateways on half of them."""
STALE_AFTER = 60
"""Seconds after which a record has reached everybody who is to hold it."""
_ENDED_LATELY = 2 * CLOCK_SKEW
"""Seconds for which somebody may hold a record that has ended for us."""


def voices_wanted(members: int, gateways: int) -> int:
    """Return how many usable voices make us sure.

    Args:
        members: Nearest members: eight, or all if there are fewer.
        gateways: That have answered.
    """
    if gateways <= FEW_GATEWAYS:
        return min(MOST_VOICES, members - members // 4)
    return -(-members // 2)


@dataclass(slots=True)
class _Place:
    """What is known of one location."""

    replicas: Replicas
    in_hand: dict[int, int] = field(default_factory=dict)
    heard: dict[NodeId, Voice] = field(default_factory=dict)
    claims: dict[NodeId, tuple[int, ...]] = field(default_factory=dict)

    def is_usable(self, claims: Sequence[int]) -> bool:
        return all(
            claim <= self.in_hand.get(slot, 0) for slot, claim in enumerate(claims)
        )

    def count(self, kind: Mapping[bytes, NodeId], *, is_absent: bool = False) -> int:
        """Count usable voices, or those that say there is nobody."""
        spoken = (self.claims[node] for node in kind.values() if node in self.claims)
        if is_absent:
            return sum(not any(claims[:SLOTS]) for claims in spoken)
        return sum(self.is_usable(claims) for claims in spoken)


@dataclass(slots=True)
class _Answers:
    """What one gateway gave.

    Attributes:
        newest: By location, the sequence of the newest record with a place.
        voices: How many were genuine.
        is_junk: Whether it gave something that is not genuine.
    """

    newest: dict[bytes, int] = field(default_factory=dict)
    voices: int = 0
    is_junk: bool = False


class Evidence:
    """Grows with every answer; for one look-up of one user."""

    def __init__(
        self, places: Mapping[bytes, Replicas], random_value: RandomValue
    ) -> None:
        """Begin without any answer.

        Args:
            places: By location, who is to hold the user's records.
            random_value: Of a period.
        """
        self._records: dict[bytes, OuterRecord] = {}
        self._places = {where: _Place(near) for where, near in places.items()}
        self._random_value = random_value
        self._answers: dict[NodeId, _Answers] = {}
        self._clocks: dict[NodeId, float] = {}
        self._issued: dict[bytes, tuple[int, int]] = {}

    @property
    def records(self) -> list[bytes]:
        """Every genuine record, ended ones included."""
        return sorted(self._records)

    def has_slot(self, *slots: int) -> bool:
        """Tell whether there is any genuine record in one of these slots."""
        return any(outer.head.slot in slots for outer in self._records.values())

    def is_somewhere(self, unix_now: float, floors: Mapping[int, int]) -> bool:
        """Tell whether a record that counts now says where the user is, or is not.

        Args:
            unix_now: Seconds.
            floors: By slot, the highest sequence seen before.
        """
        heads = (outer.head for outer in self._records.values())
        return any(
            head.slot < SLOTS
            and head.sequence >= floors.get(head.slot, 0)
            and head.issued - CLOCK_SKEW <= unix_now < head.expires
            for head in heads
        )

    @property
    def answered(self) -> list[NodeId]:
        """The gateways that have."""
        return list(self._answers)

    @property
    def gateways(self) -> int:
        """How many they are."""
        return len(self._answers)

    def add(
        self,
        gateway: NodeId,
        question: Question,
        slot: int,
        found: Found,
        unix_now: float,
    ) -> None:
        """Take an answer in.

        Args:
            gateway: Who gave it.
            question: What was asked; its location is one of ours.
            slot: Which was asked for.
            found: The answer; nothing of it is trusted.
            unix_now: Seconds.
        """
        place = self._places[question.location]
        answers = self._answers.setdefault(gateway, _Answers())
        given = 0
        if found.state is FoundState.RECORD:
            outer = self._genuine(found.record, question, unix_now)
            if outer is None:
                answers.is_junk = True
            else:
                given = outer.head.sequence
                self._take_record(outer, place)
        if slot == ANY_SLOT:
            answers.newest[question.location] = given
        for data in found.voices:
            self._take_voice(Voice.decode(data), question, answers, unix_now)

    def is_sure(self) -> bool:
        """Tell whether enough voices say that there is nothing newer, everywhere."""
        return all(
            self._is_enough(place, is_absent=False) for place in self._places.values()
        )

    def is_absent(self) -> bool:
        """Tell whether enough voices say that there is nobody, and nothing denies it."""
        return all(
            not any(place.in_hand.get(slot) for slot in range(SLOTS))
            and self._is_enough(place, is_absent=True)
            for place in self._places.values()
        )

    def check_clock(self) -> None:
        """Compare our clock with those of the members.

        Raises:
            ClockError: If it is ours that is wrong.
        """
        members = {
            node
            for place in self._places.values()
            for node in place.replicas.elected.values()
        }
        check_voices(list(self._clocks.values()), len(members))

    def bad_gateways(self, unix_now: float) -> list[NodeId]:
        """Return who gave junk, or less than others although there was time."""
        most = max((each.voices for each in self._answers.values()), default=0)
        return [
            gateway
            for gateway, answers in self._answers.items()
            if answers.is_junk
            or 2 * answers.voices < most
            or any(
                answers.newest.get(location, sequence) < sequence
                and issued + STALE_AFTER < unix_now
                for location, (sequence, issued) in self._issued.items()
            )
        ]

    def _is_enough(self, place: _Place, *, is_absent: bool) -> bool:
        elected, retiring = place.replicas.elected, place.replicas.retiring
        if not elected:
            return False
        if not retiring:
            # Absence takes as much with five gateways as with one.
            gateways = FEW_GATEWAYS if is_absent else self.gateways
            wanted = voices_wanted(len(elected), gateways)
            return place.count(elected, is_absent=is_absent) >= wanted
        return all(
            place.count(kind, is_absent=is_absent) >= min(FRESH_VOICES, len(kind))
            for kind in (elected, retiring)
        )

    def _genuine(
        self, raw: bytes, question: Question, unix_now: float
    ) -> OuterRecord | None:
        """Return a record of this location, whether or not it counts by our clock."""
        known = self._records.get(raw)
        if known is not None and known.location == question.location:
            return known
        try:
            head = RecordHead.decode(raw[:HEAD_SIZE])
            if head.expires + _ENDED_LATELY <= unix_now:
                return None
            return parse(
                raw,
                network=question.network,
                random_value=self._random_value,
                unix_now=min(max(unix_now, head.issued), head.expires - 1),
                expected_location=question.location,
            )
        except RecordRefusedError:
            return None

    def _take_record(self, outer: OuterRecord, place: _Place) -> None:
        self._records[outer.raw] = outer
        head = outer.head
        if head.sequence > place.in_hand.get(head.slot, 0):
            place.in_hand[head.slot] = head.sequence
        newest, _ = self._issued.get(outer.location, (0, 0))
        if head.slot < SLOTS and head.sequence > newest:
            self._issued[outer.location] = (head.sequence, head.issued)

    def _take_voice(
        self, voice: Voice, question: Question, answers: _Answers, unix_now: float
    ) -> None:
        place = self._places[question.location]
        node = place.replicas.find(voice.short_id)
        if node is None:
            return
        if place.heard.get(node) == voice:
            return
        if not voice.is_of(node, question):
            answers.is_junk = True
            return
        answers.voices += 1
        self._clocks[node] = voice.time - unix_now
        # Of two voices of one member what claims more counts: it may have got a newer
        # record in between, and whoever has claimed too much is not usable.
        before = place.claims.get(node, voice.sequences)
        place.heard[node] = voice
        place.claims[node] = tuple(map(max, before, voice.sequences))
