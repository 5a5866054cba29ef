"""That it is onion routing, shown by nothing but what somebody outside can record."""

import random
from itertools import pairwise

import pytest

from psp.path.guards import PRIMARY
from tests.netns import recording
from tests.netns.observed import Observed, observe
from tests.netns.recording import BLOCK, PACKET_SIZE, Link, Packet

pytestmark = pytest.mark.timeout(150)

PORT_UNREACHABLE = "IP protocol 1"
"""All that the kernel itself says here: nobody listens on that port (any more)."""
SAMPLE = 2000
"""Packets compared byte by byte; 2 million blocks take 3 s."""
BOTH_WAYS = ("video", "video_back", "audio", "audio_back")


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> Observed:
    return observe(tmp_path_factory.mktemp("netns"))


def packet_between(one: int, other: int, payload: bytes) -> Packet:
    host = "127.0.0.1"
    return Packet(0.0, "udp", host, host, one, other, payload)


# -- the tools see what they should


def test_a_block_on_two_links_is_found_at_any_offset():
    dice = random.Random(1)
    packets = [
        packet_between(port, port + 1, dice.randbytes(PACKET_SIZE * trains))
        for port, trains in ((1, 1), (3, 2), (5, 1))
    ]
    secret = packets[0].payload[101 : 101 + BLOCK]
    carrier = bytearray(packets[1].payload)
    carrier[PACKET_SIZE + 777 : PACKET_SIZE + 777 + BLOCK] = secret
    copied = [packets[0], packet_between(3, 4, bytes(carrier)), packets[2]]

    assert recording.repeated_blocks(packets) == {}
    assert recording.repeated_blocks(copied) == {secret: {Link(1, 2), Link(3, 4)}}


def test_a_block_sent_twice_over_one_link_is_none_on_two():
    payload = random.Random(2).randbytes(PACKET_SIZE)

    there, back = packet_between(1, 2, payload), packet_between(2, 1, payload)

    assert recording.repeated_blocks([there, back]) == {}


def test_padding_is_no_repeated_block():
    start = random.Random(3).randbytes(40)
    padded = start + bytes(PACKET_SIZE - 40)

    packets = [packet_between(1, 2, padded), packet_between(3, 4, bytes(PACKET_SIZE))]

    assert recording.repeated_blocks(packets) == {}


# -- the demo


def test_nothing_was_missed(seen):
    assert seen.lost == 0
    assert len(seen.udp) > 1000
    assert len(seen.in_mid_call()) > 100
    assert set(seen.client_ports) == {"alice", "bob"}
    assert len(seen.relay_ports) == seen.report["relays"] == 12


def test_only_udp_between_relays_and_clients_leaves_the_processes(seen):
    """Besides what everybody asks the chain's endpoints, over TCP."""
    known = {*seen.relay_ports.values(), *seen.client_ports.values()}

    assert {packet.kind for packet in seen.packets} <= {
        "udp",
        "tcp",
        PORT_UNREACHABLE,
    }
    assert seen.tcp
    for packet in seen.tcp:
        ends = {packet.source_port, packet.destination_port}
        assert len(ends & seen.chain_ports) == 1
    assert {p.source for p in seen.packets} == {"127.0.0.1"}
    assert {p.destination for p in seen.packets} == {"127.0.0.1"}
    assert {port for packet in seen.udp for port in packet.link} == known


def test_the_kernel_is_silent_while_all_are_running(seen):
    first, last = seen.mid_call
    started = min(
        p.time for p in seen.udp if p.source_port in seen.client_ports.values()
    )

    complaints = [p.time for p in seen.packets if p.kind == PORT_UNREACHABLE]

    assert not [time for time in complaints if started <= time <= last]
    assert started < first


def test_every_datagram_has_the_same_size(seen):
    assert {len(packet.payload) % PACKET_SIZE for packet in seen.udp} == {0}
    assert all(packet.payload for packet in seen.udp)


def test_clients_never_talk_to_each_other(seen):
    assert Link.between(*seen.client_ports.values()) not in recording.volumes(seen.udp)


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_a_client_talks_to_its_guards_and_says_so(seen, name):
    peers = seen.peers[seen.client_ports[name]]

    said = {int(address.split(":")[1]) for address in remotes(seen, name)}
    first_hops = {seen.relay_ports[leg[name][0]] for leg in seen.report["legs"]}

    assert all(address.startswith("127.0.0.1:") for address in remotes(seen, name))
    assert peers == said
    assert peers <= set(seen.relay_ports.values())
    assert first_hops <= peers
    assert len(peers) <= PRIMARY


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_a_client_holds_one_udp_socket_and_asks_the_chain_and_nobody_else(seen, name):
    first, last = seen.mid_call

    all_along = seen.sockets[name]
    in_call = [look for look in all_along if first <= look.time <= last]

    assert in_call
    for look in in_call:
        assert look.ports["udp"] == [seen.client_ports[name]]
    for look in all_along:
        assert set(look.ports) <= {"udp", "tcp", "unix"}
        assert len(look.ports.get("udp", ())) <= 1
        assert look.tcp_to <= seen.chain_ports
        assert look.unnamed == 0


def test_no_block_stands_on_two_links(seen):
    sample = seen.in_mid_call()[:SAMPLE]

    assert len({packet.link for packet in sample}) > len(seen.report["alice"]["path"])
    assert recording.repeated_blocks(sample) == {}


def test_no_name_stands_in_any_packet(seen):
    names = [*seen.registry.nodes, *seen.registry.users]
    names += [node.record.onion_key for node in seen.registry.nodes.values()]

    everything = b"".join(packet.payload for packet in seen.udp)

    assert len(names) == 12 + 2 + 12
    assert not [name.hex() for name in names if name in everything]


def test_the_call_runs_over_the_links_of_its_legs_and_no_others(seen):
    """Media, and the probes of the spare leg, are far above what relays say by nature.

    Which relay talks to which at volume is what an observer of everything can see, and
    all that there is to see: the paths, as the clients report them.
    """
    legs = [seen.links_of_leg(leg) for leg in seen.report["legs"]]
    on_legs = set().union(*legs)

    volumes = recording.volumes(seen.in_mid_call())

    standing = max(volumes[link] for link in volumes.keys() - on_legs)
    weakest = [min(volumes[link] for link in leg) for leg in legs]
    assert max(weakest) > 4 * standing
    if not seen.report["legs_lost"]:
        assert len(legs) == 2
        assert min(weakest) > 2 * standing


def test_paths_are_what_the_design_says(seen):
    for leg in seen.report["legs"]:
        alice, bob = leg["alice"], leg["bob"]
        assert (len(alice), len(bob)) == (4, 3)
        assert alice[-1] == bob[-1]
        for path in (alice, bob):
            assert len(set(path)) == len(path)
            assert set(path) <= seen.relay_ports.keys()
    rendezvous = [leg["bob"][-1] for leg in seen.report["legs"]]
    assert len(set(rendezvous)) == len(rendezvous)
    assert all(
        one["leg"] < other["leg"] for one, other in pairwise(seen.report["legs"])
    )


def test_relays_forward_all_that_the_clients_receive(seen):
    """Every frame is at least one cell, and passes every relay of a leg."""
    relays_on_leg = (
        len(seen.report["alice"]["path"]) + len(seen.report["bob"]["path"]) - 1
    )

    frames = sum(seen.report[way]["received"] for way in BOTH_WAYS)

    forwarded = seen.report["relay_cells_forwarded"]
    datagrams = sum(recording.volumes(seen.udp).values())
    assert frames > 0
    assert relays_on_leg * frames <= forwarded <= datagrams


def remotes(seen: Observed, name: str) -> list[str]:
    return list(seen.report[name]["remote_endpoints"])
