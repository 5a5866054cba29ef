"""Whole discovery services over a fake of the relays' ports, in virtual time."""

import asyncio
import copy
from collections import Counter
from functools import partial

import pytest

from discovery.config import DiscoveryConfig
from discovery.publisher import Facts
from discovery.service import DiscoveryService
from psp.directory.digests import element_digest
from psp.directory.fallback import Tier
from psp.directory.listing import Snapshot, encode_listing, split_listing
from psp.directory.paging import Outcome, PageDownload
from psp.directory.trusted import RegistryRefusedError
from psp.netdoc.descriptor import Role
from psp.runtime.directory_download import run_download
from psp.runtime.ports import CircuitPeer, RefusedError
from psp.testing.directory import START, SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.testing.simloop import run_simulation
from psp.wire.cell import Reason
from psp.wire.directory_page import Content, Fetch, Fetched
from psp.wire.directory_service import DIRECTORY_SERVICE, Operation
from psp.wire.relay_message import RelayCommand

RIG = SignedNetwork.build(SeededEntropy(60), nodes=8)
RIG.discovery, RIG.trusted = 3, 2
CONFIG = DiscoveryConfig()
CLIENT = CircuitPeer(1, bytes(32))


class Wires:
    """All links between the relays of one test."""

    def __init__(self):
        self.handlers = {}
        self.down = set()
        self.liars = {}
        self.requests = 0
        self.fetched = Counter()

    def port(self, own_id):
        return LinkEnd(self, own_id)


class LinkEnd:
    def __init__(self, wires, own_id):
        self.wires, self.own_id = wires, own_id

    def serve(self, service, handler):
        assert service == DIRECTORY_SERVICE
        self.wires.handlers[self.own_id] = handler

    async def request(self, node_id, service, data, within):
        self.wires.requests += 1
        if data[0] == Operation.FETCH:
            self.wires.fetched[Content(data[1])] += 1
        await asyncio.sleep(0.05)
        liar = self.wires.liars.get(node_id)
        if liar is not None and data[0] == 2:
            return liar
        if node_id in self.wires.down or node_id not in self.wires.handlers:
            await asyncio.sleep(within)
            return None
        return await self.wires.handlers[node_id](self.own_id, data)


class Circuits:
    def __init__(self):
        self.handlers = {}

    def serve(self, command, handler):
        self.handlers[command] = handler

    async def ask(self, key, command, data):
        return None

    def on_circuit_closed(self, listener):
        pass


class Fleet:
    """A discovery service on every node."""

    def __init__(
        self,
        rig=RIG,
        config=CONFIG,
        file=lambda _, registry: registry.data,
        view=lambda registry: registry,
    ):
        self.wires = Wires()
        self.circuits, self.services, self.registries = [], [], []
        for i, node in enumerate(rig.nodes):
            registry = view(rig.registry())
            circuits = Circuits()
            self.registries.append(registry)
            self.circuits.append(circuits)
            self.services.append(
                DiscoveryService(
                    config,
                    identity=node.identity,
                    registry=registry,
                    circuits=circuits,
                    links=self.wires.port(node.node_id),
                    entropy=SeededEntropy(i),
                    unix_time=lambda: START + asyncio.get_running_loop().time(),
                    facts=lambda: Facts(Role.PRESENCE),
                    registry_file=partial(file, i, registry),
                    on_registry_file=partial(adopt, registry),
                )
            )

    async def __aenter__(self):
        for service in self.services:
            service.start()
        return self

    async def __aexit__(self, *_):
        for service in self.services:
            await service.close()

    def held(self):
        return [len(service.store) for service in self.services]


def adopt(registry, data):
    try:
        return registry.update(data, START)
    except RegistryRefusedError:
        return False


def simulate(main):
    return run_simulation(lambda hub: main(), seed=1)


def test_within_seconds_every_node_serves_the_whole_directory():
    async def main():
        async with Fleet() as fleet:
            await asyncio.sleep(2)
            collected = fleet.held()
            await asyncio.sleep(60)
            return collected, fleet.held(), fleet.services[7].decision.tier

    collected, held, tier = simulate(main)

    assert [collected[i] for i in (0, 1, 2, 6, 7)] == [8] * 5
    assert [collected[i] for i in (3, 4, 5)] == [1] * 3
    assert held == [8] * 8
    assert tier is Tier.ELECTED


def test_a_client_fetches_from_any_known_node_over_a_circuit():
    async def main():
        async with Fleet() as fleet:
            await asyncio.sleep(60)
            handler = fleet.circuits[4].handlers[RelayCommand.FETCH]
            download = PageDownload(Content.DESCRIPTORS)
            await run_download(download, lambda fetch: handler(CLIENT, fetch.encode()))
            return download

    download = simulate(main)

    assert download.outcome is Outcome.COMPLETE
    ids = {element[1:33] for element in split_listing(download.data, 100)}
    assert ids == {node.node_id for node in RIG.nodes}


def test_what_all_have_is_told_by_digest_and_not_fetched_again():
    async def main():
        async with Fleet() as fleet:
            await asyncio.sleep(60)
            fleet.wires.fetched.clear()
            await asyncio.sleep(1_800)
            return fleet.wires.fetched

    fetched = simulate(main)

    assert fetched[Content.DIGESTS] > 50
    assert fetched[Content.ELEMENTS] == fetched[Content.DESCRIPTORS] == 0


def test_who_lists_what_it_does_not_have_is_left_for_others():
    digests = b"".join(bytes([7]) + n.to_bytes(7) for n in range(40))
    lie = Snapshot(digests)

    async def main():
        async with Fleet() as fleet:
            liar = fleet.services[0].store
            liar.digests = lambda name, now: lie
            await asyncio.sleep(120)
            return fleet.held(), fleet.services[4].stats

    held, stats = simulate(main)

    assert held == [8] * 8
    assert stats.downloads["hollow"] > 0


def test_who_delivers_junk_under_a_good_relays_name_is_left_for_others():
    junk = b"\x01" + RIG.nodes[5].node_id + bytes(88)
    lie = Snapshot(element_digest(junk))

    async def main():
        async with Fleet() as fleet:
            liar = fleet.services[0].store
            liar.digests = lambda name, now: lie
            liar.find = lambda digests, max_bytes: [junk]
            await asyncio.sleep(120)
            return fleet.held(), fleet.services[4].stats

    held, stats = simulate(main)

    assert held == [8] * 8
    assert stats.offered["malformed"] > 0
    assert stats.downloads["malformed"] > 0


def test_descriptors_are_renewed_and_never_run_out():
    async def main():
        async with Fleet() as fleet:
            counts = []
            for _ in range(4):
                await asyncio.sleep(3_600)
                counts.append(fleet.held())
            return counts

    assert simulate(main) == [[8] * 8] * 4


def test_a_dead_nodes_descriptor_goes_after_three_hours():
    async def main():
        async with Fleet() as fleet:
            await asyncio.sleep(60)
            dead = fleet.services[5]
            await dead.close()
            fleet.wires.down.add(RIG.nodes[5].node_id)
            await asyncio.sleep(10_800 + 180)
            return [
                service.store.descriptor(RIG.nodes[5].node_id)
                for service in fleet.services
                if service is not dead
            ]

    assert simulate(main) == [None] * 7


def test_discovery_nodes_that_were_down_catch_up():
    async def main():
        async with Fleet() as fleet:
            fleet.wires.down = {node.node_id for node in RIG.nodes[:3]}
            await asyncio.sleep(300)
            plain = fleet.services[4]
            before = len(plain.store), plain.decision
            fleet.wires.down.clear()
            await asyncio.sleep(1_500)
            return before, fleet.held(), plain.decision

    (count, during), held, after = simulate(main)

    assert count == 8
    assert during.tier is Tier.TRUSTED
    assert "none of 3 elected discovery nodes can be reached" in during.explanation
    assert held == [8] * 8
    assert after.tier is Tier.ELECTED


def test_with_all_of_them_down_any_known_node_is_asked():
    async def main():
        async with Fleet() as fleet:
            await asyncio.sleep(60)
            fleet.wires.down = {RIG.nodes[i].node_id for i in (0, 1, 2, 6, 7)}
            await asyncio.sleep(3_000)
            return fleet.services[4].decision.tier, fleet.held()[4]

    assert simulate(main) == (Tier.KNOWN, 8)


def test_liars_cost_nobody_but_themselves():
    junk = Fetched(b"liarliar", 1, 0, encode_listing([b"junk"])).encode()

    async def main():
        async with Fleet() as fleet:
            fleet.wires.liars = {RIG.nodes[0].node_id: junk, RIG.nodes[1].node_id: b""}
            await asyncio.sleep(120)
            return fleet.held(), fleet.services[4].stats

    held, stats = simulate(main)

    assert held == [8] * 8
    assert stats.downloads["inconsistent"] > 0
    assert stats.downloads["malformed"] > 0


def test_a_newly_elected_node_collects_without_a_restart():
    later = copy.copy(RIG)
    later.nodes = [*RIG.nodes[3:], *RIG.nodes[:3]]
    later.sequence = 2

    async def main():
        async with Fleet() as fleet:
            await asyncio.sleep(10)
            before = fleet.services[3].is_collecting
            adopt(fleet.registries[7], later.file())
            await asyncio.sleep(1_500)
            sequences = {registry.sequence for registry in fleet.registries}
            return before, fleet.services[3].is_collecting, sequences, fleet.held()

    before, after, sequences, held = simulate(main)

    assert (before, after) == (False, True)
    assert sequences == {2}
    assert held == [8] * 8


def test_a_forged_registry_file_is_refused():
    forger = copy.copy(RIG)
    forger.partners = SignedNetwork.build(SeededEntropy(61), nodes=3).partners
    forger.sequence = 9

    async def main():
        forged = forger.file()
        async with Fleet(file=lambda i, r: forged if i < 3 else r.data) as fleet:
            await asyncio.sleep(120)
            return fleet.registries[4].sequence, fleet.services[4].stats

    sequence, stats = simulate(main)

    assert sequence == 1
    assert stats.registry_files["refused"] > 0


def test_bad_requests_over_circuits_are_refused_with_a_reason():
    async def main():
        async with Fleet() as fleet:
            handler = fleet.circuits[0].handlers[RelayCommand.FETCH]
            with pytest.raises(RefusedError) as malformed:
                await handler(CLIENT, b"junk")
            request = Fetch(Content.DESCRIPTORS).encode()
            for _ in range(CONFIG.server.pages_per_minute - 1):
                await handler(CLIENT, request)
            with pytest.raises(RefusedError) as surplus:
                await handler(CLIENT, request)
            return malformed.value.reason, surplus.value.reason

    assert simulate(main) == (Reason.PROTOCOL, Reason.RESOURCE_LIMIT)


def test_an_idle_network_stays_quiet():
    async def main():
        async with Fleet() as fleet:
            await asyncio.sleep(3_000)
            before = fleet.wires.requests
            await asyncio.sleep(3_600)
            return fleet.wires.requests - before

    # An hour: 8 x 6 rounds of 3 listings and a file, 8 x about 5 publications.
    assert simulate(main) < 8 * (7 * 4 * 2 + 5 * 3)


class Elections:
    """A registry whose discovery nodes a test elects."""

    def __init__(self, registry):
        self.registry = registry
        self.elected = registry.discovery_nodes()
        self.retiring = ()
        self.elections = 0

    def __getattr__(self, name):
        return getattr(self.registry, name)

    @property
    def sequence(self):
        return self.registry.sequence + self.elections

    def discovery_nodes(self):
        return self.elected

    def retiring_nodes(self):
        return self.retiring

    def elect(self, nodes):
        self.retiring = tuple(sorted({*self.elected} - {*nodes}))
        self.elected = tuple(sorted(nodes))
        self.elections += 1


NEWLY = (3, 4, 5)
"""Nodes that are elected in place of 0, 1 and 2."""


class ElectionFleet(Fleet):
    """Eight nodes, the last of which comes after a quarter of an hour."""

    def __init__(self):
        super().__init__(view=Elections)
        self.late = self.services.pop(7)

    async def grow_up(self):
        await asyncio.sleep(900)
        self.late.start()
        self.services.append(self.late)
        await asyncio.sleep(5)

    def elect(self, known_to=range(8)):
        for number in known_to:
            self.registries[number].elect([RIG.nodes[n].node_id for n in NEWLY])

    def held_by_the_newly_elected(self):
        return [len(self.services[number].store) for number in NEWLY]


def test_newly_elected_nodes_have_at_once_what_the_retiring_ones_have():
    # The late node does not know of the election, and pushes nothing to them.
    async def main():
        async with ElectionFleet() as fleet:
            await fleet.grow_up()
            before = fleet.held_by_the_newly_elected()
            fleet.elect(known_to=range(7))
            await asyncio.sleep(3)
            caught_up = [service.stats.catch_ups for service in fleet.services]
            return before, fleet.held_by_the_newly_elected(), caught_up

    before, after, caught_up = simulate(main)

    assert before == [7, 7, 7]
    assert after == [8, 8, 8]
    assert caught_up == [0, 0, 0, 1, 1, 1, 0, 0]


def test_newly_elected_nodes_go_on_to_those_that_answer():
    async def main():
        async with ElectionFleet() as fleet:
            await fleet.grow_up()
            fleet.wires.down |= {RIG.nodes[n].node_id for n in (0, 1, 2)}
            fleet.elect(known_to=range(7))
            await asyncio.sleep(15)
            return fleet.held_by_the_newly_elected()

    # The partners' nodes collect at all times.
    assert simulate(main) == [8, 8, 8]


def test_every_relay_pushes_its_descriptor_to_the_newly_elected_within_one_sweep():
    async def main():
        async with ElectionFleet() as fleet:
            await fleet.grow_up()
            for number in NEWLY:
                fleet.services[number].stats.pushes.clear()
            fleet.elect()
            await asyncio.sleep(CONFIG.sweep_every + 0.5)
            return [fleet.services[number].stats.pushes for number in NEWLY]

    for pushes in simulate(main):
        assert pushes["stored"] + pushes["held"] == 7


def test_push_to_one_who_does_not_know_of_its_election_is_repeated_until_it_does():
    async def main():
        async with ElectionFleet() as fleet:
            await fleet.grow_up()
            fleet.elect(known_to=[0, 1, 2, 6, 7])
            await asyncio.sleep(30)
            refused = [fleet.services[n].stats.pushes["not_collecting"] for n in NEWLY]
            fleet.elect(known_to=NEWLY)
            await asyncio.sleep(35)
            pushes = [fleet.services[n].stats.pushes for n in NEWLY]
            return refused, pushes

    refused, pushes = simulate(main)

    assert min(refused) >= 5
    for each in pushes:
        assert each["stored"] + each["held"] >= 5


def test_retiring_nodes_go_on_serving_their_copy():
    async def main():
        async with ElectionFleet() as fleet:
            await fleet.grow_up()
            fleet.elect()
            await asyncio.sleep(30)
            handler = fleet.circuits[0].handlers[RelayCommand.FETCH]
            download = PageDownload(Content.DESCRIPTORS)
            await run_download(download, lambda fetch: handler(CLIENT, fetch.encode()))
            return len(split_listing(download.data, 100))

    assert simulate(main) == 8
