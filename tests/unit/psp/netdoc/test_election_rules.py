"""What the contracts of a network were made with."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.netdoc.election_rules import Rules
from psp.wire.buffer import Reader

RULES = Rules(
    genesis=1_790_000_000,
    epoch_length=86_400,
    unbonding=7 * 86_400,
    seats=4,
    seed_delay=3,
    sortition=True,
    self_only=False,
    strategy=0,
    min_stake=10**18,
    book=b"\x0b" * 20,
    users=b"\x05" * 20,
    code_hashes=(b"\x01" * 32, b"\x02" * 32, b"\x03" * 32),
)


@given(
    st.builds(
        Rules,
        genesis=st.integers(0, 2**64 - 1),
        epoch_length=st.integers(1, 2**32 - 1),
        unbonding=st.integers(0, 2**32 - 1),
        seats=st.integers(1, 256),
        seed_delay=st.integers(0, 2**16 - 1),
        sortition=st.booleans(),
        self_only=st.booleans(),
        strategy=st.integers(0, 255),
        min_stake=st.integers(0, 2**256 - 1),
        book=st.binary(min_size=20, max_size=20),
        users=st.binary(min_size=20, max_size=20),
        code_hashes=st.tuples(*[st.binary(min_size=32, max_size=32)] * 3),
    )
)
def test_rules_survive_the_round_trip(rules):
    packed = rules.pack()

    assert len(packed) == 190
    assert Rules.read(Reader(packed)) == rules


@given(st.binary(max_size=200))
def test_any_bytes_give_rules_or_decode_error(data):
    try:
        rules = Rules.read(Reader(data))
    except DecodeError:
        return
    assert rules.pack() == data[:190]


@pytest.mark.parametrize(
    ("position", "value"),
    [(8, bytes(4)), (16, bytes(2)), (16, b"\x01\x01"), (20, b"\x04")],
    ids=["no length", "no seats", "257 seats", "unknown flag"],
)
def test_rules_of_no_election_are_refused(position, value):
    changed = bytearray(RULES.pack())
    changed[position : position + len(value)] = value

    with pytest.raises(DecodeError, match="rules"):
        Rules.read(Reader(bytes(changed)))


@pytest.mark.parametrize(
    "changes", [{"strategy": 256}, {"min_stake": 1 << 256}, {"genesis": -1}]
)
def test_what_is_out_of_range_is_not_written(changes):
    with pytest.raises(LocalProtocolError):
        replace(RULES, **changes).pack()


def test_epochs_start_at_four_with_the_contract():
    times = [RULES.genesis, RULES.genesis + 86_399, RULES.genesis + 86_400]

    assert [RULES.epoch_of(time) for time in times] == [4, 4, 5]


def test_periods_begin_with_the_epoch_and_every_six_hours():
    start = RULES.start_of(6)
    offsets = [0, 21_599, 21_600, 86_399, 86_400]

    periods = [RULES.period_start(start + offset) - start for offset in offsets]

    assert periods == [0, 0, 21_600, 64_800, 86_400]
    assert start == RULES.genesis + 2 * 86_400


def test_a_short_epoch_is_one_period():
    short = replace(RULES, epoch_length=60)

    assert short.period_start(RULES.genesis + 119) == RULES.genesis + 60
    assert short.period_end(RULES.genesis + 119) == RULES.genesis + 120


def test_a_period_ends_where_the_next_begins():
    odd = replace(RULES, epoch_length=50_000)
    times = range(RULES.genesis, RULES.genesis + 120_000, 700)

    for time in times:
        end = odd.period_end(time)
        assert odd.period_start(end) == end
        assert odd.period_start(end - 1) == odd.period_start(time) <= time < end
