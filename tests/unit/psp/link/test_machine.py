"""Two link machines, one wire: links come up, carry cells, and end."""

import pytest

from psp.errors import DecodeError, LocalProtocolError
from psp.ids import LinkId, NodeId
from psp.link.config import LinkConfig
from psp.link.events import CloseReason, LinkOpened, PeerKind
from psp.testing.links import LinkWire, cell_number, circuit_cell
from psp.wire.cell import CellCommand
from psp.wire.link_cells import Service, ServiceKind, link_cell
from psp.wire.network import Network

CLIENT = ("192.0.2.1", 40_000)
RELAY = ("198.51.100.1", 443)
OTHER = ("198.51.100.2", 443)


def test_a_client_and_a_relay_exchange_cells() -> None:
    wire = LinkWire()
    client, relay = wire.client(CLIENT), wire.relay(RELAY)

    link = wire.open(client, relay)
    wire.run(1)
    [opened] = relay.opened
    wire.send(client, link, [circuit_cell(1)])
    wire.send(relay, opened.link, [circuit_cell(2), circuit_cell(3)])
    wire.run(1)

    assert client.opened == [LinkOpened(link, relay.node_id, is_initiator=True)]
    assert opened == LinkOpened(opened.link, None, is_initiator=False)
    assert [cell_number(cell) for cell in relay.all_cells] == [1]
    assert [cell_number(cell) for cell in client.all_cells] == [2, 3]


def test_relays_know_each_other() -> None:
    wire = LinkWire()
    first, second = wire.relay(RELAY), wire.relay(OTHER)

    link = wire.open(first, second)
    wire.run(1)

    assert first.opened == [LinkOpened(link, second.node_id, is_initiator=True)]
    [opened] = second.opened
    assert opened.peer == first.node_id
    assert second.machine.peer(opened.link) == first.node_id
    assert first.node_id is not None
    assert second.machine.link_to(first.node_id) == opened.link


def test_a_link_is_up_after_two_round_trips() -> None:
    wire = LinkWire(latency=0.05)
    client, relay = wire.client(CLIENT), wire.relay(RELAY)

    link = wire.open(client, relay)
    wire.run(0.201)

    assert client.machine.is_up(link)


def test_cells_sent_before_the_link_is_up_wait_for_it() -> None:
    wire = LinkWire()
    client, relay = wire.client(CLIENT), wire.relay(RELAY)

    link = wire.open(client, relay)
    wire.send(client, link, [circuit_cell(n) for n in range(130)])
    wire.run(1)

    received = [cell_number(cell) for cell in relay.all_cells]
    assert received == list(range(2, 130))
    assert client.machine.stats.drop_queue == 2


def test_opening_twice_gives_the_same_link() -> None:
    wire = LinkWire()
    client, relay = wire.client(CLIENT), wire.relay(RELAY)

    first = wire.open(client, relay)
    second = wire.open(client, relay)
    wire.run(1)

    assert first == second == wire.open(client, relay)
    assert len(relay.opened) == 1
