"""What a block adds is taken with it, or dropped with it."""

import pytest

from discovery.devchain import nodes as module
from discovery.devchain.nodes import StateNodes


@pytest.fixture
def file():
    return {b"old": b"1"}


@pytest.fixture
def nodes(file):
    return StateNodes(file.get)


def test_added_node_is_seen_before_it_is_taken_and_after(nodes, file):
    with nodes.atomic_batch() as batch:
        batch[b"new"] = b"2"

    assert nodes[b"new"] == b"2"
    assert nodes.take_new() == {b"new": b"2"}
    assert nodes.take_new() == {}
    assert nodes[b"new"] == b"2"
    assert file == {b"old": b"1"}


def test_dropped_node_is_gone(nodes):
    nodes[b"new"] = b"2"

    nodes.drop_new()

    assert b"new" not in nodes
    assert nodes.take_new() == {}


def test_node_of_the_file_is_read_once(nodes, file):
    assert nodes[b"old"] == b"1"
    file.clear()

    assert nodes[b"old"] == b"1"
    with pytest.raises(KeyError):
        nodes[b"unheard"]


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_CACHED", 2)
    loaded = []
    nodes = StateNodes(lambda key: loaded.append(key) or b"v")

    for key in (b"a", b"b", b"c", b"a"):
        assert nodes[key] == b"v"

    assert loaded == [b"a", b"b", b"c", b"a"]


def test_nodes_are_neither_listed_nor_counted(nodes):
    with pytest.raises(NotImplementedError):
        iter(nodes)
    with pytest.raises(NotImplementedError):
        len(nodes)
