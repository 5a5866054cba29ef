"""No cell passes before the ML-KEM upgrade, and whoever tries loses the link."""

import pytest

from psp.crypto.keys import SigningKey, link_public
from psp.ids import LinkId, NodeId
from psp.link.config import LinkConfig
from psp.link.events import CloseReason
from psp.link.indexes import Indexes
from psp.link.initiator import NEW_LINK, Attempt, Dial, Dialer, Target
from psp.link.keypair import Keypair
from psp.link.responder import Doors, HalfOpen, Responder
from psp.link.stats import LinkStats
from psp.testing.entropy import SeededEntropy
from psp.testing.links import NETWORK, Host, LinkWire, Packet, circuit_cell
from psp.wire.cell import CellCommand
from psp.wire.link_cells import KemAnswer, KemOffer, link_cell
from psp.wire.packet import PacketType, Response

CLIENT = ("192.0.2.1", 40_000)
RELAY = ("198.51.100.1", 443)

BAD_CELLS = {
    "create": circuit_cell(1),
    "service": link_cell(CellCommand.SERVICE),
    "repair": link_cell(CellCommand.REPAIR),
    "challenge": link_cell(CellCommand.PATH_CHALLENGE, b"12345678"),
    "destroy": link_cell(CellCommand.DESTROY, b"\1"),
    "malformed kem": link_cell(CellCommand.LINK_KEM, b"\7"),
    "bad key": link_cell(CellCommand.LINK_KEM, KemOffer(1, b"\xff" * 1184).encode()),
    "wrong side": link_cell(
        CellCommand.LINK_KEM, KemAnswer(1, bytes(1088), is_resumed=False).encode()
    ),
}


class HalfClient:
    """A client that has done the Noise handshake and now does as it pleases."""

    def __init__(self, wire: LinkWire, relay: Host, token: bytes = NEW_LINK) -> None:
        assert relay.node_id is not None
        indexes: Indexes[Attempt] = Indexes(wire.entropy)
        dialer = Dialer(
            LinkConfig(),
            network=NETWORK,
            identity=None,
            entropy=wire.entropy,
            unix_time=lambda: 0.0,
            indexes=indexes,
            stats=LinkStats(),
        )
        target = Target(LinkId(1), link_public(relay.node_id), [RELAY], {})
        dial = Dial(dialer, target, resume_token=token, is_failover=False, now=wire.now)
        dial.handle_timeout(wire.now)
        [(_, initiation)] = dial.packets
        relay.machine.receive(memoryview(initiation), 1232, CLIENT, wire.now)
        [train] = relay.machine.trains_to_send(wire.now)
        packet = b"".join(train.parts)
        response = Response.decode(packet)
        attempt = indexes.owner(response.receiver_index)
        assert attempt is not None
        dial.read_response(attempt, packet, response, wire.now)
        assert attempt.upgrade is not None
        self.first: Keypair = attempt.upgrade.first
        self.offer = attempt.upgrade.cell
        self._dial, self._attempt, self._upgrade = dial, attempt, attempt.upgrade
        self._wire, self._relay = wire, relay

    def agree(self) -> Keypair:
        """Do the upgrade; return the hybrid keys."""
        [packet] = self.send(self.offer)
        cells: list[bytes] = []
        now = self._wire.now
        self.first.open_run(memoryview(packet), cells, cells, now)
        agreed = self._dial.read_cells(self._attempt, self._upgrade, cells, now)
        assert agreed is not None
        return agreed.keypair

    def use(self, keypair: Keypair) -> None:
        """Send padding under the hybrid keys."""
        self.first, first = keypair, self.first
        self.send(link_cell(CellCommand.PADDING))
        self.first = first

    def finish(self) -> Keypair:
        """Bring a link up."""
        keypair = self.agree()
        self.use(keypair)
        return keypair

    def send(self, *cells: bytes) -> list[bytes]:
        """Send cells under the first keys; return the packets that come back."""
        packets = self.first.seal(list(cells))
        now = self._wire.now
        self._relay.machine.receive(memoryview(packets), 1232, CLIENT, now)
        trains = self._relay.machine.trains_to_send(now)
        while (event := self._relay.machine.next_event()) is not None:
            self._relay.events.append(event)
        return [b"".join(train.parts) for train in trains]


@pytest.mark.parametrize("name", BAD_CELLS)
def test_a_cell_before_the_upgrade_ends_the_handshake(name: str) -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)
    client = HalfClient(wire, relay)

    assert client.send(BAD_CELLS[name]) == []
    assert client.send(client.offer) == []

    assert relay.machine.stats.drop_downgrade == 1
    assert relay.machine.stats.received_cells == 0
    assert relay.machine.next_timeout() is None


def test_padding_before_the_upgrade_is_harmless() -> None:
    wire = LinkWire()
    client = HalfClient(wire, wire.relay(RELAY))

    assert client.send(link_cell(CellCommand.PADDING)) == []
    assert len(client.send(client.offer)) == 1


def test_the_same_offer_gets_the_same_answer() -> None:
    wire = LinkWire()
    client = HalfClient(wire, wire.relay(RELAY))

    answers: list[bytes] = []
    for _ in range(3):
        [packet] = client.send(client.offer)
        client.first.open_run(memoryview(packet), answers, answers, wire.now)

    assert len(answers) == 3
    assert len(set(answers)) == 1


def test_another_offer_ends_the_handshake() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)
    client = HalfClient(wire, relay)
    other = HalfClient(wire, relay).offer
    client.send(client.offer)

    assert client.send(other) == []
    assert relay.machine.stats.drop_downgrade == 1


def test_a_downgrade_of_a_link_that_is_up_closes_it() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)
    token = HalfClient(wire, relay).finish().resume_token
    again = HalfClient(wire, relay, token)
    again.send(again.offer)
    assert len(relay.machine.links(wire.now)) == 1

    again.send(circuit_cell(1))

    assert [event.reason for event in relay.closed] == [CloseReason.PROTOCOL]
    assert relay.machine.links(wire.now) == []


def test_a_token_continues_the_link_and_only_there() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)
    token = HalfClient(wire, relay).finish().resume_token

    HalfClient(wire, relay, token).finish()
    assert len(relay.machine.links(wire.now)) == 1
    HalfClient(wire, relay, b"no such token ..").finish()
    assert len(relay.machine.links(wire.now)) == 2
    # The token of a client's link is of no use to a relay.
    other = wire.relay(("198.51.100.9", 443))
    HalfClient(wire, other, token).finish()
    assert relay.machine.stats.resumed == 1
    assert other.machine.stats.resumed == 0


def test_an_upgrade_that_outlives_its_link_opens_no_other() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)
    token = HalfClient(wire, relay).finish().resume_token
    again = HalfClient(wire, relay, token)
    keypair = again.agree()

    wire.close(relay, relay.opened[0].link)
    again.use(keypair)

    assert relay.machine.links(wire.now) == []
    assert relay.machine.stats.drop_half_open == 1


def make_responder(stats: LinkStats) -> tuple[Responder, Indexes[HalfOpen], NodeId]:
    entropy = SeededEntropy("responder")
    key = SigningKey.generate(entropy)
    indexes: Indexes[HalfOpen] = Indexes(entropy)
    responder = Responder(
        LinkConfig(),
        network=NETWORK,
        identity=key,
        own_port=RELAY[1],
        entropy=entropy,
        peer_of_static=lambda _: None,
        doors=Doors(
            draw_index=indexes.draw,
            give_index=indexes.give,
            release_index=indexes.release,
            resumable=lambda token, peer: None,
            add_token=lambda link, token: None,
            is_full=lambda: False,
        ),
        stats=stats,
    )
    return responder, indexes, NodeId(key.public)


@pytest.mark.parametrize("name", sorted(BAD_CELLS.keys() - {"wrong side", "bad key"}))
def test_a_responder_that_skips_the_upgrade_loses_the_link(name: str) -> None:
    wire = LinkWire()
    client = wire.client(CLIENT)
    responder, indexes, node_id = make_responder(LinkStats())
    relay = Host(RELAY, client.machine, node_id)
    wire.open(client, relay)
    response = responder.answer(wire.log[-1].data, CLIENT, wire.now)
    assert response is not None
    wire.inject(Packet(RELAY, CLIENT, response))
    wire.run(0.01)
    assert wire.log[-1].data[0] == PacketType.DATA

    half_open = indexes.owner(Response.decode(response).sender_index)
    assert half_open is not None
    packet = half_open.first.seal([BAD_CELLS[name]])
    wire.inject(Packet(RELAY, CLIENT, packet))
    wire.run(0.01)

    assert [event.reason for event in client.closed] == [CloseReason.PROTOCOL]
    assert client.machine.stats.drop_downgrade == 1
    assert client.opened == []


def test_data_for_nobody_is_counted_and_not_answered() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)

    for kind in (PacketType.DATA, PacketType.RESPONSE, PacketType.COOKIE):
        wire.inject(Packet(CLIENT, RELAY, bytes([kind, 1]) + bytes(1230)))
    wire.run(0.1)

    assert relay.machine.stats.drop_index == 2
    assert relay.machine.stats.drop_cookie == 1
    assert relay.machine.stats.sent_packets == 0
