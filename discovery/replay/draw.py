"""What the election of a list must have come to, and whether it did: pure.

A list of epoch N is made in epoch N-1. The seed follows from the header of the block that
drew it, weights from every vote since the registry was founded, and the nominations from
their events. The smallest keys win (`discovery.election`). Nothing of it is taken from the
contract's own arithmetic, which is what it is held to.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from discovery.election import draw_key, number_of, seed_of

MAX_FAULTS = 20
"""Sentences that are kept; whoever gets one knows enough."""

Position = tuple[int, int]
"""Block, and place of the event in it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for one list.

    Attributes:
        registry: Address of Relays, 20 bytes.
        epoch: Of the list.
        seats: Its length.
        min_stake: Smallest weight that is elected, wei.
        sortition: A draw in proportion to weight, else the largest weights.
    """

    registry: bytes
    epoch: int
    seats: int
    min_stake: int
    sortition: bool


@dataclass(frozen=True, slots=True)
class Vote:
    """One change of a node's weight.

    Attributes:
        position: When.
        number: Of the node.
        delta: Wei, negative for what was taken away.
        epoch: In which it was made; it counts from the next one on.
    """

    position: Position
    number: int
    delta: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Nomination:
    """One node put up for the list, as the contract reported it.

    Attributes:
        position: When.
        number: Of the node.
        weight: Wei that the contract counted.
        key: What it compared.
    """

    position: Position
    number: int
    weight: int
    key: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """The block in which the seed was drawn.

    Attributes:
        height: Of the block.
        prevrandao: In its header.
        parent_hash: In its header.
        seed: As the contract reported it.
    """

    height: int
    prevrandao: bytes = field(repr=False)
    parent_hash: bytes = field(repr=False)
    seed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """One nominated node in the recomputed draw.

    Attributes:
        number: Of the node.
        weight: Wei, recomputed.
        key: Recomputed.
        is_elected: Whether it has a seat.
    """

    number: int
    weight: int
    key: int
    is_elected: bool


@dataclass(frozen=True, slots=True)
class Replay:
    """An election, recomputed and compared.

    Attributes:
        epoch: Of the list.
        seed: Recomputed, 32 bytes; empty if none was drawn.
        seed_height: Block that drew it; 0 for none.
        weights: Wei at the start of the epoch before, of the nominated, by number.
        places: All nominated nodes, best first.
        stored: Numbers on the contract's list, best first.
        is_held: Whether ``stored`` is the list that the contract holds, proven; else
            what its events say, as newer lists have taken its place.
        is_final: Whether the epoch before is over, so that nothing can change.
        faults: What does not fit, in sentences; at most `MAX_FAULTS`.
    """

    epoch: int
    seed: bytes
    seed_height: int
    weights: Mapping[int, int]
    places: tuple[Place, ...]
    stored: tuple[int, ...]
    is_held: bool
    is_final: bool
    faults: tuple[str, ...] = ()

    @property
    def elected(self) -> tuple[int, ...]:
        """Numbers that the recomputed draw elects, best first."""
        return tuple(place.number for place in self.places if place.is_elected)

    @property
    def matches(self) -> bool:
        """Whether the contract did what its rules say."""
        return not self.faults and self.elected == self.stored


def recompute(
    rules: Rules,
    drawing: Drawing | None,
    votes: Sequence[Vote],
    nominations: Sequence[Nomination],
    *,
    held: Sequence[int] | None,
    is_final: bool = True,
) -> Replay:
    """Hold the election again.

    Args:
        rules: What holds.
        drawing: Where the seed came from; None if none was drawn.
        votes: All changes of weight of the nominated nodes since the registry exists.
        nominations: All for this list.
        held: Keys of the list that the contract holds; None if it holds it no more.
        is_final: Whether the epoch of the nominations is over.
    """
    faults: list[str] = []
    seed = _seed(rules, drawing, faults)
    if rules.sortition and nominations and not seed:
        faults.append("nodes were nominated without a seed")
    by_number = _by_number(votes)
    keys: dict[int, tuple[int, int]] = {}
    for nomination in sorted(nominations, key=lambda n: n.position):
        number = nomination.number
        if number in keys:
            faults.append(f"node {number} was nominated twice")
            continue
        weight = _weight(rules, by_number.get(number, ()), nomination.position)
        key = 0
        if weight > 0:
            key = draw_key(seed, number, weight, sortition=rules.sortition)
        keys[number] = (key, weight)
        faults += _unlike(rules, nomination, weight, key)
    ranked = sorted((key, number) for number, (key, _) in keys.items())
    winners = {number for _, number in ranked[: rules.seats]}
    places = tuple(
        Place(number, keys[number][1], key, number in winners) for key, number in ranked
    )
    said = sorted(nomination.key for nomination in nominations)[: rules.seats]
    stored = sorted(held) if held is not None else said
    elected = [place.key for place in places if place.is_elected]
    if stored != elected:
        faults.append(_difference(elected, stored))
    return Replay(
        epoch=rules.epoch,
        seed=seed,
        seed_height=drawing.height if drawing is not None else 0,
        weights={n: _at_start(rules, by_number.get(n, ())) for n in keys},
        places=places,
        stored=tuple(map(number_of, stored)),
        is_held=held is not None,
        is_final=is_final,
        faults=tuple(faults[:MAX_FAULTS]),
    )


def _seed(rules: Rules, drawing: Drawing | None, faults: list[str]) -> bytes:
    if drawing is None:
        return b""
    seed = seed_of(drawing.prevrandao, drawing.parent_hash, rules.epoch, rules.registry)
    if seed != drawing.seed:
        faults.append(
            f"block {drawing.height} gives another seed than the contract reported"
        )
    return seed


def _by_number(votes: Iterable[Vote]) -> Mapping[int, Sequence[Vote]]:
    grouped: dict[int, list[Vote]] = {}
    for vote in votes:
        grouped.setdefault(vote.number, []).append(vote)
    return grouped


def _at_start(rules: Rules, votes: Iterable[Vote]) -> int:
    """Return the weight when the epoch of the nominations began."""
    return sum(vote.delta for vote in votes if vote.epoch < rules.epoch - 1)


def _weight(rules: Rules, votes: Sequence[Vote], position: Position) -> int:
    """Return what a nomination counts: less what was taken away since the start."""
    now = sum(vote.delta for vote in votes if vote.position < position)
    return min(_at_start(rules, votes), now)


def _unlike(rules: Rules, said: Nomination, weight: int, key: int) -> list[str]:
    """Return what the contract says otherwise of one nomination."""
    name = f"node {said.number}"
    if weight != said.weight:
        return [
            f"{name} has {weight} wei by its votes, the contract counted {said.weight}"
        ]
    if weight < rules.min_stake:
        return [f"{name} has {weight} wei, less than the smallest stake"]
    if key != said.key:
        return [f"the contract drew another key for {name}"]
    return []


def _difference(elected: Sequence[int], stored: Sequence[int]) -> str:
    ours, theirs = ({number_of(key) for key in keys} for keys in (elected, stored))
    missing, extra = sorted(ours - theirs), sorted(theirs - ours)
    if not missing and not extra:
        return "the contract's list has other keys than the draw gives"
    parts = []
    if missing:
        parts.append(f"{_numbers(missing)} should be on it")
    if extra:
        parts.append(f"{_numbers(extra)} should not")
    return f"the contract's list is another: {', '.join(parts)}"


def _numbers(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    return f"node {shown}{' and others' if len(numbers) > 8 else ''}"
