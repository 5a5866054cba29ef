"""Descriptors: advisory facts that a relay signs about itself.

Big-endian; the families and the signature follow the fixed part::

     0      1         33         41       49     51      52      53      55     56
    +------+---------+----------+--------+------+-------+-------+-------+------+-------+
    | form | node id | sequence | issued | life | v min | v max | roles | load | count |
    +------+---------+----------+--------+------+-------+-------+-------+------+-------+
      57: families, count x 16 | signature 64

Signed text: ``"psp-descriptor-v1" | chain id 8 | registry 20 |`` everything before the
signature. Nothing in it is needed to use a relay; keys and endpoints come from the
registry. The newest valid one wins, a reader never goes below a sequence it has seen,
and two of one sequence that say different things prove that the relay misbehaves.
"""

import enum
import struct
from dataclasses import dataclass, field
from typing import Self

from psp.crypto.kdf import Label
from psp.crypto.keys import SigningKey, verify
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NODE_ID_SIZE, NodeId
from psp.netdoc.node_record import FAMILY_SIZE, MAX_FAMILIES
from psp.units import Seconds, UnixTime
from psp.wire.buffer import Reader
from psp.wire.network import Network

_FIXED = struct.Struct("!B32sQQHBBHBB")
_FORMAT = 1
_SIGNATURE_SIZE = 64
MAX_DESCRIPTOR_BYTES = _FIXED.size + MAX_FAMILIES * FAMILY_SIZE + _SIGNATURE_SIZE
"""185: six to a page of a listing, one to a service cell (at most 1,183)."""

MAX_LIFE = Seconds(3 * 3600)
CLOCK_TOLERANCE = Seconds(120)
"""R-TIM-1: clocks may differ by two minutes either way."""


class Role(enum.IntFlag, boundary=enum.STRICT):
    """What a relay offers besides carrying cells."""

    PRESENCE = 1
    RENDEZVOUS = 2
    DIRECTORY = 4
    LANDING = 8
    DRAINING = 16
    """Takes no new circuits: about to stop."""


NO_ROLES = Role(0)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One relay's word about itself, signed.

    Attributes:
        node_id: Who speaks.
        sequence: Rises with every descriptor; Unix seconds are a good choice, as they
            survive a lost disk.
        issued: Unix seconds.
        life: Seconds from then, 1 … 10,800.
        versions: Lowest and highest protocol version spoken.
        roles: What it offers.
        load: Share of its capacity in use, 0 … 255.
        families: 16-byte ids of its groups, sorted and distinct.
        signature: 64 bytes.
    """

    node_id: NodeId
    sequence: int
    issued: UnixTime
    life: int
    versions: tuple[int, int] = (1, 1)
    roles: Role = NO_ROLES
    load: int = 0
    families: tuple[bytes, ...] = ()
    signature: bytes = field(default=bytes(_SIGNATURE_SIZE), repr=False)

    @property
    def expires(self) -> UnixTime:
        """The first second at which it counts no more."""
        return UnixTime(self.issued + self.life)

    @property
    def size(self) -> int:
        """Bytes of the wire form."""
        return _FIXED.size + len(self.families) * FAMILY_SIZE + _SIGNATURE_SIZE

    def is_current(self, unix_now: UnixTime) -> bool:
        """Tell whether its time has come and is not over, clocks allowed for."""
        early = unix_now + CLOCK_TOLERANCE < self.issued
        return not early and unix_now < self.expires + CLOCK_TOLERANCE

    def signed(self, network: Network, key: SigningKey) -> Self:
        """Return the same descriptor with its signature.

        Raises:
            LocalProtocolError: If ``key`` is not the node's, or a field is out of range.
        """
        if key.public != self.node_id:
            raise LocalProtocolError("a descriptor is signed by the node it describes")
        signature = key.sign(Label.DESCRIPTOR + network.encode() + self.content())
        return type(self)(
            self.node_id,
            self.sequence,
            self.issued,
            self.life,
            self.versions,
            self.roles,
            self.load,
            self.families,
            signature,
        )

    def content(self) -> bytes:
        """Return everything but the signature.

        Raises:
            LocalProtocolError: If a field is out of range.
        """
        fault = _fault(self)
        if fault is not None:
            raise LocalProtocolError(fault)
        try:
            fixed = _FIXED.pack(
                _FORMAT,
                self.node_id,
                self.sequence,
                self.issued,
                self.life,
                *self.versions,
                self.roles,
                self.load,
                len(self.families),
            )
        except struct.error:
            raise LocalProtocolError("a descriptor field is out of range") from None
        return fixed + b"".join(self.families)

    def encode(self) -> bytes:
        """Return the wire form."""
        return self.content() + self.signature

    @classmethod
    def decode(cls, data: bytes, network: Network) -> Self:
        """Read a descriptor and verify its signature; its age is the caller's affair.

        Raises:
            DecodeError: If ``data`` is anything else.
        """
        reader = Reader(data)
        fixed = _FIXED.unpack(reader.take(_FIXED.size))
        form, node_id, sequence, issued, life, low, high, roles, load, count = fixed
        if form != _FORMAT or count > MAX_FAMILIES:
            raise DecodeError("not a descriptor of this version")
        families = tuple(reader.take(FAMILY_SIZE) for _ in range(count))
        signature = reader.take(_SIGNATURE_SIZE)
        reader.finish()
        try:
            role = Role(roles)
        except ValueError:
            raise DecodeError(f"unknown roles {roles:#x}") from None
        descriptor = cls(
            NodeId(node_id),
            sequence,
            UnixTime(issued),
            life,
            (low, high),
            role,
            load,
            families,
            signature,
        )
        fault = _fault(descriptor)
        if fault is not None:
            raise DecodeError(fault)
        text = Label.DESCRIPTOR + network.encode() + data[:-_SIGNATURE_SIZE]
        if not verify(node_id, text, signature):
            raise DecodeError("a descriptor's signature does not hold")
        return descriptor


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Proof that a node signed two different descriptors under one sequence number.

    Attributes:
        node_id: Who did.
        first: One encoded descriptor.
        second: The other; both verify, and anybody can check that.
    """

    node_id: NodeId
    first: bytes = field(repr=False)
    second: bytes = field(repr=False)


def equivocation(first: Descriptor, second: Descriptor) -> Equivocation | None:
    """Return the proof that two decoded descriptors contradict each other, if they do.

    A second signature under the same content proves nothing: Ed25519 lets a signer
    make any number of those, and a third party may have been handed one each.
    """
    same = first.node_id == second.node_id and first.sequence == second.sequence
    if not same or first.content() == second.content():
        return None
    return Equivocation(first.node_id, first.encode(), second.encode())


def is_proof(evidence: Equivocation, network: Network) -> bool:
    """Check somebody else's evidence; any bytes will do."""
    try:
        first = Descriptor.decode(evidence.first, network)
        second = Descriptor.decode(evidence.second, network)
    except DecodeError:
        return False
    return first.node_id == evidence.node_id and equivocation(first, second) is not None


def _fault(descriptor: Descriptor) -> str | None:
    low, high = descriptor.versions
    if len(descriptor.node_id) != NODE_ID_SIZE:
        return f"node id of {len(descriptor.node_id)} bytes"
    if not 0 < descriptor.life <= MAX_LIFE:
        return f"a life of {descriptor.life} s"
    if descriptor.issued >= 1 << 40:
        return "issued in a far future"
    if not 0 < low <= high:
        return "versions out of order"
    return _family_fault(descriptor.families)


def _family_fault(families: tuple[bytes, ...]) -> str | None:
    if len(families) > MAX_FAMILIES or list(families) != sorted(set(families)):
        return "families are not sorted and distinct"
    if any(len(family) != FAMILY_SIZE for family in families):
        return "a family id of another size"
    return None
