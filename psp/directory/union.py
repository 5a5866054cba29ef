"""Merging what several discovery nodes serve.

A discovery node can leave descriptors out; it cannot forge one. So a client asks at
least three and takes everything valid that any of them has, the newest of each relay.
What one leaves out and another serves is seen, and counted against the one. A bad
answer costs its sender, never the relay it is about: whoever serves junk under a good
relay's name must not be able to make a client drop that relay.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from psp.errors import DecodeError
from psp.ids import NODE_ID_SIZE, NodeId
from psp.netdoc.descriptor import Descriptor, Equivocation, equivocation
from psp.units import UnixTime
from psp.wire.network import Network

MIN_SOURCES = 3
"""Discovery nodes to ask (T4: one honest one is enough)."""
SPARE_ELEMENTS = 1_000
"""Elements above the number of nodes that a source may serve: its registry may be a
little newer than ours."""
MAX_PROOFS = 100


@dataclass(slots=True)
class SourceReport:
    """What one source served.

    Attributes:
        served: Relays for which it had a valid, current descriptor.
        fresh: How many of its descriptors were newer than what was held.
        older: Descriptors with a sequence below the highest ever seen.
        expired: Descriptors out of date.
        strangers: Descriptors of nodes that are not in the registry.
        doubled: Second descriptors of one relay.
        malformed: Elements that are no descriptor of this network.
        surplus: Elements above the cap, not looked at.
    """

    served: set[NodeId] = field(default_factory=set, repr=False)
    fresh: int = 0
    older: int = 0
    expired: int = 0
    strangers: int = 0
    doubled: int = 0
    malformed: int = 0
    surplus: int = 0

    @property
    def is_bad(self) -> bool:
        """Whether it served what no honest source has."""
        return bool(self.malformed or self.doubled or self.surplus)


class DescriptorUnion:
    """The descriptors of one registry, from any number of sources.

    Attributes:
        descriptors: The newest valid one of each relay.
        highest: The highest sequence ever seen of each relay, also of those whose
            descriptor has expired.
        reports: What each source served.
        proofs: Relays that signed two different descriptors under one sequence; the
            first 100.
    """

    def __init__(
        self,
        network: Network,
        members: Collection[NodeId],
        *,
        held: Iterable[Descriptor] = (),
        highest: Mapping[NodeId, int] | None = None,
    ) -> None:
        """Start from what is held.

        Args:
            network: Which network.
            members: Every node of the registry.
            held: Descriptors verified earlier.
            highest: Sequences seen earlier.
        """
        self._network = network
        self._members = frozenset(members)
        self.highest = {
            node_id: sequence
            for node_id, sequence in (highest or {}).items()
            if node_id in self._members
        }
        self.descriptors: dict[NodeId, Descriptor] = {}
        self.reports: dict[NodeId, SourceReport] = {}
        self.proofs: list[Equivocation] = []
        self._raw: dict[NodeId, bytes] = {}
        for descriptor in held:
            if descriptor.node_id in self._members:
                self._hold(descriptor, descriptor.encode())

    def add(
        self, source: NodeId, elements: Iterable[bytes], unix_now: UnixTime
    ) -> SourceReport:
        """Take in elements that a source served; may be called again with more.

        Verifying takes 0.1 ms for each descriptor not held yet: whoever must not wait
        hands them over in portions.
        """
        report = self.reports.setdefault(source, SourceReport())
        seen = report.served
        cap = len(self._members) + SPARE_ELEMENTS
        for element in elements:
            if _total(report) >= cap:
                report.surplus += 1
            elif (descriptor := self._read(element, report)) is not None:
                if descriptor.node_id in seen:
                    report.doubled += 1
                else:
                    self._judge(descriptor, element, report, unix_now)
        return report

    def prune(self, unix_now: UnixTime) -> None:
        """Drop what has expired; the highest sequences stay."""
        self.descriptors = {
            node_id: descriptor
            for node_id, descriptor in self.descriptors.items()
            if descriptor.is_current(unix_now)
        }
        self._raw = {node_id: self._raw[node_id] for node_id in self.descriptors}

    def withheld(self, source: NodeId) -> frozenset[NodeId]:
        """Return the relays that this source left out and another one served."""
        report = self.reports.get(source)
        if report is None:
            return frozenset()
        others = (r.served for key, r in self.reports.items() if key != source)
        return frozenset().union(*others) - report.served

    @property
    def unseen(self) -> frozenset[NodeId]:
        """Nodes of the registry of which nobody served anything: probably off."""
        return self._members - self.descriptors.keys()

    def _read(self, element: bytes, report: SourceReport) -> Descriptor | None:
        # The node id stands behind the format byte: no signature is verified for a
        # stranger, nor twice for the same bytes.
        node_id = NodeId(element[1 : 1 + NODE_ID_SIZE])
        if len(node_id) == NODE_ID_SIZE and node_id not in self._members:
            report.strangers += 1
            return None
        if self._raw.get(node_id) == element:
            return self.descriptors[node_id]
        try:
            return Descriptor.decode(element, self._network)
        except DecodeError:
            report.malformed += 1
            return None

    def _judge(
        self,
        descriptor: Descriptor,
        element: bytes,
        report: SourceReport,
        unix_now: UnixTime,
    ) -> None:
        node_id = descriptor.node_id
        if not descriptor.is_current(unix_now):
            report.expired += 1
            return
        report.served.add(node_id)
        if descriptor.sequence < self.highest.get(node_id, 0):
            report.older += 1
            return
        held = self.descriptors.get(node_id)
        if held is not None and descriptor.sequence == held.sequence:
            self._compare(held, descriptor)
            return
        report.fresh += 1
        self._hold(descriptor, element)

    def _compare(self, held: Descriptor, other: Descriptor) -> None:
        """Keep the first of two with one sequence; note it if they differ."""
        proof = equivocation(held, other)
        known = {found.node_id for found in self.proofs}
        if proof and proof.node_id not in known and len(known) < MAX_PROOFS:
            self.proofs.append(proof)

    def _hold(self, descriptor: Descriptor, raw: bytes) -> None:
        node_id = descriptor.node_id
        highest = max(descriptor.sequence, self.highest.get(node_id, 0))
        self.highest[node_id] = highest
        self.descriptors[node_id] = descriptor
        self._raw[node_id] = raw


def _total(report: SourceReport) -> int:
    return (
        len(report.served)
        + report.expired
        + report.strangers
        + report.doubled
        + report.malformed
    )
