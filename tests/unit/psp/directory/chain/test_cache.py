"""The view that is kept on disk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.kdf import Label
from psp.crypto.primitives import hmac_sha256
from psp.directory.chain.cache import open_names, open_view, seal_names, seal_view
from psp.directory.chain.names import read_names, split_names
from psp.directory.chain.records import NodeStatus
from psp.errors import DecodeError, LocalProtocolError
from psp.testing.chain import MemoryContracts, name_words
from psp.testing.directory import LOOPBACK
from psp.testing.entropy import SeededEntropy
from psp.wire.network import Network

KEY = b"k" * 32


def make():
    contracts = MemoryContracts.with_nodes(SeededEntropy(1), 5, users=2)
    contracts.end_node(2, NodeStatus.RETIRED)
    contracts.nodes[3] = contracts.nodes[3][:-1] + b"x"
    return contracts.view(300)


VIEW = make()
DATA = seal_view(VIEW, KEY)


def test_a_view_survives_and_nothing_is_verified_again(monkeypatch):
    monkeypatch.delattr("psp.directory.chain.counted.verify")

    opened = open_view(DATA, KEY, LOOPBACK, lowest_height=300)

    assert opened == VIEW
    assert opened.nodes.nodes == VIEW.nodes.nodes
    assert opened.nodes.refused == VIEW.nodes.refused
    assert opened.users.users == VIEW.users.users


def test_a_view_without_users_survives():
    view = MemoryContracts.with_nodes(SeededEntropy(1), 5).view(300, with_users=False)

    assert open_view(seal_view(view, KEY), KEY, LOOPBACK).users is None


def test_another_key_is_refused():
    with pytest.raises(DecodeError, match="has not written"):
        open_view(DATA, b"x" * 32, LOOPBACK)


@given(st.data())
def test_any_damage_is_refused(draw):
    data = bytearray(DATA)
    data[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))

    with pytest.raises(DecodeError):
        open_view(bytes(data), KEY, LOOPBACK)


@given(st.binary(max_size=100))
def test_any_bytes_are_refused_even_under_our_key(payload):
    tag = hmac_sha256(KEY, Label.CHAIN_CACHE + payload)

    for data in (payload, tag + payload):
        with pytest.raises(DecodeError):
            open_view(data, KEY, LOOPBACK)


def test_another_network_is_refused():
    with pytest.raises(DecodeError, match="another network"):
        open_view(DATA, KEY, Network(1, bytes(20)))


def test_a_view_older_than_this_host_has_used_is_refused():
    with pytest.raises(DecodeError, match="block 300"):
        open_view(DATA, KEY, LOOPBACK, lowest_height=301)


def test_a_key_has_32_bytes():
    with pytest.raises(LocalProtocolError):
        seal_view(VIEW, b"short")


# -- names

ADDRESS = b"n" * 20
LISTED = split_names(name_words("alice", 1) + name_words("bob", 2))
NAMES = seal_names(read_names(LISTED, VIEW.users, VIEW.timestamp), ADDRESS, KEY)


def test_names_survive():
    assert open_names(NAMES, ADDRESS, KEY) == (LISTED, VIEW.timestamp)


@given(st.data())
def test_any_damage_to_names_is_refused(draw):
    data = bytearray(NAMES)
    data[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))

    with pytest.raises(DecodeError, match="has not written"):
        open_names(bytes(data), ADDRESS, KEY)


@given(st.binary(max_size=300))
def test_sealed_nonsense_is_refused(payload):
    data = hmac_sha256(KEY, Label.NAMES_CACHE + payload) + payload

    with pytest.raises(DecodeError):
        open_names(data, ADDRESS, KEY)


def test_names_are_of_one_contract_and_no_view():
    with pytest.raises(DecodeError, match="another contract"):
        open_names(NAMES, b"x" * 20, KEY)
    with pytest.raises(DecodeError, match="has not written"):
        open_names(DATA, ADDRESS, KEY)
    with pytest.raises(DecodeError, match="has not written"):
        open_view(NAMES, KEY, LOOPBACK)
