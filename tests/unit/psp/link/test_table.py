"""Links by name, peer and token."""

import pytest

from psp.errors import LocalProtocolError
from psp.ids import LinkId, NodeId
from psp.link.config import LinkConfig
from psp.link.link import Link
from psp.link.stats import LinkStats
from psp.link.table import MAX_TOKENS, LinkTable
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic

PEER = NodeId(bytes(32))


def link(table: LinkTable, peer: NodeId | None, port: int = 1) -> Link:
    made = Link(
        table.new_id(),
        peer=peer,
        is_initiator=peer is not None,
        is_client=peer is None,
        endpoints=[("192.0.2.1", port)],
        config=LinkConfig(),
        entropy=SeededEntropy(1),
        stats=LinkStats(),
        now=Monotonic(0.0),
    )
    table.add(made)
    return made


def test_a_link_is_found_until_it_is_removed() -> None:
    table = LinkTable()
    first, second, client = link(table, PEER), link(table, PEER), link(table, None)

    assert table.with_peer(PEER) == [first, second]
    assert table.best_with(PEER) is second
    assert table.get(client.link_id) is client
    assert table.all() == [first, second, client]
    table.remove(second)
    table.remove(first)
    assert table.with_peer(PEER) == []
    assert table.best_with(PEER) is None
    assert len(table) == 1


def test_a_link_with_one_worker_is_found_by_its_port():
    table = LinkTable()
    first, second = link(table, PEER, 443), link(table, PEER, 444)

    assert table.best_with(PEER) is second
    assert table.best_with(PEER, 443) is first
    assert table.best_with(PEER, 444) is second
    assert table.best_with(PEER, 445) is None


def test_a_name_is_never_used_twice() -> None:
    table = LinkTable()
    first = link(table, PEER)

    with pytest.raises(LocalProtocolError):
        table.add(first)
    table.remove(first)
    assert link(table, PEER).link_id != first.link_id


def test_a_token_leads_to_its_link_for_its_peer_only() -> None:
    table = LinkTable()
    ours, client = link(table, PEER), link(table, None)

    table.add_token(ours.link_id, b"a" * 16)
    table.add_token(client.link_id, b"b" * 16)

    assert table.of_token(b"a" * 16, PEER) == ours.link_id
    assert table.of_token(b"a" * 16, None) is None
    assert table.of_token(b"b" * 16, None) == client.link_id
    assert table.of_token(bytes(16), None) is None
    table.remove(client)
    assert table.of_token(b"b" * 16, None) is None


def test_tokens_are_bounded_and_the_oldest_goes() -> None:
    table = LinkTable()
    ours = link(table, PEER)

    for number in range(MAX_TOKENS + 1):
        table.add_token(ours.link_id, number.to_bytes(16))

    table.add_token(LinkId(99), b"no such link ...")
    assert table.of_token((0).to_bytes(16), PEER) is None
    assert table.of_token((1).to_bytes(16), PEER) == ours.link_id
    assert len(ours.tokens) == MAX_TOKENS
