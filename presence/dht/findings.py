"""What the members said in one look-up, and what it comes to. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kademlia.node import Node

from psp.netdoc.presence_record import OuterRecord, Refusal, newest
from psp.netdoc.voice import Voice


@dataclass(frozen=True, slots=True)
class Reply:
    """What one node's answer came to.

    Attributes:
        record: As received; nothing of it is checked.
        contacts: Members it named.
        voice: What it signed for, verified; None when no records are looked for.
    """

    record: bytes | None = None
    contacts: tuple[Node, ...] = ()
    voice: Voice | None = None


@dataclass(frozen=True, slots=True)
class Testimony:
    """What one member gave, and signed for.

    Attributes:
        member: Its DHT id.
        voice: What it signed for.
        record: What it gave, if that is valid.
        refusal: Why what it gave is not.
        is_retiring: Whether it is asked only because an election is fresh.
        is_doubted: Whether its word is worth little.
    """

    member: bytes
    voice: Voice
    record: OuterRecord | None
    refusal: Refusal | None = None
    is_retiring: bool = False
    is_doubted: bool = False


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What a crawl came to.

    Attributes:
        record: The newest valid record; None if nobody had one.
        holders: How many gave just this one.
        answered: Nodes that did.
        asked: Requests made.
        bad: Records refused, by reason.
        retiring: Retiring nodes among those that answered.
        doubted: Elected nodes among them whose word is worth little.
        doubted_retiring: Retiring ones.
        testimonies: Who said what, the nearest first.
        records: The newest valid record of each slot, newest first.
    """

    record: OuterRecord | None
    holders: int
    answered: int
    asked: int
    bad: tuple[str, ...]
    retiring: int = 0
    doubted: int = 0
    doubted_retiring: int = 0
    testimonies: tuple[Testimony, ...] = ()
    records: tuple[OuterRecord, ...] = ()

    def of_slot(self, slot: int) -> OuterRecord | None:
        """Return the newest record of a slot."""
        return next((r for r in self.records if r.head.slot == slot), None)

    def sequence(self, slot: int) -> int:
        """Return the sequence of the newest record of a slot; 0 for none."""
        record = self.of_slot(slot)
        return 0 if record is None else record.head.sequence


def merge(results: Sequence[LookupResult]) -> LookupResult:
    """Return what crawls along disjoint paths came to together."""
    if len(results) == 1:
        return results[0]
    records = tuple(newest(r for result in results for r in result.records))
    record = records[0] if records else None
    return LookupResult(
        record,
        sum(each.holders for each in results if each.record == record),
        sum(each.answered for each in results),
        sum(each.asked for each in results),
        tuple(reason for each in results for reason in each.bad),
        sum(each.retiring for each in results),
        sum(each.doubted for each in results),
        sum(each.doubted_retiring for each in results),
        tuple(t for each in results for t in each.testimonies),
        records,
    )


@dataclass(slots=True)
class Votes:
    """Who gave which valid record.

    Attributes:
        voters: DHT ids by record.
    """

    voters: dict[OuterRecord, set[bytes]] = field(default_factory=dict)

    def add(self, record: OuterRecord, voter: bytes) -> None:
        """Count a record that somebody gave."""
        self.voters.setdefault(record, set()).add(voter)

    def newest(self) -> OuterRecord | None:
        """Return the newest; of two with one sequence the greater bytes."""
        return max(
            self.voters, key=lambda each: (each.head.sequence, each.raw), default=None
        )

    def count(self) -> int:
        """Return how many gave the newest."""
        newest = self.newest()
        return len(self.voters[newest]) if newest is not None else 0
