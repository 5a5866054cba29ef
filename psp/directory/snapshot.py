"""The chain's list for those who cannot read the chain: hand-overs and one listing.

A reader starts from a hand-over that he trusts: made of the last view that he verified
himself, or shipped with the program. He takes a later one if two thirds of the seats of
the list he knows have signed it, and at least one trusted partner of those he knows
(SPEC.md section 8.1). So a captured list alone can bend nothing, nor can a partner
alone; together they can. Nothing is believed of those whose stake may be free again:
from a start older than the unbonding time there is no way on.

What cannot be verified changes nothing: the reader keeps what he has.
"""

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from psp.crypto.primitives import sha256
from psp.directory.chain.records import NodeList, read_nodes, split_listing
from psp.directory.chain.state import ElectionState
from psp.directory.chain.view import ChainView, CodeHashes
from psp.directory.trusted import CLOCK_TOLERANCE
from psp.errors import PspError
from psp.ids import NodeId
from psp.netdoc.election_rules import Rules
from psp.netdoc.handover import NOBODY, HandOver, Seat, ids_of, quorum
from psp.units import UnixTime
from psp.wire.network import Network


class Refusal(enum.StrEnum):
    """Why a hand-over or a listing was not taken."""

    NETWORK = "of another network, or of a replaced contract"
    OLDER = "not later than the one in use"
    NOT_YET = "from the future; check this host's clock"
    NOT_NEXT = "handed over by another list than the one in use"
    TOO_FEW = "too few of the elected have signed"
    NOT_COSIGNED = "no trusted partner has signed"
    CONTRADICTS = "there is another one with as good signatures"
    UNBONDED = "the list in use is older than the unbonding time"
    LISTING = "not the listing that was handed over"


class SnapshotRefusedError(PspError):
    """Something was not taken; what is in use stays in use.

    Attributes:
        refusal: Why.
    """

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(f"snapshot refused: {refusal} ({detail})")
        self.refusal = refusal


@dataclass(slots=True)
class _Candidate:
    """One body, and every signature that a source had for it."""

    hand_over: HandOver
    signatures: list[tuple[NodeId, bytes]] = field(default_factory=list)

    def valid(self, signers: Collection[NodeId], enough: int) -> dict[NodeId, bytes]:
        """Return good signatures of these signers, one each, up to ``enough``."""
        good: dict[NodeId, bytes] = {}
        for signer, signature in self.signatures:
            if len(good) == enough:
                break
            is_wanted = signer in signers and signer not in good
            if is_wanted and self.hand_over.is_signed(signer, signature):
                good[signer] = signature
        return good


class SnapshotVerifier:
    """Follows hand-overs from a start.

    Attributes:
        last: The newest one that is believed; its signatures are those that counted.
    """

    def __init__(self, start: HandOver, partners: Collection[bytes] = ()) -> None:
        """Believe a start.

        Args:
            start: Its signatures do not matter.
            partners: Trusted partners' own keys that this reader is configured with;
                nodes that the chain names as trusted count without.
        """
        self.last = start
        self._partners = frozenset(NodeId(key) for key in partners)

    def follow(
        self, sources: Iterable[Iterable[HandOver]], unix_now: UnixTime
    ) -> list[SnapshotRefusedError]:
        """Go on as far as hand-overs lead; return why others were refused.

        Takes 0.1 ms for each signature: whoever must not wait calls it in a thread.

        Args:
            sources: What each source has (`psp.netdoc.handover_list`). Signatures under
                the same body add up; what is not later than what is believed is passed
                over.
            unix_now: The time.

        Raises:
            SnapshotRefusedError: If the start is too old to go on from.
        """
        age, limit = unix_now - self.last.timestamp, self.last.rules.unbonding
        if age > limit:
            raise SnapshotRefusedError(
                Refusal.UNBONDED,
                f"{age} s old, {limit} s allowed; use an RPC endpoint or a newer release",
            )
        candidates: dict[bytes, _Candidate] = {}
        for hand_over in (one for source in sources for one in source):
            if hand_over.start > self.last.start:
                fresh = _Candidate(hand_over)
                known = candidates.setdefault(hand_over.digest, fresh)
                known.signatures.extend(hand_over.signatures.items())
        by_start: dict[UnixTime, list[_Candidate]] = {}
        for candidate in candidates.values():
            by_start.setdefault(candidate.hand_over.start, []).append(candidate)
        return self._follow(sorted(by_start.items()), unix_now)

    def _follow(
        self, periods: Iterable[tuple[UnixTime, list[_Candidate]]], unix_now: UnixTime
    ) -> list[SnapshotRefusedError]:
        refused: list[SnapshotRefusedError] = []
        for start, bodies in periods:
            good: list[HandOver] = []
            for candidate in bodies:
                try:
                    good.append(self._checked(candidate, unix_now))
                except SnapshotRefusedError as error:
                    refused.append(error)
            if len(good) > 1:
                detail = f"{len(good)} of the period from {start} on"
                refused.append(SnapshotRefusedError(Refusal.CONTRADICTS, detail))
                break
            self.last = good[0] if good else self.last
        return refused

    def view(self, listing: bytes, previous: NodeList | None = None) -> ChainView:
        """Return the view that the newest hand-over and a listing make.

        Takes 0.13 ms for each record that is not in ``previous``.

        Raises:
            SnapshotRefusedError: If the listing is another one.
            DecodeError: If it is none, though its digest was handed over.
        """
        return view_of(self.last, listing, previous)

    def _checked(self, candidate: _Candidate, unix_now: UnixTime) -> HandOver:
        """Return the hand-over with the signatures that count, or raise why not."""
        new, last = candidate.hand_over, self.last
        if new.network != last.network or new.rules != last.rules:
            raise SnapshotRefusedError(Refusal.NETWORK, f"epoch {new.epoch}")
        ahead = new.timestamp - unix_now
        if ahead > CLOCK_TOLERANCE:
            raise SnapshotRefusedError(Refusal.NOT_YET, f"{ahead} s ahead")
        is_later = new.height > last.height and new.timestamp > last.timestamp
        if new.epoch < last.epoch or not is_later:
            detail = f"epoch {new.epoch} at height {new.height}, not {last.height}"
            raise SnapshotRefusedError(Refusal.OLDER, detail)
        if new.handing_epoch != last.list_epoch or _numbers(new.handing) != _numbers(
            last.elected
        ):
            detail = f"list of epoch {new.handing_epoch}, not {last.list_epoch}"
            raise SnapshotRefusedError(Refusal.NOT_NEXT, detail)
        return self._signed(candidate)

    def _signed(self, candidate: _Candidate) -> HandOver:
        last, epoch = self.last, candidate.hand_over.epoch
        seats, needed = len(last.elected), quorum(len(last.elected))
        elected = candidate.valid(ids_of(last.elected), needed)
        if len(elected) < needed:
            detail = f"epoch {epoch}: {len(elected)} of {seats} seats, {needed} needed"
            raise SnapshotRefusedError(Refusal.TOO_FEW, detail)
        trusted = candidate.valid(ids_of(last.trusted) | self._partners, 1)
        if not trusted:
            known = f"{len(last.trusted)} nodes and {len(self._partners)} keys known"
            raise SnapshotRefusedError(Refusal.NOT_COSIGNED, f"epoch {epoch}: {known}")
        return candidate.hand_over.with_signatures({**elected, **trusted})


def hand_over_of(view: ChainView) -> HandOver:
    """Return what a view says, unsigned.

    At a period's anchor block this is what discovery nodes sign; from any other block it
    is a start for a reader (`SnapshotVerifier`).

    Raises:
        SnapshotRefusedError: If no list is in force.
    """
    state = view.state
    if not state.elected:
        raise SnapshotRefusedError(Refusal.NOT_NEXT, "nobody is elected")
    listing = view.listing
    return HandOver(
        network=view.network,
        rules=rules_of(view),
        epoch=state.epoch,
        list_epoch=state.list_epoch,
        retiring_epoch=state.retiring_epoch,
        height=view.height,
        block_hash=view.block_hash,
        timestamp=view.timestamp,
        book_root=view.book_root,
        listing_digest=sha256(listing),
        listing_size=len(listing),
        node_count=len(view.nodes.listed),
        seed_target=state.seed_target,
        next_seed=state.next_seed,
        elected=_seats(view.nodes, state.elected),
        retiring=_seats(view.nodes, state.retiring),
        trusted=_seats(view.nodes, state.trusted),
        beacons=state.beacons,
    )


def rules_of(view: ChainView) -> Rules:
    """Return what the contracts of a view were made with."""
    state, code = view.state, view.code_hashes
    return Rules(
        genesis=state.genesis,
        epoch_length=state.epoch_length,
        unbonding=state.unbonding,
        seats=state.seats,
        seed_delay=state.seed_delay,
        sortition=state.sortition,
        self_only=state.self_only,
        strategy=state.strategy,
        min_stake=state.min_stake,
        book=state.book,
        users=state.users,
        code_hashes=(code.relays, code.book, code.users),
    )


def view_of(
    hand_over: HandOver, listing: bytes, previous: NodeList | None = None
) -> ChainView:
    """Return the view that a believed hand-over and its listing make, without users.

    Raises:
        SnapshotRefusedError: If it is another listing, or its nodes are not those that
            the hand-over names.
        DecodeError: If the parts contradict each other.
    """
    if (len(listing), sha256(listing)) != (
        hand_over.listing_size,
        hand_over.listing_digest,
    ):
        raise SnapshotRefusedError(Refusal.LISTING, f"{len(listing)} bytes")
    nodes = _nodes(hand_over.network, listing, previous)
    for seats in (hand_over.elected, hand_over.retiring, hand_over.trusted):
        if _seats(nodes, [seat.number for seat in seats]) != seats:
            raise SnapshotRefusedError(Refusal.LISTING, "other nodes on the lists")
    if len(nodes.listed) != hand_over.node_count:
        raise SnapshotRefusedError(Refusal.LISTING, f"{len(nodes.listed)} records")
    return ChainView(
        network=hand_over.network,
        height=hand_over.height,
        block_hash=hand_over.block_hash,
        timestamp=hand_over.timestamp,
        code_hashes=CodeHashes(*hand_over.rules.code_hashes),
        book_root=hand_over.book_root,
        state=_state(hand_over),
        nodes=nodes,
    )


def _nodes(network: Network, listing: bytes, previous: NodeList | None) -> NodeList:
    return read_nodes(network, split_listing(listing), previous)


def _state(hand_over: HandOver) -> ElectionState:
    rules = hand_over.rules
    return ElectionState(
        genesis=UnixTime(rules.genesis),
        epoch_length=rules.epoch_length,
        unbonding=rules.unbonding,
        seats=rules.seats,
        seed_delay=rules.seed_delay,
        sortition=rules.sortition,
        self_only=rules.self_only,
        strategy=rules.strategy,
        min_stake=rules.min_stake,
        book=rules.book,
        users=rules.users,
        epoch=hand_over.epoch,
        list_epoch=hand_over.list_epoch,
        elected=_numbers(hand_over.elected),
        retiring_epoch=hand_over.retiring_epoch,
        retiring=_numbers(hand_over.retiring),
        seed_target=hand_over.seed_target,
        next_seed=hand_over.next_seed,
        trusted=_numbers(hand_over.trusted),
        beacons=hand_over.beacons,
    )


def _seats(nodes: NodeList, numbers: Collection[int]) -> tuple[Seat, ...]:
    return tuple(Seat(n, nodes.numbers.get(n, NOBODY)) for n in sorted(numbers))


def _numbers(seats: Iterable[Seat]) -> tuple[int, ...]:
    return tuple(seat.number for seat in seats)
