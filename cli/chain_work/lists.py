"""Lists of discovery nodes, for people: who is on one, and what proves it."""

from dataclasses import dataclass

from cli.chain_work.amounts import ether
from cli.chain_work.chain import COMPLETENESS, Chain
from cli.chain_work.shipped import shipped
from discovery.election import number_of, weight_at_start
from discovery.replay.client import held_keys, replay
from discovery.replay.draw import Replay
from psp.directory.chain.layout import RELAYS_WEIGHTS, RING, mapping_slot
from psp.directory.chain.listed import NotCounted
from psp.directory.chain.records import NodeList, NodeStatus
from psp.directory.chain.state import ElectionState
from psp.errors import PspError
from psp.netdoc.node_entry import endpoint_text
from psp.netdoc.node_record import NodeRecord
from psp.runtime.chain_reader import Reading


class NoListError(PspError):
    """There is no such list."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One node on a list.

    Attributes:
        number: On the chain.
        record: What it signed; None if it does not count now.
        reason: Why it does not count; empty if it does.
        weight: Wei that count for it in the present epoch.
    """

    number: int
    record: NodeRecord | None
    reason: str
    weight: int

    @property
    def identity(self) -> str:
        """Its id in hex digits; empty if it has none that counts."""
        return "" if self.record is None else self.record.node_id.hex()

    @property
    def places(self) -> list[str]:
        """Its endpoints."""
        return (
            []
            if self.record is None
            else list(map(endpoint_text, self.record.endpoints))
        )

    @property
    def figures(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "number": self.number,
            "id": self.identity,
            "stake_wei": self.weight,
            "endpoints": self.places,
            "counts": not self.reason,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class ShownList:
    """One list.

    Attributes:
        epoch: Of the list.
        seats: Who is on it, best draw first.
        is_in_force: Whether readers use it now.
        reading: The registry it was read from, proven.
    """

    epoch: int
    seats: tuple[Seat, ...]
    is_in_force: bool
    reading: Reading


async def read_list(chain: Chain, epoch: int | None) -> ShownList:
    """Read a list at the newest agreed block.

    Args:
        chain: The chain.
        epoch: Of the list; None for the one in force.

    Raises:
        NoListError: If there is none, or it is not held any more.
        ChainReadError: If the chain cannot be read.
    """
    reader = chain.reader(reads_users=False)
    reading = await reader.read()
    view, header = reading.view, reading.agreed.header
    state, registry = view.state, chain.network.registry
    wanted = state.list_epoch if epoch is None else epoch
    if not wanted:
        raise NoListError(
            f"no list is in force in epoch {state.epoch}: nobody was elected for it or "
            "the two before; the trusted nodes are asked instead"
        )
    relays = await reader.prove_relays(header)
    keys = await held_keys(reader, header, relays, registry, wanted)
    if keys is None:
        raise NoListError(_why_not(wanted, state))
    numbers = [number_of(key) for key in sorted(keys)]
    slots = {number: mapping_slot(RELAYS_WEIGHTS, number) for number in numbers}
    proven = await reader.prove(header, registry, tuple(slots.values()))
    seats = tuple(
        _seat(view.nodes, number, proven.words[slots[number]], state.epoch)
        for number in numbers
    )
    return ShownList(wanted, seats, wanted == state.list_epoch, reading)


@dataclass(frozen=True, slots=True)
class Verification:
    """What is proven of a list.

    Attributes:
        shown: The list.
        draw: Recomputed.
        endpoints: How many were asked.
    """

    shown: ShownList
    draw: Replay
    endpoints: int

    @property
    def is_good(self) -> bool:
        """Whether the list is what the shipped contract's rules make it."""
        return self.draw.matches and all(shipped(self.shown.reading.view).values())

    @property
    def figures(self) -> dict[str, object]:
        """The same for programs."""
        reading = self.shown.reading
        return {
            "agreed": reading.agreed.voices,
            "endpoints": self.endpoints,
            "completeness": reading.completeness.value,
            "signed": self._signed,
            "code_shipped": shipped(reading.view),
            "draw_matches": self.draw.matches,
            "draw_faults": list(self.draw.faults),
        }

    @property
    def rows(self) -> list[list[str]]:
        """The same for people."""
        view, agreed = self.shown.reading.view, self.shown.reading.agreed
        foreign = [name for name, is_ours in shipped(view).items() if not is_ours]
        code = f"{', '.join(foreign)}: not as shipped" if foreign else "as shipped"
        voices = f"{agreed.voices} of {self.endpoints} endpoints agree on it"
        signed = f"{self._signed} of {len(self.shown.seats)} have signed their record"
        return [
            ["block", f"{view.height:,}; {voices}"],
            ["list, stakes", "proven against the state root of that block"],
            ["records", COMPLETENESS[self.shown.reading.completeness]],
            ["signatures", signed],
            ["contracts", code],
            ["draw", draw_sentence(self.draw)],
        ]

    @property
    def _signed(self) -> int:
        return sum(seat.record is not None for seat in self.shown.seats)


async def verify(chain: Chain, shown: ShownList) -> Verification:
    """Recompute a list's draw, and say what is proven about it.

    Raises:
        ChainReadError: If the chain cannot be read.
    """
    done = await replay(
        chain.rpcs, chain.network, shown.epoch, quorum=chain.target.quorum
    )
    return Verification(shown, done, len(chain.rpcs))


def draw_sentence(done: Replay) -> str:
    """Return how a recomputed draw compares, for people."""
    if not done.matches:
        return f"does not match: {'; '.join(done.faults)}"
    if not done.places:
        return "matches: nobody was nominated, nobody is elected"
    basis = (
        "the list that the contract holds" if done.is_held else "the contract's events"
    )
    return (
        f"matches {basis}: {len(done.elected)} elected of {len(done.places)} nominated"
    )


def draw_rows(done: Replay, nodes: NodeList) -> list[list[str]]:
    """Return the places of a draw for people, best first."""
    return [
        [
            str(place.number),
            short_id(nodes, place.number),
            ether(place.weight),
            "elected" if place.is_elected else "",
        ]
        for place in done.places
    ]


def draw_figures(done: Replay, nodes: NodeList) -> dict[str, object]:
    """Return a draw for programs."""
    return {
        "epoch": done.epoch,
        "matches": done.matches,
        "is_final": done.is_final,
        "is_held": done.is_held,
        "seed": f"0x{done.seed.hex()}",
        "seed_block": done.seed_height,
        "elected": list(done.elected),
        "elected_ids": [
            nodes.numbers[number].hex() if number in nodes.numbers else ""
            for number in done.elected
        ],
        "stored": list(done.stored),
        "places": [
            {
                "number": place.number,
                "weight_wei": place.weight,
                "stake_at_start_wei": done.weights[place.number],
                "key": hex(place.key),
                "elected": place.is_elected,
            }
            for place in done.places
        ],
        "faults": list(done.faults),
    }


def short_id(nodes: NodeList, number: int) -> str:
    """Return the beginning of a node's id, or why it does not count."""
    if number in nodes.numbers:
        return f"{nodes.numbers[number].hex()[:16]}…"
    return _reason(nodes, number)


def _seat(nodes: NodeList, number: int, word: int, epoch: int) -> Seat:
    weight = weight_at_start(word, epoch)
    node_id = nodes.numbers.get(number)
    if node_id is None:
        return Seat(number, None, _reason(nodes, number), weight)
    return Seat(number, nodes.nodes[node_id], "", weight)


def _reason(nodes: NodeList, number: int) -> str:
    if not 0 < number <= len(nodes.listed):
        return "unknown"
    verdict = nodes.verdicts[number - 1]
    if isinstance(verdict, NotCounted):
        return str(verdict)
    if nodes.listed[number - 1].status is NodeStatus.REVOKED:
        return str(NotCounted.REVOKED)
    return str(NotCounted.DOUBLE)


def _why_not(epoch: int, state: ElectionState) -> str:
    if epoch > state.epoch + 1:
        return f"the list of epoch {epoch} is not begun; the chain is in {state.epoch}"
    if epoch > state.epoch + 1 - RING:
        return f"nobody was elected for epoch {epoch}"
    return (
        f"the list of epoch {epoch} is not held any more, the chain is in {state.epoch}; "
        f"psp discovery elect --replay {epoch} recomputes it"
    )
