"""Hand-overs: the discovery nodes in office vouch for the list that follows theirs.

Whoever cannot read the chain reads these. There is one when an epoch begins, and one for
each further period of 6 hours in it (`psp.netdoc.election_rules.PERIOD`). A period has
one *anchor block*, the first finalised block whose time lies in it, so all honest nodes
write the same body and their signatures add up. Big-endian::

    form 1 | network 28 | RULES 190 | epoch 4 | list epoch 4 | retiring epoch 4
    | height 8 | block hash 32 | time 8 | book root 32
    | listing's SHA-256 32 | its bytes 4 | its nodes 4 | seed target 8 | next seed 32
    | n 2 | n x SEAT   the list in force       | n 2 | n x SEAT   the list before it
    | n 1 | n x SEAT   trusted partners' nodes | n 1 | n x (day 4 | beacon 32)
    then, outside of the signed body: n 2 | n x (signer 32 | signature 64)

    RULES  as in psp.netdoc.election_rules
    SEAT   number 4 | node id 32, zero for a node whose record counts no more

Signed text: ``"psp-handover-v1" |`` body. A list stays in force for three epochs if
nobody is elected meanwhile; for an epoch without one there is no hand-over, and without
a list before, its epoch is 0. Seats go by number, signers by id, days rise.

Body and listing together are all that a view of the chain needs
(`psp.directory.snapshot`). Who must have signed is for the reader to know: here nothing
is verified.
"""

import itertools
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self, TypeVar

from psp.crypto.kdf import Label
from psp.crypto.keys import SIGNATURE_SIZE, SigningKey, verify
from psp.crypto.primitives import sha256
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NODE_ID_SIZE, NodeId
from psp.netdoc.election_rules import MAX_SEATS, Rules
from psp.units import UnixTime
from psp.wire.buffer import Reader
from psp.wire.network import NETWORK_SIZE, Network

MAX_TRUSTED = 16
MAX_BEACONS = 16
"""Days; a view looks at nine."""
MAX_SIGNATURES = MAX_SEATS + MAX_TRUSTED + 32
"""One per seat, trusted node and partner's own key."""
MAX_LISTING_BYTES = 32 << 20
IN_FORCE = 3
"""Epochs for which one list may stay in force, as in the contract."""
NOBODY = NodeId(bytes(NODE_ID_SIZE))
"""Stands where a node had a seat and its record counts no more."""

SortedT = TypeVar("SortedT", int, bytes, NodeId)

_CACHED = ("body", "digest")
"""What does not depend on the signatures, and need not be made again for others."""
_FORM = 1
_HASH = 32
_FIXED = struct.Struct("!IIIQ32sQ32s32sIIQ32s")
_SEAT = struct.Struct("!I32s")
_BEACON = struct.Struct("!I32s")


@dataclass(frozen=True, slots=True, order=True)
class Seat:
    """One node on a list.

    Attributes:
        number: On the chain, from 1.
        node_id: Its identity at the anchor block, or `NOBODY`.
    """

    number: int
    node_id: NodeId


@dataclass(frozen=True)
class HandOver:
    """One period's list and all that a view of the chain needs besides the listing.

    Attributes:
        network: Which network.
        rules: Of the contracts.
        epoch: That it belongs to.
        list_epoch: For which the list in force was elected.
        retiring_epoch: For which the list before it was elected; 0 for none.
        height: Of the anchor block.
        block_hash: Of the anchor block, 32 bytes.
        timestamp: Of the anchor block.
        book_root: Storage root of the node records there, 32 bytes.
        listing_digest: SHA-256 of the listing of all node records there.
        listing_size: Its bytes.
        node_count: Its records.
        seed_target: Block that the next draw was set for; 0 if it was not.
        next_seed: Drawn already, 32 bytes; empty if not.
        elected: The list in force, by number; never empty.
        retiring: The list before it, whole, by number.
        trusted: Nodes of trusted partners, by number.
        beacons: 32 random bytes by day.
        signatures: By signer, verified or not.
    """

    network: Network
    rules: Rules
    epoch: int
    list_epoch: int
    retiring_epoch: int
    height: int
    block_hash: bytes
    timestamp: UnixTime
    book_root: bytes = field(repr=False)
    listing_digest: bytes = field(repr=False)
    listing_size: int
    node_count: int
    seed_target: int = 0
    next_seed: bytes = field(default=b"", repr=False)
    elected: tuple[Seat, ...] = field(default=(), repr=False)
    retiring: tuple[Seat, ...] = field(default=(), repr=False)
    trusted: tuple[Seat, ...] = field(default=(), repr=False)
    beacons: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    signatures: Mapping[NodeId, bytes] = field(default_factory=dict, repr=False)

    @property
    def start(self) -> UnixTime:
        """When its period began; no two hand-overs of a network share it."""
        return self.rules.period_start(self.timestamp)

    @property
    def is_opening(self) -> bool:
        """Whether it opens its epoch, so that the list may be a new one."""
        return self.start == self.rules.start_of(self.epoch)

    @property
    def handing_epoch(self) -> int:
        """For which the list was elected that was in office before; 0 for none."""
        is_new = self.is_opening and self.list_epoch == self.epoch
        return self.retiring_epoch if is_new else self.list_epoch

    @property
    def handing(self) -> tuple[Seat, ...]:
        """The list that was in office in the period before, and hands over."""
        is_new = self.handing_epoch != self.list_epoch
        return self.retiring if is_new else self.elected

    @cached_property
    def body(self) -> bytes:
        """All but the signatures.

        Raises:
            LocalProtocolError: If a field is out of range.
        """
        fault = _fault(self)
        if fault is not None:
            raise LocalProtocolError(fault)
        try:
            fixed = _FIXED.pack(
                self.epoch,
                self.list_epoch,
                self.retiring_epoch,
                self.height,
                self.block_hash,
                self.timestamp,
                self.book_root,
                self.listing_digest,
                self.listing_size,
                self.node_count,
                self.seed_target,
                self.next_seed,
            )
            lists = (
                _pack_seats(self.elected, 2),
                _pack_seats(self.retiring, 2),
                _pack_seats(self.trusted, 1),
                len(self.beacons).to_bytes(),
                *(_BEACON.pack(*item) for item in sorted(self.beacons.items())),
            )
        except struct.error:
            raise LocalProtocolError("a hand-over's field is out of range") from None
        head = bytes([_FORM]) + self.network.encode() + self.rules.pack()
        return head + fixed + b"".join(lists)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the body: names what is signed, 32 bytes."""
        return sha256(self.body)

    def sign(self, key: SigningKey) -> bytes:
        """Return a signature, 64 bytes."""
        return key.sign(Label.HANDOVER + self.body)

    def is_signed(self, signer: NodeId, signature: bytes) -> bool:
        """Tell whether a signature is one of this body."""
        return verify(signer, Label.HANDOVER + self.body, signature)

    def with_signatures(self, signatures: Mapping[NodeId, bytes]) -> Self:
        """Return the same body under these signatures instead."""
        same = replace(self, signatures=signatures)
        kept = {name: self.__dict__[name] for name in _CACHED if name in self.__dict__}
        same.__dict__.update(kept)
        return same

    def encode(self) -> bytes:
        """Return the wire form.

        Raises:
            LocalProtocolError: If a field is out of range.
        """
        if len(self.signatures) > MAX_SIGNATURES:
            raise LocalProtocolError(f"{len(self.signatures)} signatures")
        items = sorted(self.signatures.items())
        return (
            self.body
            + len(items).to_bytes(2)
            + b"".join(signer + signature for signer, signature in items)
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a hand-over; nothing is verified.

        Raises:
            DecodeError: If ``data`` is not the one spelling of a hand-over.
        """
        reader = Reader(data)
        if reader.u8() != _FORM:
            raise DecodeError("not a hand-over of this version")
        network = Network(int.from_bytes(reader.take(8)), reader.take(NETWORK_SIZE - 8))
        rules = Rules.read(reader)
        fixed = _FIXED.unpack(reader.take(_FIXED.size))
        epoch, listed, retiring, height, block, time, root, digest = fixed[:8]
        size, count, target, seed = fixed[8:]
        hand_over = cls(
            network,
            rules,
            epoch,
            listed,
            retiring,
            height,
            block,
            UnixTime(time),
            root,
            digest,
            size,
            count,
            target,
            b"" if seed == bytes(_HASH) else seed,
            _read_seats(reader, reader.u16(), MAX_SEATS),
            _read_seats(reader, reader.u16(), MAX_SEATS),
            _read_seats(reader, reader.u8(), MAX_TRUSTED),
            _read_beacons(reader),
            _read_signatures(reader),
        )
        reader.finish()
        fault = _fault(hand_over)
        if fault is not None:
            raise DecodeError(fault)
        return hand_over


def quorum(seats: int) -> int:
    """Return how many of a list's seats must sign: two thirds, rounded up.

    >>> [quorum(seats) for seats in (1, 3, 4, 32)]
    [1, 2, 3, 22]
    """
    return -(-2 * seats // 3)


def ids_of(seats: Iterable[Seat]) -> frozenset[NodeId]:
    """Return who can sign for these seats."""
    return frozenset(seat.node_id for seat in seats if seat.node_id != NOBODY)


def _pack_seats(seats: tuple[Seat, ...], count_size: int) -> bytes:
    packed = b"".join(_SEAT.pack(seat.number, seat.node_id) for seat in seats)
    return len(seats).to_bytes(count_size) + packed


def _read_seats(reader: Reader, count: int, limit: int) -> tuple[Seat, ...]:
    if count > limit:
        raise DecodeError(f"{count} seats")
    raw = (_SEAT.unpack(reader.take(_SEAT.size)) for _ in range(count))
    return tuple(Seat(number, NodeId(node_id)) for number, node_id in raw)


def _read_beacons(reader: Reader) -> dict[int, bytes]:
    count = reader.u8()
    if count > MAX_BEACONS:
        raise DecodeError(f"{count} beacons")
    raw = [_BEACON.unpack(reader.take(_BEACON.size)) for _ in range(count)]
    if not _rises([day for day, _ in raw]):
        raise DecodeError("days do not rise")
    return dict(raw)


def _read_signatures(reader: Reader) -> dict[NodeId, bytes]:
    count = reader.u16()
    if count > MAX_SIGNATURES:
        raise DecodeError(f"{count} signatures")
    raw = [
        (NodeId(reader.take(NODE_ID_SIZE)), reader.take(SIGNATURE_SIZE))
        for _ in range(count)
    ]
    if not _rises([signer for signer, _ in raw]):
        raise DecodeError("signers are not sorted and distinct")
    return dict(raw)


def _rises(items: Sequence[SortedT]) -> bool:
    # One look at neighbours finds both disorder and doubles.
    return all(a < b for a, b in itertools.pairwise(items))


def _fault(hand_over: HandOver) -> str | None:
    rules = hand_over.rules
    if (
        hand_over.timestamp < rules.genesis
        or hand_over.listing_size > MAX_LISTING_BYTES
    ):
        return "before the contract, or too much to list"
    if hand_over.epoch != rules.epoch_of(hand_over.timestamp):
        return f"a block outside of epoch {hand_over.epoch}"
    if hand_over.next_seed and hand_over.next_seed == bytes(_HASH):
        return "a seed of nothing"
    return _epoch_fault(hand_over) or _list_fault(hand_over)


def _epoch_fault(hand_over: HandOver) -> str | None:
    epoch, listed = hand_over.epoch, hand_over.list_epoch
    retiring = hand_over.retiring_epoch
    if not hand_over.elected or not epoch - IN_FORCE < listed <= epoch:
        return f"no list that is in force in epoch {epoch}"
    if bool(retiring) != bool(hand_over.retiring):
        return "a list before without an epoch, or an epoch without it"
    if retiring and not epoch - IN_FORCE <= retiring < listed:
        return f"epoch {retiring} before {listed} in epoch {epoch}"
    return None


def _list_fault(hand_over: HandOver) -> str | None:
    if max(len(hand_over.elected), len(hand_over.retiring)) > hand_over.rules.seats:
        return "more seats than there are"
    if len(hand_over.trusted) > MAX_TRUSTED or len(hand_over.beacons) > MAX_BEACONS:
        return "too many trusted nodes or beacons"
    for seats in (hand_over.elected, hand_over.retiring, hand_over.trusted):
        numbers = [seat.number for seat in seats]
        if not _rises([0, *numbers, hand_over.node_count + 1]):
            return "seats are not distinct nodes of the listing, by number"
        named = [seat.node_id for seat in seats if seat.node_id != NOBODY]
        if len(set(named)) != len(named):
            return "a node has two seats"
    return None
