"""Recomputing an election from importances, and comparing it with what was published.

The draw is EVM's (`discovery.election.draw_key`): weight is the importance that the chain
computed after the block at which the epoch starts, the seed comes from the generation
hash of a later block, so that nobody could arrange his importance to suit it. On Symbol
that hash is the harvester's VRF output: it can be withheld, but not ground. Symbol
itself counts the smaller of an account's present and previous balance, so stake that
hops between accounts counts once.

What is drawn is the *account*, not the node: an identity can be made to suit a known
seed, an account with importance from before it cannot. Records, however, can still be
added and removed after the seed is known; a list published earlier then differs from a
reader's draw in those places. So differences are shown, and only the nodes in both lists
are used.

Experimental.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from discovery.backend import ElectedList, Standing
from discovery.election import draw_key, seed_of
from discovery.symbol.answers import Block, Importance
from discovery.symbol.config import SymbolConfig
from psp.ids import NodeId

NUMBER_BYTES = 4
"""Of an account that stand for a node's number on EVM."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node and what it stands on.

    Attributes:
        node_id: Its identity.
        target: The account whose importance counts.
        importance: Of that account, as the gateway shows it.
    """

    node_id: NodeId
    target: bytes
    importance: Importance


def draw(
    config: SymbolConfig, epoch: int, seed: Block, candidates: Sequence[Candidate]
) -> tuple[NodeId, ...] | None:
    """Return who is elected, sorted; None if it can no longer be told.

    That is so once newer importances have been computed: gateways show only those.

    Args:
        config: The overlay network.
        epoch: Which one.
        seed: The block at `SymbolConfig.seed_height`.
        candidates: Every active node.
    """
    start = config.start_of(epoch)
    if any(candidate.importance.height > start for candidate in candidates):
        return None
    mixed = seed_of(
        seed.generation_hash, config.generation_hash, epoch, config.partners
    )
    keys = sorted(
        (_key(mixed, candidate), candidate.target, candidate.node_id)
        for candidate in candidates
        if candidate.importance.height == start and candidate.importance.value > 0
    )
    return tuple(sorted(node_id for *_, node_id in keys[: config.seats]))


def judged(
    epoch: int,
    *,
    published: tuple[NodeId, ...] | None,
    computed: tuple[NodeId, ...] | None,
    active: Collection[NodeId],
) -> ElectedList:
    """Return the list to use, and what it rests on.

    Args:
        epoch: Which one.
        published: What the partners published, sorted; None if nothing.
        computed: The reader's own draw, sorted; None if it could make none.
        active: Nodes with a record that counts.
    """
    if computed is None and published is None:
        return ElectedList(epoch, (), Standing.UNKNOWN)
    if computed is None:
        nodes, standing = published or (), Standing.PUBLISHED
    elif published is None:
        nodes, standing = computed, Standing.COMPUTED
    elif published == computed:
        nodes, standing = computed, Standing.RECOMPUTED
    else:
        nodes = tuple(node for node in computed if node in frozenset(published))
        standing = Standing.DISPUTED
    usable = tuple(node for node in nodes if node in active)
    return ElectedList(epoch, usable, standing, published or (), computed or ())


def _key(seed: bytes, candidate: Candidate) -> int:
    number = int.from_bytes(candidate.target[:NUMBER_BYTES])
    return draw_key(seed, number, candidate.importance.value, sortition=True)
