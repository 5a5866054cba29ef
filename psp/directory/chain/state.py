"""What Relays says at one block: parameters, elected and trusted nodes, daily values.

Words are asked for in two steps, because only the first tell which lists are in force::

    state_slots   parameters, addresses, trusted nodes, sizes of the four lists, seeds,
                  values of ten days
    list_slots    the entries of the list in force and of the one before it

Lists lie in a ring of four by epoch: the next one, which is being made, the present one
and the two before. In force is the newest of the last three that has an entry. Nodes of
the list before it retire: they still hold what was stored with them. All words are
proven when they come here, so whatever cannot be is a contract that is not ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from psp.directory.chain import layout
from psp.directory.chain.layout import (
    FIRST_EPOCH,
    MAX_SEATS,
    MAX_TRUSTED,
    RING,
    WORD,
    epoch_at,
    epoch_start,
    mapping_slot,
)
from psp.errors import DecodeError
from psp.units import UnixTime

DAY = 86_400
BEACON_LOOK_BACK = 7
"""Days for which the value of an earlier day stands in where none was drawn."""
MAX_BEACONS = BEACON_LOOK_BACK + 3
"""From the look-back of yesterday to tomorrow: near midnight three days are in use."""
IN_FORCE = RING - 1
"""Epochs for which a list may stay in force, its own included."""

_M32 = (1 << 32) - 1
_M64 = (1 << 64) - 1
_MAX_STAKE = 1 << 96


class StateError(DecodeError):
    """The contract's words contradict each other: it is not one of ours."""


@dataclass(frozen=True, slots=True)
class ElectionState:
    """What Relays says at one block.

    Attributes:
        genesis: When the first epoch began.
        epoch_length: Seconds.
        unbonding: Seconds until stake that was taken back can be withdrawn.
        seats: Of a list, at most 256.
        seed_delay: Blocks between the request for a seed and its draw.
        sortition: Whether seats are drawn in proportion to stake, or go to the largest.
        self_only: Whether nodes are nominated by their own operators only.
        strategy: What weight means; 0, stake, is the only one.
        min_stake: Of one node, in wei.
        book: Address of NodeBook, 20 bytes.
        users: Address of Users, 20 bytes.
        epoch: Of the block.
        list_epoch: That the list in force was made for; 0 if there is none.
        elected: Numbers of its nodes, rising; they may have been ended since.
        retiring_epoch: That the list before was made for; 0 if there is none.
        retiring: Numbers of its nodes, rising; some may be elected again.
        seed_target: Block behind which the seed of the next list is drawn; 0 as long
            as nobody has asked for one.
        next_seed: That seed, 32 bytes, or empty as long as it is not drawn.
        trusted: Numbers of the trusted partners' nodes, rising.
        beacons: Random bytes by day; days without a draw are missing.
    """

    genesis: UnixTime
    epoch_length: int
    unbonding: int
    seats: int
    seed_delay: int
    sortition: bool
    self_only: bool
    strategy: int
    min_stake: int
    book: bytes
    users: bytes
    epoch: int
    list_epoch: int = 0
    elected: tuple[int, ...] = field(default=(), repr=False)
    retiring_epoch: int = 0
    retiring: tuple[int, ...] = field(default=(), repr=False)
    seed_target: int = 0
    next_seed: bytes = field(default=b"", repr=False)
    trusted: tuple[int, ...] = field(default=(), repr=False)
    beacons: Mapping[int, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse contradictions, wherever the state was read from.

        Raises:
            StateError: If there is one.
        """
        fault = _parameter_fault(self) or _list_fault(self) or _draw_fault(self)
        if fault:
            raise StateError(fault)

    @property
    def list_start(self) -> UnixTime:
        """When the list in force came into force; 0 if there is none."""
        if not self.list_epoch:
            return UnixTime(0)
        return epoch_start(self.list_epoch, self.genesis, self.epoch_length)


def state_slots(timestamp: int) -> tuple[int, ...]:
    """Return the slots of Relays to ask for first, at a block of this time."""
    return (
        layout.RELAYS_PARAMS,
        layout.RELAYS_MIN_STAKE,
        layout.RELAYS_BOOK,
        layout.RELAYS_USERS,
        *_run(layout.RELAYS_TRUSTED, 1 + MAX_TRUSTED),
        *_run(layout.RELAYS_HEAP_META, RING),
        *_run(layout.RELAYS_SEED_TARGET, RING),
        *_run(layout.RELAYS_SEEDS, RING),
        *_beacon_slots(timestamp).values(),
    )


def list_slots(words: Mapping[int, int], timestamp: int) -> tuple[int, ...]:
    """Return the slots of the lists, none if nobody was ever elected.

    Args:
        words: Proven, of all `state_slots`.
        timestamp: Of the block.

    Raises:
        StateError: If the words contradict each other.
    """
    epoch, _ = _parameters(words, timestamp)
    lists = _lists(words, epoch)
    return tuple(slot for listed in lists for slot in _entry_slots(listed))


def read_state(words: Mapping[int, int], timestamp: int) -> ElectionState:
    """Read all of it.

    Args:
        words: Proven, of all `state_slots` and `list_slots` of one block.
        timestamp: Of the block.

    Raises:
        StateError: If the words contradict each other.
    """
    epoch, parameters = _parameters(words, timestamp)
    lists = [(listed[0], _entries(words, listed)) for listed in _lists(words, epoch)]
    (list_epoch, elected), (retiring_epoch, retiring) = (*lists, (0, ()), (0, ()))[:2]
    target, seed = _next_seed(words, epoch)
    beacons = {
        day: words[slot].to_bytes(WORD)
        for day, slot in _beacon_slots(timestamp).items()
        if words[slot]
    }
    return ElectionState(
        genesis=UnixTime(parameters[0]),
        epoch_length=parameters[1],
        unbonding=parameters[2],
        seats=parameters[3],
        seed_delay=parameters[4],
        sortition=bool(parameters[5] & 1),
        self_only=bool(parameters[5] & 2),
        strategy=parameters[6],
        min_stake=words[layout.RELAYS_MIN_STAKE],
        book=_address(words[layout.RELAYS_BOOK]),
        users=_address(words[layout.RELAYS_USERS]),
        epoch=epoch,
        list_epoch=list_epoch,
        elected=elected,
        retiring_epoch=retiring_epoch,
        retiring=retiring,
        seed_target=target,
        next_seed=seed,
        trusted=_trusted(words),
        beacons=beacons,
    )


_Listed = tuple[int, int]
"""Epoch of a list, and how many entries it has."""


def _parameters(
    words: Mapping[int, int], timestamp: int
) -> tuple[int, tuple[int, ...]]:
    """Return the epoch and the fields of the word of parameters, low to high."""
    word = words[layout.RELAYS_PARAMS]
    fields: list[int] = []
    for bits in (64, 32, 32, 16, 16, 8, 8):
        fields.append(word & ((1 << bits) - 1))
        word >>= bits
    genesis, length, flags = fields[0], fields[1], fields[5]
    if word or flags > 3 or not length or not 0 < genesis <= timestamp:
        raise StateError("not the parameters of an election")
    return epoch_at(timestamp, genesis, length), tuple(fields)


def _lists(words: Mapping[int, int], epoch: int) -> list[_Listed]:
    """Return the list in force and the one before it, as far as there are any.

    Before the first nomination for the next epoch its place in the ring still holds the
    list of three epochs ago, which was in force in the epoch before this one if none
    has been made since.
    """
    sizes: dict[int, int] = {}
    for ring in range(RING):
        tag, size = divmod(words[layout.RELAYS_HEAP_META + ring], 1 << 32)
        if tag and (tag % RING != ring or not FIRST_EPOCH <= tag <= epoch + 1):
            raise StateError("a list of an epoch that cannot be")
        if size > MAX_SEATS:
            raise StateError(f"a list of {size} nodes")
        sizes[tag] = size
    held = [
        tag for tag in range(epoch, epoch - IN_FORCE - 1, -1) if tag and sizes.get(tag)
    ]
    if not held or held[0] == epoch - IN_FORCE:
        return []
    return [(tag, sizes[tag]) for tag in held[:2]]


def _entry_slots(listed: _Listed) -> range:
    epoch, size = listed
    return _run(layout.RELAYS_HEAPS + epoch % RING * MAX_SEATS, size)


def _entries(words: Mapping[int, int], listed: _Listed) -> tuple[int, ...]:
    """Return the numbers on a list, rising: the heap's order means nothing."""
    return tuple(sorted(words[slot] & _M32 for slot in _entry_slots(listed)))


def _next_seed(words: Mapping[int, int], epoch: int) -> tuple[int, bytes]:
    ring = (epoch + 1) % RING
    target = words[layout.RELAYS_SEED_TARGET + ring]
    if target >> 64 != epoch + 1:
        return 0, b""
    seed = words[layout.RELAYS_SEEDS + ring]
    return target & _M64, seed.to_bytes(WORD) if seed else b""


def _trusted(words: Mapping[int, int]) -> tuple[int, ...]:
    count = words[layout.RELAYS_TRUSTED]
    if count > MAX_TRUSTED:
        raise StateError(f"{count} trusted nodes")
    # What lies behind the last one is left over from a longer list; an administrator
    # may have named a node twice.
    return tuple(sorted({words[s] for s in _run(layout.RELAYS_TRUSTED + 1, count)}))


def _address(word: int) -> bytes:
    if word >> 160:
        raise StateError("not an address")
    return word.to_bytes(20)


def _beacon_slots(timestamp: int) -> dict[int, int]:
    """Return the slot of each day's value that may be needed about this time."""
    today = timestamp // DAY
    days = range(max(0, today - 1 - BEACON_LOOK_BACK), today + 2)
    return {day: mapping_slot(layout.RELAYS_BEACONS, day) for day in days}


def _run(first: int, count: int) -> range:
    return range(first, first + count)


# ---- contradictions, in a sentence each


def _parameter_fault(state: ElectionState) -> str:
    if not 0 < state.genesis <= _M64 or state.epoch < FIRST_EPOCH:
        return f"epoch {state.epoch} of an election since {state.genesis}"
    if not 0 < state.epoch_length <= _M32 or not 0 <= state.unbonding <= _M32:
        return f"epochs of {state.epoch_length} s, unbonding of {state.unbonding} s"
    if not 0 < state.seats <= MAX_SEATS or not 0 <= state.seed_delay < 1 << 16:
        return f"{state.seats} seats, a seed after {state.seed_delay} blocks"
    if state.strategy or not 0 < state.min_stake < _MAX_STAKE:
        return f"weights by strategy {state.strategy}, at least {state.min_stake}"
    if len(state.book) != 20 or len(state.users) != 20 or not any(state.book):
        return "no contracts of records"
    return ""


def _list_fault(state: ElectionState) -> str:
    oldest = state.epoch - IN_FORCE
    if bool(state.list_epoch) != bool(state.elected):
        return "a list without nodes, or nodes without a list"
    if bool(state.retiring_epoch) != bool(state.retiring):
        return "an earlier list without nodes, or nodes without a list"
    if state.list_epoch and not oldest < state.list_epoch <= state.epoch:
        return f"the list of epoch {state.list_epoch} in epoch {state.epoch}"
    if state.retiring_epoch and not oldest <= state.retiring_epoch < state.list_epoch:
        return f"a list of epoch {state.retiring_epoch} before {state.list_epoch}"
    for numbers, limit in (
        (state.elected, state.seats),
        (state.retiring, state.seats),
        (state.trusted, MAX_TRUSTED),
    ):
        if len(numbers) > limit or not _are_numbers(numbers):
            return "not the numbers of nodes"
    return ""


def _draw_fault(state: ElectionState) -> str:
    if not 0 <= state.seed_target <= _M64 or len(state.next_seed) not in {0, WORD}:
        return "not the seed of a list"
    if state.next_seed and not state.seed_target:
        return "a seed that nobody has asked for"
    if len(state.beacons) > MAX_BEACONS or any(
        day < 0 or len(value) != WORD for day, value in state.beacons.items()
    ):
        return "not the random values of some days"
    return ""


def _are_numbers(numbers: Sequence[int]) -> bool:
    rising = all(a < b for a, b in pairwise(numbers))
    return rising and (not numbers or (numbers[0] > 0 and numbers[-1] <= _M32))
