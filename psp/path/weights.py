"""How likely each relay is to be chosen (R-PATH-2).

Until others have measured a relay's bandwidth every *operator* weighs the same, however
many relays it runs: many relays are cheap, operators are what stake buys. Measured
weights are capped, so that no operator ever carries more than max(5 %, 1/operators) of
the traffic. A relay's own word about its speed never counts: it is free to lie.
"""

import itertools
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from psp.entropy import Entropy
from psp.ids import NodeId
from psp.netdoc.node_record import NodeRecord

UNIT = 1 << 40
"""All weights together. Whole numbers make a draw exact."""
OPERATOR_CAP = 0.05
SLOWEST = 1e-6
"""Of the fastest: below that a measurement is a mistake, and floats run out."""
QUICK_DRAWS = 16
"""Blind draws before filtering: our guess, costs 16 x 2 us when all miss."""


def node_weights(
    nodes: Iterable[NodeRecord], measured: Mapping[NodeId, float] | None = None
) -> dict[NodeId, int]:
    """Return the weight of every node; all together about `UNIT`, each at least 1.

    Args:
        nodes: The nodes to choose from.
        measured: Bandwidth as measured by others, in any unit; None until it is. A
            node without a measurement counts as the slowest measured one.
    """
    by_operator: dict[bytes, list[NodeId]] = defaultdict(list)
    for node in nodes:
        by_operator[node.operator].append(node.node_id)
    if measured is None:
        speeds = dict.fromkeys(itertools.chain.from_iterable(by_operator.values()), 1.0)
        shares = dict.fromkeys(by_operator, 1.0)
    else:
        positive = [speed for speed in measured.values() if speed > 0] or [1.0]
        slowest = max(min(positive), max(positive) * SLOWEST)
        speeds = {
            node_id: max(measured.get(node_id, slowest), slowest)
            for ids in by_operator.values()
            for node_id in ids
        }
        shares = {
            op: sum(map(speeds.__getitem__, ids)) for op, ids in by_operator.items()
        }
    shares = _capped(shares)
    weights: dict[NodeId, int] = {}
    for operator, ids in by_operator.items():
        total = sum(speeds[node_id] for node_id in ids)
        for node_id in ids:
            share = shares[operator] * speeds[node_id] / total
            weights[node_id] = max(1, round(share * UNIT))
    return weights


class Wheel:
    """Nodes to draw from by weight, again and again."""

    def __init__(
        self, nodes: Iterable[NodeRecord], weights: Mapping[NodeId, int]
    ) -> None:
        """Take the nodes that have a weight; the others are never drawn."""
        self._nodes = [node for node in nodes if weights.get(node.node_id, 0) > 0]
        self._sums = list(
            itertools.accumulate(weights[node.node_id] for node in self._nodes)
        )

    def draw(
        self, entropy: Entropy, fits: Callable[[NodeRecord], bool]
    ) -> NodeRecord | None:
        """Return one node that fits, drawn by weight; None if none does."""
        # Refusing what does not fit leaves the right odds among what does, and spares
        # a look at 10,000 nodes; only a tight choice comes to the filter.
        for _ in range(QUICK_DRAWS if self._nodes else 0):
            if fits(node := self._spin(entropy)):
                return node
        fitting = [i for i, node in enumerate(self._nodes) if fits(node)]
        sums = list(itertools.accumulate(map(self._weight, fitting)))
        if not sums:
            return None
        return self._nodes[fitting[bisect_right(sums, entropy.below(sums[-1]))]]

    def _spin(self, entropy: Entropy) -> NodeRecord:
        return self._nodes[bisect_right(self._sums, entropy.below(self._sums[-1]))]

    def _weight(self, index: int) -> int:
        return self._sums[index] - (self._sums[index - 1] if index else 0)


def known_fraction(
    weights: Mapping[NodeId, int], known: Iterable[NodeId], hops: int = 3
) -> float:
    """Return the share of weighted paths whose every hop is known (R-PATH-3)."""
    total = sum(weights.values())
    share = (
        sum(weights.get(node_id, 0) for node_id in set(known)) / total if total else 0
    )
    return float(share**hops)


def _capped(shares: Mapping[bytes, float]) -> dict[bytes, float]:
    """Scale shares to sum 1 with none above the cap; what is cut goes to the others."""
    total = sum(shares.values())
    if not total:
        return {}
    cap = max(OPERATOR_CAP, 1 / len(shares))
    fixed: dict[bytes, float] = {}
    free = {operator: share / total for operator, share in shares.items()}
    # Each round fixes at least one operator at the cap, or is the last.
    while over := [operator for operator, share in free.items() if share > cap]:
        for operator in over:
            fixed[operator] = cap
            del free[operator]
        left, rest = 1 - cap * len(fixed), sum(free.values())
        free = {op: share * left / rest for op, share in free.items()} if rest else {}
    return fixed | free
