"""Events of an election, from logs (discovery/replay/events.py)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.replay import events
from discovery.replay.draw import Nomination, Vote
from discovery.replay.logs import ChainLog
from discovery.transactions.abi import decode_log
from psp.errors import DecodeError


def words(*values):
    return b"".join(value.to_bytes(32) for value in values)


SEED = ChainLog(9, 1, (events.SEED, words(6)), b"\x07" * 32)
NOMINATED = ChainLog(10, 2, (events.NOMINATED, words(6), words(3)), words(11, 12))
ADDED = ChainLog(11, 3, (events.VOTE, words(1), words(4)), words(20, 1, 5))
TAKEN = ChainLog(12, 4, (events.VOTE, words(1), words(4)), words(8, 0, 6))
ALL = [SEED, NOMINATED, ADDED, TAKEN]


def test_each_reader_takes_its_own_events():
    assert events.seeds(ALL) == [(9, b"\x07" * 32)]
    assert events.nominations(ALL) == [Nomination((10, 2), 3, 11, 12)]
    assert events.votes(ALL) == [Vote((11, 3), 4, 20, 5), Vote((12, 4), 4, -8, 6)]


def test_they_are_read_as_the_contracts_interface_says():
    seed, nominated, added, taken = (
        decode_log("Relays", log.topics, log.data) for log in ALL
    )

    assert (seed.name, seed.fields) == ("Seed", {"epoch": 6, "seed": b"\x07" * 32})
    assert nominated.name == "Nominated"
    assert nominated.fields == {"epoch": 6, "number": 3, "weight": 11, "key": 12}
    assert added.name == "Vote"
    assert (added.fields["number"], added.fields["amount"]) == (4, 20)
    assert [added.fields["added"], taken.fields["added"]] == [True, False]
    assert added.fields["epoch"] == 5


@pytest.mark.parametrize(
    ("topics", "data"),
    [
        ((events.VOTE, words(1)), words(8, 0, 6)),
        ((events.VOTE, words(1), words(1 << 32)), words(8, 0, 6)),
        ((events.VOTE, words(1), words(4)), words(8, 2, 6)),
        ((events.VOTE, words(1), words(4)), words(1 << 96, 1, 6)),
        ((events.VOTE, words(1), words(4)), words(8, 1, 1 << 64)),
        ((events.VOTE, words(1), words(4)), words(8, 1)),
        ((events.NOMINATED, words(6), words(3)), words(1 << 96, 1)),
        ((events.SEED, words(6)), b""),
    ],
)
def test_an_event_in_another_form_is_refused(topics, data):
    log = ChainLog(1, 0, topics, data)

    with pytest.raises(DecodeError):
        [events.seeds([log]), events.nominations([log]), events.votes([log])]


@given(
    st.sampled_from([events.SEED, events.NOMINATED, events.VOTE]),
    st.lists(st.binary(min_size=32, max_size=32), max_size=3),
    st.binary(max_size=128),
)
def test_any_bytes_are_read_or_refused(name, topics, data):
    log = ChainLog(1, 0, (name, *topics), data)

    for read in (events.seeds, events.nominations, events.votes):
        with suppress(DecodeError):
            read([log])
