"""Tickets: good for one introduction, by whoever holds the key."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import LocalProtocolError
from psp.ids import Cookie, NodeId, UserId
from psp.netdoc.ticket import (
    NO_TICKET,
    TICKET_SIZE,
    TicketScope,
    is_ticket,
    make_ticket,
    named_id,
    ticket_id,
)
from psp.testing.entropy import SeededEntropy
from psp.units import UnixTime
from psp.wire.network import Network

KEY = b"k" * 32
SCOPE = TicketScope(
    Network(31_337, bytes(20)),
    UserId(b"a" * 32),
    NodeId(b"p" * 32),
    Cookie(b"c" * 20),
    UnixTime(1_000),
    NodeId(b"r" * 32),
)


def ticket(scope=SCOPE, key=KEY):
    return make_ticket(key, scope, SeededEntropy(1))


def test_a_ticket_is_good_for_what_it_was_made_for():
    made = ticket()

    assert len(made) == TICKET_SIZE == 64
    assert named_id(made) == ticket_id(KEY)
    assert is_ticket(made, KEY, SCOPE)


@pytest.mark.parametrize(
    "change",
    [
        {"network": Network(1, bytes(20))},
        {"callee": UserId(b"b" * 32)},
        {"presence_point": NodeId(b"q" * 32)},
        {"cookie": Cookie(b"d" * 20)},
        {"expiry": UnixTime(1_001)},
        {"rendezvous": NodeId(b"s" * 32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_ticket_is_good_for_nothing_else(change):
    assert not is_ticket(ticket(), KEY, replace(SCOPE, **change))
    assert not is_ticket(ticket(replace(SCOPE, **change)), KEY, SCOPE)


def test_a_ticket_of_another_key_is_none():
    assert not is_ticket(ticket(), b"l" * 32, SCOPE)
    renamed = ticket_id(KEY) + ticket(key=b"l" * 32)[16:]
    assert not is_ticket(renamed, KEY, SCOPE)


def test_two_tickets_for_the_same_introduction_differ():
    entropy = SeededEntropy(1)

    assert make_ticket(KEY, SCOPE, entropy) != make_ticket(KEY, SCOPE, entropy)


@given(st.binary(max_size=80))
def test_any_bytes_are_no_ticket(data):
    assert not is_ticket(data, KEY, SCOPE)


def test_no_ticket_is_none():
    assert not is_ticket(NO_TICKET, KEY, SCOPE)


def test_a_key_has_thirty_two_bytes():
    with pytest.raises(LocalProtocolError):
        make_ticket(b"short", SCOPE, SeededEntropy(1))
