"""A relay of two workers, seen by relays and clients that know its record."""

from psp.circuit.events import RequestAnswered, RequestFailed, Truncated
from psp.circuit.origin import HopSpec
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.onion import BLOCK_SIZE
from psp.wire.relay_message import RelayCommand
from relay.config import RelayConfig
from relay.events import ServiceAnswered, ServiceRequested

COOKIE = b"c" * 20
QUIET = RelayConfig(neighbours=0, idle_link=Seconds(5.0))


def at(rig, number: int, worker: int) -> HopSpec:
    record = rig.relays[number].record
    chosen = record.endpoints[worker]
    return HopSpec(record.node_id, record.onion_key, (chosen,))


def build(rig, *path: HopSpec):
    client = rig.client()
    circuit = client.open(path, rig.now)
    assert rig.run_until(lambda: circuit.origin.is_open or circuit.closed)
    assert circuit.origin.is_open, circuit.events
    return client, circuit


def truncated(circuit) -> bool:
    return any(isinstance(event, Truncated) for event in circuit.events)


def test_a_circuit_runs_over_the_worker_that_was_named(make_rig):
    rig = make_rig(3)
    second = rig.add_worker(1)
    first = rig.relays[1]

    for worker in (0, 1, 1):
        build(rig, at(rig, 0, 0), at(rig, 1, worker), at(rig, 2, 0))

    assert first.machine.stats.circuits_created == 1
    assert second.machine.stats.circuits_created == 2
    links = rig.relays[0].machine.links
    assert (
        len({links.link_to(first.record.node_id, port) for port in (9000, 9001)}) == 2
    )


def test_a_worker_reaches_others_over_links_of_its_own(make_rig):
    rig = make_rig(3)
    second = rig.add_worker(1)
    _, one = build(rig, at(rig, 0, 0), at(rig, 1, 0), at(rig, 2, 0))
    _, two = build(rig, at(rig, 0, 0), at(rig, 1, 1), at(rig, 2, 0))
    rig.run(60.0)

    last = rig.relays[2].machine.links
    assert len(last.links(rig.now)) == 2
    assert second.machine.links.link_to(rig.relays[2].record.node_id) is not None
    assert one.closed is None
    assert two.closed is None


def test_two_meet_at_the_worker_where_the_cookie_is(make_rig):
    rig = make_rig(3)
    rig.add_worker(2)
    alice, host = build(rig, at(rig, 0, 0), at(rig, 2, 1))
    _, guest = build(rig, at(rig, 1, 0), at(rig, 2, 1))
    _, lost = build(rig, at(rig, 1, 0), at(rig, 2, 0))

    established = rig.ask(host, RelayCommand.ESTABLISH, COOKIE)
    elsewhere = rig.ask(lost, RelayCommand.JOIN, COOKIE)
    joined = rig.ask(guest, RelayCommand.JOIN, COOKIE)
    block = b"b" * BLOCK_SIZE
    alice.send_blocks(host, [block], rig.now)
    rig.run_until(lambda: guest.blocks)

    assert isinstance(established, RequestAnswered)
    assert isinstance(elsewhere, RequestFailed)
    assert elsewhere.reason is Reason.REFUSED
    assert isinstance(joined, RequestAnswered)
    assert len(guest.blocks) == 1


def test_requests_between_relays_go_to_the_first_worker(make_rig):
    rig = make_rig(2)
    second = rig.add_worker(1)
    asker, asked = rig.relays[0], rig.relays[1]
    build(rig, at(rig, 0, 0), at(rig, 1, 1))  # a link to the other is there

    token = asker.machine.service_request(
        asked.record.node_id, 7, b"question", Seconds(5.0), rig.now
    )
    rig.run_until(lambda: asked.told(ServiceRequested))
    [request] = asked.told(ServiceRequested)
    asked.machine.service_answer(request.token, b"answer")
    rig.run_until(lambda: asker.told(ServiceAnswered))

    [answer] = asker.told(ServiceAnswered)
    assert (answer.token, answer.data) == (token, b"answer")
    assert second.told(ServiceRequested) == []


def test_a_neighbours_standing_link_is_to_its_first_worker(make_rig):
    rig = make_rig(2, config=RelayConfig(neighbours=1, idle_link=Seconds(5.0)))
    rig.add_worker(1, QUIET)
    relay, neighbour = rig.relays[0].machine, rig.relays[1].record.node_id
    relay.draw_neighbours(b"seed", [neighbour], rig.now)
    own = rig.relays[0].record.node_id
    rig.relays[1].machine.draw_neighbours(b"seed", [own], rig.now)
    _, circuit = build(rig, at(rig, 0, 0), at(rig, 1, 1))
    rig.run(15.0)
    assert relay.links.link_to(neighbour, 9000) is not None
    assert relay.links.link_to(neighbour, 9001) is not None

    circuit.origin.destroy(Reason.REQUESTED)
    rig.run(60.0)

    assert relay.links.link_to(neighbour, 9000) is not None
    assert relay.links.link_to(neighbour, 9001) is None


def test_a_dead_worker_takes_its_own_circuits_only(make_rig):
    rig = make_rig(3)
    rig.add_worker(1)
    _, kept = build(rig, at(rig, 0, 0), at(rig, 1, 0), at(rig, 2, 0))
    _, lost = build(rig, at(rig, 0, 0), at(rig, 1, 1), at(rig, 2, 0))

    rig.net.kill(rig.relays[1].record.endpoints[1].address)
    assert rig.run_until(lambda: truncated(lost), 120.0)

    assert kept.closed is None
    assert not truncated(kept)
