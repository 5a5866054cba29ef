"""What Relays says, from its words."""

from dataclasses import replace

import pytest

from psp.directory.chain import layout
from psp.directory.chain.state import (
    DAY,
    IN_FORCE,
    ElectionState,
    StateError,
    list_slots,
    read_state,
    state_slots,
)
from psp.testing.chain import BOOK, USERS, MemoryContracts
from psp.testing.directory import START

HOUR = 3_600
TODAY = START // DAY


def contracts(**lists):
    made = MemoryContracts()
    for name, numbers in lists.items():
        made.elect(int(name.removeprefix("e")), numbers)
    return made


def words_at(made, timestamp):
    first = {slot: made.relays.get(slot, 0) for slot in state_slots(timestamp)}
    rest = list_slots(first, timestamp)
    return first | {slot: made.relays.get(slot, 0) for slot in rest}


def at(made, epoch, *, seconds=0):
    timestamp = START + (epoch - 4) * HOUR + seconds
    return read_state(words_at(made, timestamp), timestamp)


def test_parameters():
    state = at(contracts(), 9)

    assert (state.genesis, state.epoch_length, state.unbonding) == (
        START,
        HOUR,
        2 * HOUR,
    )
    assert (state.seats, state.seed_delay, state.strategy) == (8, 3, 0)
    assert (state.sortition, state.self_only, state.min_stake) == (True, False, 10**17)
    assert (state.book, state.users, state.epoch) == (BOOK, USERS, 9)


def test_few_words_tell_it():
    assert len(state_slots(START)) == len(set(state_slots(START))) == 43


def test_nobody_elected():
    state = at(contracts(), 4)

    assert (state.list_epoch, state.elected, state.list_start) == (0, (), 0)
    assert (state.retiring_epoch, state.retiring) == (0, ())


def test_the_list_of_this_epoch_is_in_force_and_the_one_before_retires():
    state = at(contracts(e9=[5, 3, 4], e8=[3, 1], e10=[7]), 9)

    assert (state.list_epoch, state.elected) == (9, (3, 4, 5))
    assert (state.retiring_epoch, state.retiring) == (8, (1, 3))
    assert state.list_start == START + 5 * HOUR


@pytest.mark.parametrize("back", range(IN_FORCE))
def test_a_list_stays_in_force_for_three_epochs_if_no_other_is_made(back):
    state = at(contracts(e9=[5], e8=[2]), 9 + back)

    assert (state.list_epoch, state.elected) == (9, (5,))
    assert (state.retiring_epoch, state.retiring) == (
        (8, (2,)) if back < 3 else (0, ())
    )


def test_after_three_epochs_nothing_is_in_force():
    state = at(contracts(e9=[5], e8=[2]), 12)

    assert (state.list_epoch, state.elected, state.retiring) == (0, (), ())


def test_the_list_of_three_epochs_ago_retires_until_its_place_is_taken():
    made = contracts(e9=[5], e12=[6])
    before = at(made, 12)
    made.elect(13, [1])
    after = at(made, 12)

    assert (before.elected, before.retiring_epoch, before.retiring) == ((6,), 9, (5,))
    assert (after.elected, after.retiring_epoch, after.retiring) == ((6,), 0, ())


def test_the_next_list_is_not_in_force():
    assert at(contracts(e10=[7]), 9).elected == ()


def test_an_emptied_list_is_none():
    made = contracts(e9=[5], e8=[2])
    made.elect(9, [])

    assert at(made, 9).elected == (2,)


def test_the_seed_of_the_next_list():
    made = contracts()
    asked, drawn = [], []
    made.draw(9, 900)
    asked.append(at(made, 8))
    drawn.append(at(made, 9))
    made.draw(9, 900, b"s" * 32)
    asked.append(at(made, 8))
    drawn.append(at(made, 9))

    assert [(s.seed_target, s.next_seed) for s in asked] == [
        (900, b""),
        (900, b"s" * 32),
    ]
    assert [(s.seed_target, s.next_seed) for s in drawn] == [(0, b""), (0, b"")]


def test_trusted_nodes_rise_and_stand_once():
    made = contracts()
    made.trust([9, 2, 2, 5])
    made.trust([7, 2, 2])

    assert at(made, 4).trusted == (2, 7)


def test_values_of_the_days_around():
    made = contracts()
    for day in range(TODAY - 20, TODAY + 3):
        made.set_beacon(day, day.to_bytes(32))

    beacons = at(made, 4).beacons

    assert beacons == {d: d.to_bytes(32) for d in range(TODAY - 8, TODAY + 2)}


def test_a_chain_may_begin_at_the_beginning_of_time():
    made = MemoryContracts(genesis=5)
    made.set_beacon(0, b"b" * 32)

    state = read_state(words_at(made, 5), 5)

    assert (state.epoch, state.beacons) == (4, {0: b"b" * 32})


@pytest.mark.parametrize(
    "change",
    [
        {layout.RELAYS_PARAMS: 0},
        {layout.RELAYS_PARAMS: 1 << 176},
        {layout.RELAYS_MIN_STAKE: 0},
        {layout.RELAYS_MIN_STAKE: 1 << 96},
        {layout.RELAYS_BOOK: 0},
        {layout.RELAYS_BOOK: 1 << 160},
        {layout.RELAYS_USERS: 1 << 160},
        {layout.RELAYS_TRUSTED: 17},
        {layout.RELAYS_TRUSTED: 1 << 255},
        {layout.RELAYS_TRUSTED + 1: 0},
        {layout.RELAYS_TRUSTED + 1: 1 << 32},
        {layout.RELAYS_HEAP_META + 1: 10 << 32 | 1},  # in the place of epoch 9
        {layout.RELAYS_HEAP_META + 1: 13 << 32 | 1},  # of a time to come
        {layout.RELAYS_HEAP_META + 1: 1 << 32 | 1},  # from before the first
        {layout.RELAYS_HEAP_META + 1: 9 << 32 | 9},  # more than there are seats
        {layout.RELAYS_HEAP_META + 1: 9 << 32 | 257},
        {layout.RELAYS_HEAP_META + 1: 1 << 255},
        {layout.RELAYS_HEAPS + 256: 7 << 32},  # number 0
        {layout.RELAYS_HEAPS + 256: 5 << 32 | 4},  # a number twice
    ],
)  # fmt: skip
def test_contradictions_are_refused(change):
    made = contracts(e9=[3, 4], e8=[1])
    made.trust([2])
    made.relays.update(change)

    with pytest.raises(StateError):
        at(made, 9)


@pytest.mark.parametrize(
    ("first", "bits"),
    [(0, 64), (128, 16), (160, 8), (168, 8)],  # genesis, seats, flags, strategy
)
def test_parameters_that_no_contract_has_are_refused(first, bits):
    made = contracts()
    made.relays[layout.RELAYS_PARAMS] |= ((1 << bits) - 1) << first

    with pytest.raises(StateError):
        at(made, 4)


def test_epochs_have_a_length():
    made = contracts()
    made.relays[layout.RELAYS_PARAMS] &= ~(((1 << 32) - 1) << 64)

    with pytest.raises(StateError):
        at(made, 4)


def test_a_block_before_genesis_is_refused():
    words = words_at(contracts(), START)

    with pytest.raises(StateError):
        read_state(words, START - 1)


GOOD = ElectionState(
    genesis=START,
    epoch_length=HOUR,
    unbonding=2 * HOUR,
    seats=2,
    seed_delay=3,
    sortition=True,
    self_only=True,
    strategy=0,
    min_stake=1,
    book=BOOK,
    users=USERS,
    epoch=9,
    list_epoch=9,
    elected=(1, 2),
    retiring_epoch=7,
    retiring=(2, 3),
)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 3},
        {"elected": ()},
        {"list_epoch": 0},
        {"list_epoch": 10},
        {"list_epoch": 6, "retiring_epoch": 0, "retiring": ()},
        {"elected": (2, 1)},
        {"elected": (1, 1)},
        {"elected": (0, 1)},
        {"elected": (1, 1 << 32)},
        {"elected": (1, 2, 3)},
        {"retiring": ()},
        {"retiring_epoch": 0},
        {"retiring_epoch": 9},
        {"retiring_epoch": 5},
        {"trusted": tuple(range(1, 18))},
        {"next_seed": b"s" * 32},
        {"next_seed": b"s", "seed_target": 1},
        {"seed_target": 1 << 64},
        {"beacons": {1: b"short"}},
        {"beacons": {-1: bytes(32)}},
        {"beacons": {day: bytes(32) for day in range(11)}},
        {"book": b"b"},
        {"unbonding": 1 << 32},
        {"seed_delay": 1 << 16},
    ],
)
def test_no_state_contradicts_itself(change):
    with pytest.raises(StateError):
        replace(GOOD, **change)
