"""Two link machines, one wire: links come up, carry cells, and end."""

from typing import Any

import pytest

from psp.errors import DecodeError, LocalProtocolError
from psp.ids import LinkId, NodeId
from psp.link.config import LinkConfig
from psp.link.events import CloseReason, LinkOpened, PeerKind
from psp.link.keypair import Keypair
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


def test_closing_a_link_tells_the_peer() -> None:
    wire = LinkWire()
    client, relay = wire.client(CLIENT), wire.relay(RELAY)
    link = wire.open(client, relay)
    wire.run(1)

    wire.close(client, link)
    wire.run(1)

    assert [event.reason for event in client.closed] == [CloseReason.REQUESTED]
    assert [event.reason for event in relay.closed] == [CloseReason.REMOTE]
    assert client.machine.links(wire.now) == relay.machine.links(wire.now) == []
    assert client.machine.next_timeout() is relay.machine.next_timeout() is None


def test_a_link_that_is_not_up_can_be_closed() -> None:
    wire = LinkWire()
    client, relay = wire.client(CLIENT), wire.relay(RELAY)
    link = wire.open(client, relay)

    wire.close(client, link)
    wire.run(12)

    assert client.opened == relay.opened == []
    assert relay.machine.next_timeout() is None


def test_cells_for_a_closed_link_are_counted_and_dropped() -> None:
    wire = LinkWire()
    client = wire.client(CLIENT)

    wire.send(client, LinkId(7), [circuit_cell(1)])
    wire.close(client, LinkId(7))

    assert client.machine.stats.drop_no_link == 1
    assert client.machine.peer(LinkId(7)) is None
    assert client.machine.endpoint_of(LinkId(7)) is None
    assert not client.machine.is_up(LinkId(7))


def test_a_link_needs_an_endpoint_and_a_usable_key() -> None:
    wire = LinkWire()
    client, relay = wire.client(CLIENT), wire.relay(RELAY)
    assert relay.node_id is not None

    with pytest.raises(LocalProtocolError):
        client.machine.open(relay.node_id, [], wire.now)
    with pytest.raises(DecodeError):
        client.machine.open(NodeId(bytes(32)), [relay.endpoint], wire.now)


def test_damaged_timestamps_are_refused() -> None:
    with pytest.raises(DecodeError):
        LinkWire().relay(RELAY, timestamps=b"not a multiple of 44")


def test_service_cells_pass_between_relays() -> None:
    wire = LinkWire()
    first, second = wire.relay(RELAY), wire.relay(OTHER)
    body = Service(1, ServiceKind.REQUEST, 9, b"find").encode()
    cell = link_cell(CellCommand.SERVICE, body)

    link = wire.open(first, second)
    wire.send(first, link, [cell])
    wire.run(1)

    assert second.all_cells == [cell]


@pytest.mark.parametrize("command", [0, 1, 2, 5, 9, 10, 255])
def test_a_client_that_sends_what_it_may_not_loses_its_link(command: int) -> None:
    wire = LinkWire()
    client, relay = wire.client(CLIENT), wire.relay(RELAY)
    link = wire.open(client, relay)
    wire.run(1)

    cell = bytes(4) + bytes([command]) + bytes(1195)
    wire.send(client, link, [cell])
    wire.run(1)

    assert [event.reason for event in relay.closed] == [CloseReason.PROTOCOL]
    assert relay.machine.stats.drop_protocol == 1


@pytest.mark.parametrize("command", [6, 7, 8])
def test_a_malformed_cell_of_the_link_closes_it(command: int) -> None:
    wire = LinkWire()
    client, relay = wire.client(CLIENT), wire.relay(RELAY)
    link = wire.open(client, relay)
    wire.run(1)

    wire.send(client, link, [bytes(4) + bytes([command]) + b"\1" * 1195])
    wire.run(1)

    assert [event.reason for event in relay.closed] == [CloseReason.PROTOCOL]


def test_a_batch_keeps_the_order_and_splits_into_trains_of_50() -> None:
    wire = LinkWire()
    client, relay = wire.client(CLIENT), wire.relay(RELAY)
    link = wire.open(client, relay)
    wire.run(1)

    for start in range(0, 120, 10):
        cells = [circuit_cell(n) for n in range(start, start + 10)]
        client.machine.send(link, cells, wire.now)
    trains = client.machine.trains_to_send(wire.now)

    assert [train.packets for train in trains] == [50, 50, 20]
    for train in trains:
        buffer = memoryview(bytearray(b"".join(train.parts)))
        relay_cells = relay.machine.receive(buffer, 1232, CLIENT, wire.now)
        relay.cells.setdefault(relay_cells[0].link, []).extend(relay_cells[0].cells)
    assert [cell_number(cell) for cell in relay.all_cells] == list(range(120))


def test_the_status_names_no_address_and_no_client() -> None:
    wire = LinkWire(latency=0.05)
    client, relay = wire.client(CLIENT), wire.relay(RELAY)
    link = wire.open(client, relay)
    wire.run(1)
    wire.send(client, link, [circuit_cell(1)])
    wire.run(1)

    [ours] = client.machine.links(wire.now)
    [theirs] = relay.machine.links(wire.now)

    assert (ours.kind, ours.peer) == (PeerKind.RELAY, relay.node_id)
    assert (theirs.kind, theirs.peer) == (PeerKind.CLIENT, None)
    assert ours.rtt == pytest.approx(0.1)
    assert ours.is_up
    assert ours.sent_cells >= 2
    assert theirs.received_cells >= 2
    assert CLIENT[0] not in repr(theirs)


def test_relays_of_two_networks_do_not_meet() -> None:
    wire = LinkWire()
    ours = wire.relay(RELAY)
    theirs = wire.relay(OTHER, network=Network(2, bytes(20)))

    wire.open(theirs, ours)
    wire.run(2)

    assert ours.machine.stats.sent_packets == 0


def test_one_machine_serves_many_peers_in_any_mixture_of_packets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wire = LinkWire()
    config = LinkConfig(handshake_burst=100)
    relay = wire.relay(RELAY, config)
    clients = [wire.client((CLIENT[0], port)) for port in range(1, 6)]
    links = [wire.open(client, relay) for client in clients]
    wire.run(1)

    packets: list[bytes] = []
    for number in range(4):
        for client, link in zip(clients, links, strict=True):
            client.machine.send(link, [circuit_cell(number)], wire.now)
            [train] = client.machine.trains_to_send(wire.now)
            packets.append(b"".join(train.parts))
    packets.insert(3, bytes(1232))
    buffer = memoryview(bytearray(b"".join(packets)))
    looked_at: list[int] = []
    open_run = Keypair.open_run

    def opening(keypair: Keypair, train: memoryview, *rest: Any) -> int:
        looked_at.append(len(train) // 1232)
        return open_run(keypair, train, *rest)

    monkeypatch.setattr(Keypair, "open_run", opening)
    batches = relay.machine.receive(buffer, 1232, CLIENT, wire.now)

    assert len(batches) == 20
    # Nobody can make a train be unpacked anew for each of its packets.
    assert sum(looked_at) < 2 * len(packets)
    assert {batch.link for batch in batches} == {o.link for o in relay.opened}
