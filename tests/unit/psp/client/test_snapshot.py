"""The chain's list without an endpoint: three sources, and what they may do to it."""

import asyncio
from dataclasses import replace

import pytest

from discovery.config import ServerConfig
from discovery.descriptor_store import DescriptorStore
from discovery.handover.collector import HandOverCollector
from discovery.handover.desk import HandOverDesk
from discovery.handover.listings import Listings
from discovery.handover.stats import HandOverStats
from discovery.server import DirectoryServer
from discovery.stats import DiscoveryStats
from psp.client.circuit import RequestError
from psp.client.config import SnapshotConfig
from psp.client.snapshot import SnapshotReader
from psp.crypto.keys import SigningKey
from psp.directory.chain.registry import ChainRegistry
from psp.directory.snapshot import hand_over_of
from psp.ids import NodeId
from psp.netdoc.handover import HandOver
from psp.testing.client_circuits import MemoryBuilder, client_context
from psp.testing.directory import LOOPBACK
from psp.testing.entropy import SeededEntropy
from psp.testing.handovers import DAY, Succession
from psp.testing.simloop import run_simulation
from psp.units import Monotonic, Seconds, UnixTime
from psp.wire.cell import Reason
from psp.wire.directory_page import Content, Fetch

LISTS = {epoch: [1, 2, 3] if epoch % 2 else [4, 5, 6] for epoch in range(4, 14)}
PARTNER = SigningKey(b"partner!" * 4)


def growing():
    """Return a chain to which a node comes in each epoch, so that listings differ."""
    chain = Succession(LISTS)
    for epoch in LISTS:
        chain.at(epoch)
        chain.contracts.add_node(SeededEntropy(epoch))
    return chain


CHAIN = growing()


class Rig:
    """A client whose view is of epoch 4, and six relays that have read the chain."""

    def __init__(self, hub, epoch=5, anchor=None, view_epoch=4, partners=()):
        self.chain = CHAIN
        self.registry = ChainRegistry(LOOPBACK)
        self.adopted = []
        if view_epoch:
            view = CHAIN.at(view_epoch)
            self.registry.adopt(view, view.timestamp)
        began = CHAIN.start(epoch) + 600 - hub.unix_time()
        self.context = replace(
            client_context(hub, self.registry),
            unix_time=lambda: hub.unix_time() + began,
        )
        relays = ChainRegistry(LOOPBACK)
        relays.adopt(CHAIN.at(4), CHAIN.at(4).timestamp)
        self.builder = MemoryBuilder(relays, self._answer)
        self.numbers = {self.chain.contracts.node_id(n): n for n in range(1, 13)}
        self.order = [1, 2, 3, 7, 8, 9]
        self.judged = {}
        self.silent = set()
        self.fetched = []
        self.servers = {n: self.server(range(5, epoch + 1)) for n in self.order}
        self.reader = SnapshotReader(
            self.context,
            self.builder.as_builder(),
            self,
            current=lambda: self.registry.view,
            adopt=self.adopt,
            anchor=anchor,
            partners=partners,
            config=SnapshotConfig(most_sources=5),
        )

    def signed(self, epoch, *more):
        return self.chain.hand_over(epoch, [*LISTS[epoch - 1], 11, *more])

    def server(self, epochs, hand_overs=None, listing=None):
        """Return what serves some epochs, or some lies."""
        desk = HandOverDesk(HandOverCollector(), Listings(8), HandOverStats())
        desk.listings.add(self.chain.at(4).listing)
        for epoch in epochs:
            desk.listings.add(self.chain.at(epoch).listing)
            desk.collector.open(self.signed(epoch))
        if hand_overs is not None:
            desk.collector.complete = lambda: hand_overs
        desk.follow()
        if listing is not None:
            desk.listings.serve(desk.listings.add(listing))
        return DirectoryServer(
            ServerConfig(),
            own_id=NodeId(bytes(32)),
            registry=self.registry,
            store=DescriptorStore(ServerConfig(), LOOPBACK),
            registry_file=lambda: None,
            stats=DiscoveryStats(),
            hand_overs=desk,
        )

    async def _answer(self, circuit, command, data):
        await asyncio.sleep(0.1)
        number = self.numbers[circuit.path[-1].node_id]
        content = Fetch.decode(data).content
        self.fetched.append((number, content, len(data)))
        if number in self.silent or (number, content) in self.silent:
            raise RequestError(command, Reason.TIMEOUT)
        now = Monotonic(asyncio.get_running_loop().time())
        answer = self.servers[number].fetch(1, data, now)
        self.fetched.append((number, content, len(answer)))
        return answer

    # ---- as a directory

    def sources(self, count, besides):
        ids = [self.chain.contracts.node_id(number) for number in self.order]
        return [key for key in ids if key not in besides][:count]

    def record(self, node_id, *, is_good):
        self.judged[self.numbers[node_id]] = is_good

    def adopt(self, view):
        self.adopted.append(view)
        return self.registry.adopt(view, UnixTime(int(self.context.unix_time())))

    @property
    def contents(self):
        return {content for _, content, _ in self.fetched}


def simulate(main, **options):
    async def run(hub):
        return await main(Rig(hub, **options))

    return run_simulation(run, within=Seconds(20.0 * DAY))


def test_a_newer_list_is_adopted_with_what_has_changed():
    async def main(rig):
        return await rig.reader.refresh(), rig

    is_newer, rig = simulate(main)

    assert is_newer
    (view,) = rig.adopted
    assert view == replace(rig.chain.at(5), users=None)
    assert rig.registry.discovery_nodes() == rig.chain.at(5).elected()
    assert rig.contents == {Content.HANDOVERS, Content.DIFFERENCE}
    assert rig.reader.explanation == "list of epoch 5 handed over 10 minutes ago"
    assert not any(circuit.is_open for circuit in rig.builder.opened)
    assert rig.judged == {1: True, 2: True, 3: True}


def test_a_week_of_lists_is_caught_up_with_at_once():
    async def main(rig):
        await rig.reader.refresh()
        return rig

    rig = simulate(main, epoch=10)

    assert [view.state.epoch for view in rig.adopted] == [10]


def test_nothing_new_costs_little_and_changes_nothing():
    async def main(rig):
        await rig.reader.refresh()
        rig.fetched.clear()
        return await rig.reader.refresh(), rig

    is_newer, rig = simulate(main)

    assert not is_newer
    assert len(rig.adopted) == 1
    assert "keeping the list of epoch 5" in rig.reader.explanation
    assert "3 sources have nothing newer" in rig.reader.explanation
    assert sum(size for _, _, size in rig.fetched) < 100


def test_with_more_than_a_third_of_the_elected_down_the_client_keeps_its_list():
    async def main(rig):
        few = [rig.chain.hand_over(5, [4, 11])]
        rig.servers = {n: rig.server((), hand_overs=few) for n in rig.order}
        return await rig.reader.refresh(), rig

    is_newer, rig = simulate(main)

    assert not is_newer
    assert rig.adopted == []
    assert "keeping the list of epoch 4" in rig.reader.explanation
    assert "1 of 3 seats, 2 needed" in rig.reader.explanation


def test_signatures_of_several_sources_add_up():
    async def main(rig):
        for number, signers in ((1, [4]), (2, [5]), (3, [11])):
            part = [rig.chain.hand_over(5, signers)]
            rig.servers[number] = rig.server([5], hand_overs=part)
        await rig.reader.refresh()
        return rig

    assert [view.state.epoch for view in simulate(main).adopted] == [5]


def test_after_the_unbonding_time_only_an_endpoint_helps():
    async def main(rig):
        return await rig.reader.refresh(), rig

    is_newer, rig = simulate(main, epoch=12)

    assert not is_newer
    assert rig.adopted == []
    assert "use an RPC endpoint or a newer release" in rig.reader.explanation


def test_one_honest_source_among_liars_is_enough():
    async def main(rig):
        lie = replace(hand_over_of(rig.chain.at(5)), height=999_999)
        lies = [rig.chain.signed(lie, [1, 2, 3])]
        rig.servers[1] = rig.server((), hand_overs=lies)
        rig.servers[2] = rig.server((), hand_overs=[])
        await rig.reader.refresh()
        return rig

    assert [view.height for view in simulate(main).adopted] == [8_200]


def test_sources_that_fail_are_replaced_and_remembered():
    async def main(rig):
        rig.silent = {1}
        rig.builder.dead = {rig.chain.contracts.node_id(2)}
        await rig.reader.refresh()
        return rig

    rig = simulate(main)

    assert len(rig.adopted) == 1
    assert rig.judged == {1: False, 2: False, 3: True, 7: True, 8: True}


def test_when_nobody_answers_the_client_says_so():
    async def main(rig):
        rig.silent = set(rig.order)
        await rig.reader.refresh()
        return rig

    rig = simulate(main)

    assert rig.adopted == []
    assert rig.reader.explanation == "none of 5 sources has any hand-over"


def test_a_listing_that_was_not_handed_over_is_asked_of_the_next():
    async def main(rig):
        other = Succession(LISTS, seed="other").at(5).listing
        for number in (1, 2):
            rig.servers[number] = rig.server([5], listing=other)
        await rig.reader.refresh()
        return rig

    rig = simulate(main)

    assert [view.state.epoch for view in rig.adopted] == [5]


def test_without_a_difference_all_of_it_is_fetched():
    async def main(rig):
        rig.silent = {(n, Content.DIFFERENCE) for n in rig.order}
        await rig.reader.refresh()
        return rig

    rig = simulate(main)

    assert len(rig.adopted) == 1
    assert Content.LISTING in rig.contents


def test_when_nobody_has_the_listing_nothing_is_adopted():
    async def main(rig):
        rig.silent = {
            (n, content)
            for n in rig.order
            for content in (Content.DIFFERENCE, Content.LISTING)
        }
        await rig.reader.refresh()
        return rig

    rig = simulate(main)

    assert rig.adopted == []
    assert "nobody has its listing" in rig.reader.explanation


def anchor(epoch) -> HandOver:
    return hand_over_of(CHAIN.at(epoch))


@pytest.mark.parametrize(("begin", "epoch"), [(5, 5), (4, 6)])
def test_a_client_that_never_had_a_list_starts_from_the_releases_anchor(begin, epoch):
    async def main(rig):
        await rig.reader.refresh()
        return rig

    rig = simulate(main, epoch=epoch, anchor=anchor(begin), view_epoch=None)

    assert [view.state.epoch for view in rig.adopted] == [epoch]
    assert rig.contents == {Content.HANDOVERS, Content.LISTING}


def test_an_anchor_older_than_the_unbonding_time_is_no_start():
    async def main(rig):
        await rig.reader.refresh()
        return rig

    rig = simulate(main, epoch=12, anchor=anchor(4), view_epoch=None)

    assert rig.adopted == []
    assert "newer release" in rig.reader.explanation


def test_without_any_start_there_is_no_way():
    async def main(rig):
        await rig.reader.refresh()
        return rig

    rig = simulate(main, view_epoch=None)

    assert "no list of the chain to start from" in rig.reader.explanation
    assert rig.fetched == []


def test_a_partners_own_key_is_passed_on():
    async def main(rig):
        signed = rig.chain.hand_over(5, [4, 5])
        partner = {NodeId(PARTNER.public): signed.sign(PARTNER)}
        both = signed.with_signatures({**signed.signatures, **partner})
        rig.servers = {n: rig.server([5], hand_overs=[both]) for n in rig.order}
        return await rig.reader.refresh()

    assert simulate(main) is False
    assert simulate(main, partners=[PARTNER.public]) is True


def test_it_runs_on_its_own_and_follows_each_period():
    async def main(rig):
        running = asyncio.create_task(rig.reader.run())
        await asyncio.sleep(0.1 * DAY)
        for later in range(6, 9):
            await asyncio.sleep(rig.chain.start(later) - rig.context.unix_time())
            rig.servers = {n: rig.server(range(5, later + 1)) for n in rig.order}
            await asyncio.sleep(0.2 * DAY)
        running.cancel()
        return rig

    rig = simulate(main)

    assert [view.state.epoch for view in rig.adopted] == [5, 6, 7, 8]
    looks = len([1 for circuit in rig.builder.opened]) / 3
    assert looks < 30 * 3.5


def test_failures_are_tried_again_later_and_later():
    async def main(rig):
        rig.silent = set(rig.order)
        running = asyncio.create_task(rig.reader.run())
        await asyncio.sleep(1.0 * DAY)
        running.cancel()
        return len(rig.builder.opened) / 5

    assert 20 < simulate(main) < 40
