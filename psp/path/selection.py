"""Choosing the relays of a path (R-PATH-1, -3, -4, -5).

====================  ====================================================  ========
purpose               hops                                                  last hop
====================  ====================================================  ========
DIRECTORY, LOOKUP     guard, middle, discovery node                         given
INTRODUCTION          guard, middle, presence point                         given
MAILBOX               guard, middle, presence point                         given
WATCH                 guard, layer-2 guard, middle, presence point          given
WATCH_POINT           guard, layer-2 guard, watch point                     drawn
REGISTRATION          guard, layer-2 guard, presence point                  drawn
RENDEZVOUS_CALLER     guard, middle, rendezvous                             drawn
RENDEZVOUS_CALLEE     guard, layer-2 guard, middle, rendezvous              given
====================  ====================================================  ========

The last hop is chosen first, then the guard, then what lies between, so that a guard
shapes nothing but the middle. With ``length=4`` a random middle is added before the
last hop, with 3 the callee's is left out (a contact with a ticket). No relay that the
client draws as a last hop is a guard or layer-2 guard of its own.

Which relays run is known from their descriptors, which the directory's servers can
withhold. So descriptors narrow the choice only while at least 60 % of weighted paths
remain; else every registered relay counts, and those that are really off cost a failed
build each.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from psp.entropy import Entropy
from psp.ids import NodeId
from psp.netdoc.node_record import NodeRecord
from psp.path.constraints import Constraints
from psp.path.guards import GuardSet
from psp.path.layer2 import Layer2Guards
from psp.path.purpose import NoPath, NoPathError, Purpose
from psp.path.weights import Wheel, known_fraction, node_weights
from psp.path.workers import spread
from psp.units import Monotonic, UnixTime
from psp.wire.endpoint import Endpoint

__all__ = ["NoPath", "NoPathError", "Path", "PathSelector", "Purpose"]

KNOWN_FRACTION = 0.60
"""Share of weighted paths that must be known before the first circuit (R-PATH-3), and
must remain when relays are left out. Fewer would let whoever serves the registry or the
directory decide which paths there are."""
LAST_TRIES = 16
"""Last hops drawn before giving up; only tiny or very lopsided networks need more."""


@dataclass(frozen=True, slots=True)
class Path:
    """A chosen path.

    Attributes:
        hops: The guard first, each with the endpoint to use first: of any worker, where
            nothing else is said.
        overlaps: Nodes in it that are, or go together with, nodes that the caller
            wanted to avoid; empty where possible.
    """

    hops: tuple[NodeRecord, ...]
    overlaps: frozenset[NodeId] = frozenset()

    @property
    def is_disjoint(self) -> bool:
        """Whether nothing was to be avoided in vain."""
        return not self.overlaps


class PathSelector:
    """Chooses paths over one registry. Give it `update` whenever that changes.

    Attributes:
        guards: The client's guards.
        layer2: Its layer-2 guards.
        is_thin: Whether too few relays were known to run, so that all count.
    """

    def __init__(
        self,
        constraints: Constraints,
        guards: GuardSet,
        layer2: Layer2Guards,
        *,
        own: Collection[NodeId] = (),
    ) -> None:
        """Start without any node.

        Args:
            constraints: The rules.
            guards: As read from disk, or new.
            layer2: As read from disk, or new.
            own: This host's own relays, never used.
        """
        self.guards = guards
        self.layer2 = layer2
        self._constraints = constraints
        self._own = frozenset(own)
        self._nodes: dict[NodeId, NodeRecord] = {}
        self._weights: dict[NodeId, int] = {}
        self._running_weights: dict[NodeId, int] = {}
        self._read_share = 0.0
        self.is_thin = False
        self._listed = self._running = Wheel((), {})

    def update(
        self,
        nodes: Mapping[NodeId, NodeRecord],
        unix_now: UnixTime,
        entropy: Entropy,
        *,
        known: Collection[NodeId] | None = None,
        measured: Mapping[NodeId, float] | None = None,
        registered: int | None = None,
    ) -> None:
        """Take over the registry's nodes and refresh both kinds of guards.

        Args:
            nodes: Every node of the registry.
            unix_now: For lifetimes of guards.
            entropy: For new guards.
            known: Nodes known to run, from their descriptors; None before the first
                descriptors are fetched: then all count.
            measured: Bandwidth as others measured it, or None.
            registered: How many nodes the registry has, if ``nodes`` may be a part of
                them only.
        """
        self._nodes = {k: node for k, node in nodes.items() if k not in self._own}
        self._weights = node_weights(self._nodes.values(), measured)
        self._read_share = len(nodes) / max(registered or 0, len(nodes), 1)
        listed = [key for key in self._nodes if known is None or key in known]
        self.is_thin = known_fraction(self._weights, listed) < KNOWN_FRACTION
        self._listed = Wheel(self._nodes.values(), self._weights)
        ids = self._nodes.keys() if self.is_thin else listed
        self._running_weights = {key: self._weights[key] for key in ids}
        self._running = Wheel(self._nodes.values(), self._running_weights)
        # New ones are drawn among relays that run; old ones stay while registered.
        weights = self._running_weights
        self.guards.refresh(self._nodes, weights, unix_now, entropy)
        self.layer2.refresh(
            self._nodes, weights, unix_now, entropy, avoid=self.guards.primary()
        )

    @property
    def known_fraction(self) -> float:
        """The share of paths whose every hop's record has been read."""
        return float(self._read_share**3)

    def choose_path(
        self,
        purpose: Purpose,
        entropy: Entropy,
        now: Monotonic,
        *,
        last: NodeId | None = None,
        endpoint: Endpoint | None = None,
        exclude: Collection[NodeId] = (),
        avoid: Collection[NodeId] = (),
        length: int | None = None,
        use_second_guard: bool = False,
    ) -> Path:
        """Choose a path.

        Args:
            purpose: What for.
            entropy: For the draws.
            now: For guards that may not be tried yet.
            last: The last hop, where the purpose gives it; None draws one.
            endpoint: The last hop's, where somebody waits there; any of its record's.
            exclude: Nodes that must not be in it, such as ones that just failed.
            avoid: Nodes to avoid if possible: the other leg's relays, for a hot spare.
                A relay of the same operator, family or network counts as much.
            length: 3 or 4 hops; None for the purpose's own.
            use_second_guard: True for hot spares only.

        Raises:
            NoPathError: If there is none, with the reason.
        """
        if self._is_limited(purpose) and self.known_fraction < KNOWN_FRACTION:
            raise NoPathError(NoPath.TOO_LITTLE_KNOWN)
        query = _Query(
            purpose,
            length or purpose.length,
            use_second_guard,
            frozenset(exclude),
            tuple(self._nodes[key] for key in avoid if key in self._nodes),
        )
        fixed = self._last_record(last)
        if endpoint and (fixed is None or endpoint not in fixed.endpoints):
            raise NoPathError(NoPath.UNKNOWN_ENDPOINT)
        hops = self._choose(query, fixed, entropy, now)
        overlaps = (
            node.node_id
            for node in hops
            if not self._constraints.allows(node, query.soft)
        )
        spread_hops = spread(
            hops,
            entropy,
            last_is_first_worker=purpose.asks_services,
            last_endpoint=endpoint,
        )
        return Path(spread_hops, frozenset(overlaps))

    def choose_last(
        self,
        purpose: Purpose,
        path: Sequence[NodeRecord],
        entropy: Entropy,
        *,
        last: NodeId | None = None,
        endpoint: Endpoint | None = None,
        exclude: Collection[NodeId] = (),
        avoid: Collection[NodeId] = (),
    ) -> NodeRecord | None:
        """Choose the last hop of a path that was chosen without; None if none fits.

        Args:
            purpose: As the others for `choose_path`.
            path: The hops before it.
            entropy: For the draws.
            last: The last hop, where the purpose gives it.
            endpoint: Its endpoint, where somebody waits there.
            exclude: Nodes it must not be.
            avoid: Nodes it should not be, or go together with.
        """
        soft = tuple(self._nodes[key] for key in avoid if key in self._nodes)
        query = _Query(purpose, len(path) + 1, False, frozenset(exclude), soft)  # noqa: FBT003
        fixed = self._nodes.get(last) if last else None
        if (last and fixed is None) or (
            endpoint and (fixed is None or endpoint not in fixed.endpoints)
        ):
            return None
        for node in self._lasts(query, fixed, entropy):
            if self._constraints.allows(node, path):
                (chosen,) = spread(
                    (node,),
                    entropy,
                    last_is_first_worker=purpose.asks_services,
                    last_endpoint=endpoint,
                )
                return chosen
        return None

    def _last_record(self, last: NodeId | None) -> NodeRecord | None:
        if last is None:
            return None
        record = self._nodes.get(last)
        if record is None:
            raise NoPathError(NoPath.UNKNOWN_LAST)
        return record

    def _choose(
        self,
        query: "_Query",
        fixed: NodeRecord | None,
        entropy: Entropy,
        now: Monotonic,
    ) -> tuple[NodeRecord, ...]:
        failure = NoPath.NO_LAST
        for last in self._lasts(query, fixed, entropy):
            guards = self._guards_for(last, query, now)
            failure = NoPath.NO_MIDDLE if guards else NoPath.NO_GUARD
            for guard in guards:
                between = self._between(query, guard, last, entropy)
                if between is not None:
                    return (guard, *between, last)
        raise NoPathError(failure)

    def _lasts(
        self, query: "_Query", fixed: NodeRecord | None, entropy: Entropy
    ) -> Iterator[NodeRecord]:
        if fixed is not None:
            yield fixed
            return
        barred = {*query.exclude, *self.layer2.node_ids, *self.guards.primary()}
        for _ in range(LAST_TRIES):
            chosen = self._draw(self._wheel(query), barred, (), query, entropy)
            if chosen is None:
                return
            barred.add(chosen.node_id)
            yield chosen

    def _guards_for(
        self, last: NodeRecord, query: "_Query", now: Monotonic
    ) -> list[NodeRecord]:
        """Return guards that fit the last hop, the preferred one first.

        The order is the guards' own: what is to be avoided must not lead a client to
        ever more guards. Only a hot spare chooses, between the two in use.
        """
        order = self.guards.candidates(now)
        if query.use_second_guard:
            avoided = {node.node_id for node in query.soft}
            pair = sorted(order[1::-1], key=avoided.__contains__)
            order = pair + order[2:]
        records = [self._nodes[key] for key in order if key not in query.exclude]
        return [node for node in records if self._constraints.allows(node, (last,))]

    def _between(
        self, query: "_Query", guard: NodeRecord, last: NodeRecord, entropy: Entropy
    ) -> tuple[NodeRecord, ...] | None:
        """Return the hops between guard and last, or None if none fit."""
        chosen: list[NodeRecord] = []
        for position in range(query.length - 2):
            barred: Collection[NodeId] = query.exclude
            wheel = self._wheel(query)
            if query.purpose.uses_layer2 and position == 0:
                wheel = self._layer2_wheel()
            elif query.purpose.uses_layer2:
                # The last hop sees this one: it must not see a layer-2 guard.
                barred = query.exclude | self.layer2.node_ids
            path = (guard, *chosen, last)
            node = self._draw(wheel, barred, path, query, entropy)
            if node is None:
                return None
            chosen.append(node)
        return tuple(chosen)

    def _wheel(self, query: "_Query") -> Wheel:
        return self._running if self._is_limited(query.purpose) else self._listed

    def _layer2_wheel(self) -> Wheel:
        ids = [guard.node_id for guard in self.layer2.guards]
        members = [self._nodes[key] for key in ids if key in self._nodes]
        # One that is off keeps its place, and is drawn only where no other fits.
        running = self._running_weights
        return Wheel(members, {key: running.get(key, 1) for key in ids})

    def _draw(
        self,
        wheel: Wheel,
        barred: Collection[NodeId],
        path: tuple[NodeRecord, ...],
        query: "_Query",
        entropy: Entropy,
    ) -> NodeRecord | None:
        """Draw one clear of what is to be avoided if there is one, else any."""
        allows, soft = self._constraints.allows, query.soft
        avoided = {node.node_id for node in soft}

        def fits(node: NodeRecord) -> bool:
            return node.node_id not in barred and allows(node, path)

        choices: list[Callable[[NodeRecord], bool]] = [fits]
        if soft:
            choices = [
                lambda node: fits(node) and allows(node, soft),
                lambda node: fits(node) and node.node_id not in avoided,
                fits,
            ]
        nodes = (wheel.draw(entropy, choice) for choice in choices)
        return next((node for node in nodes if node is not None), None)

    @staticmethod
    def _is_limited(purpose: Purpose) -> bool:
        # Fetching the directory is how more becomes known.
        return purpose is not Purpose.DIRECTORY


@dataclass(frozen=True, slots=True)
class _Query:
    purpose: Purpose
    length: int
    use_second_guard: bool
    exclude: frozenset[NodeId]
    soft: tuple[NodeRecord, ...]
