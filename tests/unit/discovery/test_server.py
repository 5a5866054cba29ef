"""Answering directory requests of relays and clients."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.config import ServerConfig
from discovery.descriptor_store import DescriptorStore
from discovery.server import DirectoryServer, TooManyRequestsError, collectors
from discovery.stats import DiscoveryStats
from psp.directory.digests import element_digest
from psp.directory.listing import Snapshot, snapshot_name, split_listing
from psp.errors import DecodeError
from psp.testing.directory import LOOPBACK, START, SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic
from psp.wire.directory_page import CURRENT, Content, Fetch, Fetched
from psp.wire.directory_service import (
    DirectoryRequest,
    Operation,
    PublishStatus,
    SignatureStatus,
)

NOW = Monotonic(0.0)

RIG = SignedNetwork.build(SeededEntropy(50), nodes=12)
DISCOVERY, PLAIN, TRUSTED = RIG.nodes[0], RIG.nodes[6], RIG.nodes[11]
FILE = RIG.file()
CONFIG = ServerConfig()


class Bench:
    def __init__(self, own=DISCOVERY, config=CONFIG, file=FILE, hand_overs=None):
        self.registry = RIG.registry()
        self.store = DescriptorStore(config, LOOPBACK)
        self.store.retain(self.registry.nodes().keys())
        self.stats = DiscoveryStats()
        self.server = DirectoryServer(
            config,
            own_id=own.node_id,
            registry=self.registry,
            store=self.store,
            registry_file=lambda: file,
            stats=self.stats,
            hand_overs=hand_overs,
        )

    def hand_over(self, peer, now=0.0):
        request = DirectoryRequest(Operation.HAND_OVER, b"signature").encode()
        answer = self.server.answer(peer.node_id, request, now, START)
        return SignatureStatus.decode(answer or b"")

    def publish(self, node, peer=None, now=0.0, **fields):
        body = RIG.descriptor(node, **fields).encode()
        request = DirectoryRequest(Operation.PUBLISH, body).encode()
        peer_id = (peer or node).node_id
        answer = self.server.answer(peer_id, request, now, START)
        return PublishStatus.decode(answer or b"")

    def fetch(self, *fields, asker=1, now=0.0):
        return Fetched.decode(self.server.fetch(asker, Fetch(*fields).encode(), now))


def test_discovery_and_partners_nodes_collect_descriptors():
    registry = RIG.registry()

    assert len(collectors(registry)) == 8
    assert [Bench(n).server.is_collecting for n in (DISCOVERY, TRUSTED, PLAIN)] == [
        True,
        True,
        False,
    ]


def test_a_pushed_descriptor_is_stored_and_served():
    bench = Bench()

    statuses = [bench.publish(PLAIN), bench.publish(PLAIN)]

    assert statuses == [PublishStatus.STORED, PublishStatus.HELD]
    assert RIG.descriptor(PLAIN).encode() in bench.fetch(Content.DESCRIPTORS).data


def test_any_registered_relay_may_bring_anothers_descriptor():
    assert Bench().publish(PLAIN, peer=TRUSTED) is PublishStatus.STORED


def test_a_relay_that_is_not_registered_may_not_push():
    stranger = SignedNetwork.build(SeededEntropy(51), nodes=3).nodes[0]

    assert Bench().publish(PLAIN, peer=stranger) is PublishStatus.REFUSED


def test_a_node_that_is_not_elected_takes_nothing():
    bench = Bench(PLAIN)

    assert bench.publish(TRUSTED) is PublishStatus.NOT_COLLECTING
    assert len(bench.store) == 0


def test_pushes_are_limited_per_relay_and_minute():
    bench = Bench()

    statuses = [bench.publish(PLAIN, sequence=n) for n in range(1, 23)]

    assert statuses[:20] == [PublishStatus.STORED] * 20
    assert statuses[20:] == [PublishStatus.BUSY] * 2
    assert bench.publish(TRUSTED) is PublishStatus.STORED
    assert bench.publish(PLAIN, sequence=30, now=60.0) is PublishStatus.STORED


@pytest.mark.parametrize(
    "fields", [{"issued": START - 20_000}, {"issued": START + 500}]
)
def test_what_is_not_current_is_refused(fields):
    assert Bench().publish(PLAIN, **fields) is PublishStatus.REFUSED


@given(st.binary(max_size=1200))
def test_any_bytes_from_a_relay_get_an_answer_or_silence(data):
    bench = Bench()

    answer = bench.server.answer(PLAIN.node_id, data, NOW, START)

    assert answer is None or len(answer) <= 1183
    assert len(bench.store) == 0


def test_relays_fetch_over_links_what_clients_fetch_over_circuits():
    bench = Bench()
    bench.publish(PLAIN)
    fetch = Fetch(Content.DESCRIPTORS).encode()
    request = DirectoryRequest(Operation.FETCH, fetch).encode()

    over_link = bench.server.answer(PLAIN.node_id, request, NOW, START)

    assert over_link == bench.server.fetch(7, fetch, NOW)


def test_an_empty_store_has_nothing_to_fetch():
    assert Bench().fetch(Content.DESCRIPTORS).snapshot == CURRENT


def test_an_unknown_snapshot_gets_the_first_page_of_the_current_one():
    bench = Bench()
    bench.publish(PLAIN)
    current = bench.fetch(Content.DESCRIPTORS)

    assert bench.fetch(Content.DESCRIPTORS, b"whatever", 9) == current
    assert bench.fetch(Content.DESCRIPTORS, current.snapshot, 9) == current


def test_the_registrys_file_is_served_in_pages():
    bench = Bench()
    first = bench.fetch(Content.REGISTRY)
    pages = [
        bench.fetch(Content.REGISTRY, first.snapshot, n).data
        for n in range(first.pages)
    ]

    assert b"".join(pages) == FILE
    assert first.snapshot == snapshot_name(FILE)


def test_digests_are_served_in_pages():
    bench = Bench()
    for node in RIG.nodes:
        bench.publish(node)

    page = bench.fetch(Content.DIGESTS)

    assert (page.pages, len(page.data)) == (1, 12 * 8)
    assert element_digest(RIG.descriptor(PLAIN).encode()) in {
        page.data[i : i + 8] for i in range(0, 96, 8)
    }


def test_elements_come_by_digest_as_many_as_fit_and_nothing_if_there_are_none():
    bench = Bench()
    elements = [RIG.descriptor(node).encode() for node in RIG.nodes]
    for node in RIG.nodes[:10]:
        bench.publish(node)
    digests = tuple(element_digest(element) for element in elements)

    several = bench.fetch(Content.ELEMENTS, CURRENT, 0, digests[3:11])
    none = bench.fetch(Content.ELEMENTS, CURRENT, 0, digests[10:])

    assert split_listing(several.data, 8) == elements[3:10]
    assert (several.pages, several.snapshot) == (1, snapshot_name(several.data))
    assert none == Fetched(CURRENT)


def test_an_answer_with_elements_is_never_larger_than_a_page():
    bench = Bench()
    families = tuple(bytes([n]) * 16 for n in range(4))
    digests = []
    for node in RIG.nodes[:8]:
        plain = RIG.descriptor(node)
        large = replace(plain, families=families).signed(LOOPBACK, node.identity)
        bench.store.offer(large.encode(), START)
        digests.append(element_digest(large.encode()))

    page = bench.fetch(Content.ELEMENTS, CURRENT, 0, tuple(digests))

    assert len(split_listing(page.data, 8)) == 5
    assert len(page.encode()) <= 1_106


class Desk:
    """Stands for the hand-overs of discovery.handover."""

    def take(self, body):
        assert body == b"signature"
        return SignatureStatus.STORED

    def snapshot(self, content, name):
        return Snapshot(content.name.encode() + name)


def test_hand_overs_are_taken_from_relays_and_served_to_all():
    bench = Bench(hand_overs=Desk())
    name = b"whatever"

    assert bench.hand_over(PLAIN) is SignatureStatus.STORED
    for content in (Content.HANDOVERS, Content.LISTING, Content.DIFFERENCE):
        assert bench.fetch(content, name).data == content.name.encode() + name


def test_signatures_of_strangers_and_of_the_hasty_are_refused():
    stranger = SignedNetwork.build(SeededEntropy(52), nodes=3).nodes[0]
    bench = Bench(hand_overs=Desk(), config=ServerConfig(pushes_per_minute=1))

    statuses = [bench.hand_over(peer) for peer in (stranger, PLAIN, PLAIN)]

    assert [status.name for status in statuses] == ["REFUSED", "STORED", "BUSY"]


def test_without_a_chain_there_are_no_hand_overs():
    bench = Bench()

    assert bench.hand_over(PLAIN) is SignatureStatus.OVER
    assert bench.fetch(Content.HANDOVERS) == Fetched(CURRENT)


def test_without_a_file_there_is_none_to_fetch():
    assert Bench(file=None).fetch(Content.REGISTRY).snapshot == CURRENT


def test_pages_are_limited_per_asker():
    bench = Bench(config=ServerConfig(pages_per_minute=3))
    for _ in range(3):
        bench.fetch(Content.DESCRIPTORS)

    with pytest.raises(TooManyRequestsError):
        bench.fetch(Content.DESCRIPTORS)
    assert bench.fetch(Content.DESCRIPTORS, asker=2)
    assert bench.fetch(Content.DESCRIPTORS, now=61.0)


def test_a_relay_beyond_its_share_hears_nothing():
    bench = Bench(config=ServerConfig(pages_per_minute=0))
    request = DirectoryRequest(Operation.FETCH, Fetch(Content.DESCRIPTORS).encode())

    assert bench.server.answer(PLAIN.node_id, request.encode(), NOW, START) is None


def test_the_table_of_askers_is_bounded():
    bench = Bench(config=ServerConfig(max_askers=2))
    bench.fetch(Content.DESCRIPTORS, asker=1)
    bench.fetch(Content.DESCRIPTORS, asker=2)

    with pytest.raises(TooManyRequestsError):
        bench.fetch(Content.DESCRIPTORS, asker=3)


def test_a_malformed_fetch_over_a_circuit_is_a_decode_error():
    bench = Bench()

    with pytest.raises(DecodeError):
        bench.server.fetch(1, b"junk", NOW)
    assert bench.stats.pages == {"malformed": 1}
