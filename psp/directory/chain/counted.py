"""Which records of a list count, whatever they are of: the rules that nodes and users share.

A record is believed if its identity is a usable key that has signed it, which can be
told of each by itself. Anybody can copy an identity into a record of his own, so of
several believed ones the lowest number counts, and an identity with a revoked record
that is believed is dead for ever, under every owner.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from psp.crypto.keys import link_public, verify
from psp.directory.chain.listed import ListedRecord, NotCounted, RecordT, reason_of
from psp.errors import DecodeError
from psp.wire.network import Network

SaysT = TypeVar("SaysT")
"""What a believed record says."""
SaysT_co = TypeVar("SaysT_co", covariant=True)


class Judged(Protocol[SaysT_co]):
    """A list whose records have been verified."""

    @property
    def network(self) -> Network:
        """For which they were."""
        ...

    @property
    def listed(self) -> Sequence[ListedRecord]:
        """Every record."""
        ...

    @property
    def verdicts(self) -> Sequence[SaysT_co | NotCounted]:
        """On each record by itself."""
        ...


@dataclass(frozen=True, slots=True)
class Count(Generic[SaysT]):
    """What a list comes to.

    Attributes:
        counting: What the records say that count, by number, lowest first.
        dead: Identities that never count again.
        refused: How many records do not count, by reason.
    """

    counting: Mapping[int, SaysT] = field(repr=False)
    dead: frozenset[bytes] = field(repr=False)
    refused: Mapping[NotCounted, int]


def doubt(identity: bytes, text: bytes, signature: bytes) -> NotCounted | None:
    """Return why an identity's record cannot be believed; None if it can.

    Args:
        identity: Ed25519 key, 32 bytes.
        text: What it must have signed.
        signature: 64 bytes.
    """
    if not verify(identity, text, signature):
        return NotCounted.SIGNATURE
    try:
        link_public(identity)
    except DecodeError:
        # It can sign, but nobody could make a link to it.
        return NotCounted.IDENTITY
    return None


def judge(
    network: Network,
    listed: Sequence[RecordT],
    previous: Judged[SaysT] | None,
    verdict: Callable[[Network, RecordT], SaysT | NotCounted],
) -> tuple[SaysT | NotCounted, ...]:
    """Return the verdict on each record by itself.

    Args:
        network: Which network; its name is in what identities sign.
        listed: Every record.
        previous: What was verified earlier; of another network it says nothing.
        verdict: Verifies a record that is not, byte for byte, one of ``previous``.
    """
    known: Mapping[bytes, SaysT | NotCounted] = {}
    if previous is not None and previous.network == network:
        pairs = zip(previous.listed, previous.verdicts, strict=True)
        known = {record.raw: earlier for record, earlier in pairs}
    return tuple(
        known[record.raw] if record.raw in known else verdict(network, record)
        for record in listed
    )


def recall(
    listed: Sequence[RecordT], flags: bytes, says: Callable[[RecordT], SaysT]
) -> tuple[SaysT | NotCounted, ...]:
    """Return the verdicts of an earlier `judge`, without verifying anything again.

    Args:
        listed: The same records.
        flags: What `psp.directory.chain.listed.flags_of` made of the verdicts.
        says: Reads a record that was believed.

    Raises:
        DecodeError: If these cannot be their flags.
    """
    if len(flags) != len(listed):
        raise DecodeError(f"{len(flags)} verdicts on {len(listed)} records")
    verdicts: list[SaysT | NotCounted] = []
    for record, flag in zip(listed, flags, strict=True):
        reason = reason_of(flag)
        verdicts.append(says(record) if reason is None else reason)
    return tuple(verdicts)


def count(
    listed: Sequence[RecordT], verdicts: Sequence[SaysT | NotCounted]
) -> Count[SaysT]:
    """Take the records that count.

    Args:
        listed: Every record, by number.
        verdicts: On each by itself.
    """
    dead = frozenset(
        record.identity
        for record, verdict in zip(listed, verdicts, strict=True)
        if record.is_revoked and not isinstance(verdict, NotCounted)
    )
    taken: set[bytes] = set()
    counting: dict[int, SaysT] = {}
    refused: Counter[NotCounted] = Counter()
    for record, verdict in zip(listed, verdicts, strict=True):
        if isinstance(verdict, NotCounted):
            refused[verdict] += 1
        elif record.is_revoked:
            refused[NotCounted.REVOKED] += 1
        elif record.identity in dead:
            refused[NotCounted.DEAD] += 1
        elif record.identity in taken:
            refused[NotCounted.DOUBLE] += 1
        else:
            taken.add(record.identity)
            counting[record.number] = verdict
    return Count(counting, dead, refused)
