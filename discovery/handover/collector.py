"""The hand-overs a node has made itself, and who has signed them. Pure.

There is one body for each period: the node's own. Others' signatures count if they are
under the very same bytes, and if their signer sits on the list that hands over, is a
trusted node, or is a partner's key: so a bent body is never collected, and the memory
has a bound. Kept are the complete hand-overs that open an epoch, 16 of them, the newest
complete one, and the last few that are not complete yet.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from psp.crypto.keys import SigningKey
from psp.ids import NodeId
from psp.netdoc.handover import HandOver, ids_of, quorum
from psp.netdoc.handover_list import MAX_HAND_OVERS
from psp.units import UnixTime
from psp.wire.directory_service import HandOverSignature, SignatureStatus

MAX_INCOMPLETE = 4
"""A day of periods: signatures may come late, as long as somebody may still wait."""


@dataclass(slots=True)
class _Collected:
    """One body and its signatures, all valid.

    Attributes:
        hand_over: Without signatures.
        handing: Who sits on the list that hands over.
        trusted: Whose signature a reader may count as a partner's.
    """

    hand_over: HandOver
    handing: frozenset[NodeId]
    trusted: frozenset[NodeId]
    signatures: dict[NodeId, bytes] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether any reader of the hand-over before will take it."""
        seats = len(self.hand_over.handing)
        elected = self.signatures.keys() & self.handing
        enough = seats > 0 and len(elected) >= quorum(seats)
        return enough and not self.trusted.isdisjoint(self.signatures)

    def take(self, signer: NodeId, signature: bytes) -> SignatureStatus:
        if signer in self.signatures:
            return SignatureStatus.HELD
        if signer not in self.handing | self.trusted:
            return SignatureStatus.REFUSED
        if not self.hand_over.is_signed(signer, signature):
            return SignatureStatus.REFUSED
        self.signatures[signer] = signature
        return SignatureStatus.STORED


class HandOverCollector:
    """Signatures under this node's own bodies.

    Attributes:
        changes: Rises with every change; compare it to notice one.
    """

    def __init__(self, partners: Collection[bytes] = ()) -> None:
        """Start with nothing.

        Args:
            partners: Keys with which trusted partners sign themselves.
        """
        self._partners = frozenset(NodeId(key) for key in partners)
        self._held: dict[UnixTime, _Collected] = {}
        self.changes = 0

    @property
    def newest(self) -> HandOver | None:
        """The newest body of this node's own, with its signatures."""
        return self._signed(max(self._held)) if self._held else None

    def open(self, hand_over: HandOver) -> bool:
        """Hold a body of this node's own, with the signatures under it that count.

        Returns:
            False if another body is held for its period: a node never signs two.
        """
        held = self._held.get(hand_over.start)
        if held is None:
            held = self._held[hand_over.start] = _Collected(
                hand_over.with_signatures({}),
                ids_of(hand_over.handing),
                self._trusted(hand_over),
            )
            self.changes += 1
        if held.hand_over.digest != hand_over.digest:
            return False
        self._add(held, hand_over.signatures)
        self._trim()
        return True

    def sign(self, start: UnixTime, key: SigningKey) -> HandOverSignature | None:
        """Sign the body of a period; None if this node has no say in it."""
        held, signer = self._held.get(start), NodeId(key.public)
        if held is None or signer not in held.handing | held.trusted:
            return None
        if signer not in held.signatures:
            held.signatures[signer] = held.hand_over.sign(key)
            self.changes += 1
        signature = held.signatures[signer]
        return HandOverSignature(start, held.hand_over.digest, signer, signature)

    def take(self, offered: HandOverSignature) -> SignatureStatus:
        """Take a signature that somebody brings."""
        held = self._held.get(offered.start)
        if held is None:
            is_ahead = offered.start > max(self._held, default=0)
            return SignatureStatus.NOT_YET if is_ahead else SignatureStatus.OVER
        if held.hand_over.digest != offered.digest:
            return SignatureStatus.DIFFERENT
        status = held.take(offered.signer, offered.signature)
        self.changes += status is SignatureStatus.STORED
        self._trim()
        return status

    def merge(self, hand_overs: Iterable[HandOver]) -> int:
        """Take the signatures that another node has collected; return how many.

        Bodies that this node has not made itself are passed over.
        """
        count = 0
        for hand_over in hand_overs:
            held = self._held.get(hand_over.start)
            if held is not None and held.hand_over.digest == hand_over.digest:
                count += self._add(held, hand_over.signatures)
        self._trim()
        return count

    def is_complete(self, start: UnixTime) -> bool:
        """Tell whether the hand-over of a period has all the signatures it needs."""
        held = self._held.get(start)
        return held is not None and held.is_complete

    def complete(self) -> list[HandOver]:
        """Return what readers can use, the oldest first, at most 16."""
        done = [start for start in self._starts() if self._held[start].is_complete]
        return [self._signed(start) for start in self._useful(done)]

    def held(self) -> list[HandOver]:
        """Return everything, for the disk, the oldest first."""
        return [self._signed(start) for start in self._starts()]

    def _trusted(self, hand_over: HandOver) -> frozenset[NodeId]:
        """Return whose signature readers may count as a partner's.

        They go by the trusted nodes of the hand-over before.
        """
        before = [start for start in self._held if start < hand_over.start]
        known = self._held[max(before)].hand_over.trusted if before else ()
        return self._partners | ids_of(hand_over.trusted) | ids_of(known)

    def _add(self, held: _Collected, signatures: Mapping[NodeId, bytes]) -> int:
        statuses = [held.take(*item) for item in signatures.items()]
        count = statuses.count(SignatureStatus.STORED)
        self.changes += count
        return count

    def _signed(self, start: UnixTime) -> HandOver:
        held = self._held[start]
        return held.hand_over.with_signatures(dict(held.signatures))

    def _starts(self) -> list[UnixTime]:
        return sorted(self._held)

    def _useful(self, done: list[UnixTime]) -> list[UnixTime]:
        """Return those that lead from any start to the newest list."""
        openings = [start for start in done if self._held[start].hand_over.is_opening]
        return sorted({*openings, *done[-1:]})[-MAX_HAND_OVERS:]

    def _trim(self) -> None:
        starts = self._starts()
        done = [start for start in starts if self._held[start].is_complete]
        open_ = [start for start in starts if not self._held[start].is_complete]
        for start in {*starts} - {*self._useful(done), *open_[-MAX_INCOMPLETE:]}:
            del self._held[start]
