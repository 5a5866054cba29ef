"""Hand-overs on a fleet of relays that read the same chain, in virtual time."""

import asyncio
from dataclasses import replace

import pytest
import structlog

from discovery.config import ServerConfig
from discovery.descriptor_store import DescriptorStore
from discovery.handover.config import HandOverConfig
from discovery.handover.service import HandOverService
from discovery.server import DirectoryServer
from discovery.stats import DiscoveryStats
from psp.directory.difference import patched
from psp.directory.listing import snapshot_name
from psp.directory.paging import Outcome, PageDownload
from psp.directory.snapshot import SnapshotVerifier, hand_over_of
from psp.errors import ConfigError, PspError
from psp.netdoc.handover_list import split_hand_overs
from psp.runtime.directory_download import run_download
from psp.testing.directory import LOOPBACK, START
from psp.testing.entropy import SeededEntropy
from psp.testing.handovers import Succession
from psp.testing.memory_ports import MemoryLinks
from psp.testing.simloop import run_simulation
from psp.units import Monotonic, Seconds, UnixTime
from psp.wire.directory_page import CURRENT, Content
from psp.wire.directory_service import DIRECTORY_SERVICE

LENGTH = 1_200
LISTS = {4: [1, 2, 3], 5: [4, 5, 6], 6: [1, 2, 3], 7: [4, 5, 6]}
CONFIG = HandOverConfig()
LOG = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])


class Members:
    """As much of a registry as is asked for here."""

    network = LOOPBACK

    def __init__(self, chain):
        self._nodes = {chain.contracts.node_id(n): None for n in chain.contracts.keys}

    def nodes(self):
        return self._nodes

    def node(self, node_id):
        return self if node_id in self._nodes else None


class Fleet:
    """A hand-over service on each of some nodes."""

    def __init__(self, tmp_path, lists=LISTS, numbers=range(1, 13), config=CONFIG):
        self.chain = Succession(lists, epoch_length=LENGTH, unbonding=7 * LENGTH)
        self.links = MemoryLinks()
        self.links.latency = lambda: 0.02
        self.tmp_path = tmp_path
        self.config = config
        self.members = Members(self.chain)
        self.blind = set()
        self.services = {}
        for number in numbers:
            self.add(number)

    def add(self, number, chain=None):
        chain = chain or self.chain
        key = self.chain.key(number)

        async def view_at(start, previous):
            assert previous is not None
            await asyncio.sleep(1)
            if number in self.blind:
                raise PspError("no endpoint agrees")
            return chain.view_at(start)

        service = HandOverService(
            self.config,
            identity=key,
            registry=self.members,
            view=lambda: chain.at(self.epoch),
            view_at=view_at,
            links=self.links.port(key.public),
            entropy=SeededEntropy(number),
            state_dir=self.tmp_path / str(number),
            log=LOG,
        )
        server = DirectoryServer(
            ServerConfig(),
            own_id=key.public,
            registry=self.members,
            store=DescriptorStore(ServerConfig(), LOOPBACK),
            registry_file=lambda: None,
            stats=DiscoveryStats(),
            hand_overs=service.desk,
        )

        async def answer(peer, data):
            return server.answer(peer, data, Monotonic(self.now), START)

        self.links.port(key.public).serve(DIRECTORY_SERVICE, answer)
        self.services[number] = service

    @property
    def now(self):
        return asyncio.get_running_loop().time()

    @property
    def unix_now(self):
        return UnixTime(START + int(self.now))

    @property
    def epoch(self):
        return 4 + int(self.now) // LENGTH

    def kill(self, *numbers):
        self.links.dead.update(self.chain.ids(numbers))

    async def until(self, epoch, later=0.0):
        await asyncio.sleep((epoch - 4) * LENGTH + later - self.now)

    def complete(self, number):
        return [h.epoch for h in self.services[number].desk.collector.complete()]

    async def fetch(self, number, content, base=CURRENT):
        """Fetch as a client does that knows the node."""
        server = self.services[number].desk

        async def ask(fetch):
            await asyncio.sleep(0)
            snapshot = server.snapshot(content, fetch.snapshot)
            page = fetch.page if snapshot and fetch.snapshot == snapshot.name else 0
            return snapshot.page(page).encode() if snapshot else bytes(14)

        download = PageDownload(content, base=base)
        await run_download(download, ask)
        return download

    async def __aenter__(self):
        for service in self.services.values():
            service.start()
        return self

    async def __aexit__(self, *_):
        for service in self.services.values():
            await service.close()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    return path


def simulate(main):
    return run_simulation(lambda hub: main(), within=Seconds(86_400.0))


def test_a_minute_after_each_epoch_begins_all_relays_serve_its_hand_over(folder):
    async def main():
        async with Fleet(folder) as fleet:
            counts = []
            for epoch in (5, 6, 7):
                await fleet.until(epoch, 60)
                counts.append([fleet.complete(n) for n in (1, 4, 8, 11)])
            return counts

    assert simulate(main) == [[[5]] * 4, [[5, 6]] * 4, [[5, 6, 7]] * 4]


def test_a_client_follows_and_gets_its_listing_by_difference(folder):
    async def main():
        async with Fleet(folder) as fleet:
            await fleet.until(5, 60)
            old = fleet.chain.at(5)
            verifier = SnapshotVerifier(hand_over_of(old))
            fleet.chain.contracts.add_node(SeededEntropy("new"))
            await fleet.until(6, 60)
            lists = [await fleet.fetch(n, Content.HANDOVERS) for n in (1, 8, 11)]
            sources = [split_hand_overs(download.data) for download in lists]
            refused = verifier.follow(sources, fleet.unix_now)
            whole = await fleet.fetch(8, Content.LISTING)
            held = await fleet.fetch(1, Content.LISTING, base=b"whatever")
            base = await fleet.fetch(
                8, Content.DIFFERENCE, base=snapshot_name(old.listing)
            )
            return fleet, verifier, refused, whole, held, base, old

    fleet, verifier, refused, whole, held, changes, old = simulate(main)

    assert refused == []
    assert verifier.last.epoch == 6
    assert whole.data == held.data == fleet.chain.at(6).listing
    assert patched(old.listing, changes.data) == whole.data
    assert len(changes.data) < len(whole.data) / 5
    assert verifier.view(whole.data).elected() == fleet.chain.at(6).elected()


def test_with_more_than_a_third_of_the_elected_down_the_last_one_stays(folder):
    async def main():
        async with Fleet(folder) as fleet:
            await fleet.until(6, -60)
            fleet.kill(5, 6)
            await fleet.until(6, 900)
            return fleet, fleet.complete(1), await fleet.fetch(1, Content.LISTING)

    fleet, complete, listing = simulate(main)

    assert complete == [5]
    assert listing.data == fleet.chain.at(5).listing


def test_without_a_trusted_partner_there_is_none(folder):
    async def main():
        async with Fleet(folder) as fleet:
            fleet.kill(11, 12)
            await fleet.until(5, 1_000)
            return fleet.complete(1), fleet.complete(8)

    assert simulate(main) == ([], [])


def test_who_was_away_catches_up(folder):
    async def main():
        async with Fleet(folder, numbers=range(1, 12)) as fleet:
            fleet.kill(1, 8)
            await fleet.until(5, 300)
            before = fleet.complete(1), fleet.complete(8)
            fleet.links.dead.clear()
            await fleet.until(5, 1_100)
            return before, fleet.complete(1), fleet.complete(8)

    before, *after = simulate(main)

    assert before == ([], [])
    assert after == [[5], [5]]


def test_a_restart_forgets_nothing(folder):
    async def first():
        async with Fleet(folder) as fleet:
            await fleet.until(6, 120)

    async def second():
        fleet = Fleet(folder)
        kept = [fleet.complete(n) for n in (1, 8)]
        listing = await fleet.fetch(1, Content.LISTING)
        base = snapshot_name(fleet.chain.at(5).listing)
        changes = await fleet.fetch(1, Content.DIFFERENCE, base=base)
        return kept, listing.outcome, changes.outcome

    simulate(first)

    kept, *outcomes = simulate(second)
    assert kept == [[5, 6], [5, 6]]
    assert outcomes == [Outcome.COMPLETE, Outcome.COMPLETE]


def test_old_listings_go_from_the_disk_and_a_lost_one_is_read_again(folder):
    config = HandOverConfig(listings_on_disk=1)

    async def first():
        async with Fleet(folder, config=config) as fleet:
            await fleet.until(5, 60)
            fleet.chain.contracts.add_node(SeededEntropy("new"))
            await fleet.until(6, 60)

    async def second():
        fleet = Fleet(folder, config=config, numbers=[1])
        lost = fleet.services[1].desk.listings.listing()
        await fleet.until(6)
        fleet.chain.contracts.add_node(SeededEntropy("new"))
        await fleet.services[1].sweep()
        return fleet, lost, fleet.services[1].desk.listings.listing()

    simulate(first)
    (kept,) = (folder / "1").glob("*.listing")
    kept.unlink()
    fleet, lost, found = simulate(second)

    assert lost is None
    assert found.data == fleet.chain.at(6).listing
    assert fleet.complete(1) == [5, 6]


def test_a_node_never_signs_two_bodies_of_one_period(folder):
    async def first():
        async with Fleet(folder) as fleet:
            await fleet.until(5, 60)

    async def second():
        fleet = Fleet(folder, numbers=())
        other = Succession({**LISTS, 5: [7, 8, 9]}, epoch_length=LENGTH)
        fleet.add(1, chain=other)
        async with fleet:
            await fleet.until(5, 120)
            (held,) = fleet.services[1].desk.collector.complete()
            return fleet, held

    simulate(first)
    fleet, held = simulate(second)

    assert held.body == hand_over_of(fleet.chain.at(5)).body


def test_a_relay_whose_chain_is_bent_serves_nothing_and_spoils_nothing(folder):
    async def main():
        fleet = Fleet(folder, numbers=(1, 2, *range(4, 13)))
        bent = Succession({**LISTS, 5: [7, 8, 9]}, epoch_length=LENGTH)
        fleet.add(3, chain=bent)
        async with fleet:
            await fleet.until(5, 600)
            return fleet.complete(3), fleet.complete(1), fleet.services[1].stats

    bent, honest, stats = simulate(main)

    assert bent == []
    assert honest == [5]
    assert stats.signatures["different"] > 0


def test_an_anchor_that_cannot_be_read_is_read_later(folder):
    async def main():
        async with Fleet(folder) as fleet:
            fleet.blind = {1, 2, 3}
            await fleet.until(5, 300)
            during = fleet.complete(4)
            fleet.blind = set()
            await fleet.until(5, 1_000)
            return during, fleet.complete(4), fleet.services[1].stats

    during, after, stats = simulate(main)

    assert (during, after) == ([], [5])
    assert stats.views_missing > 0


def test_while_nobody_is_elected_there_is_nothing_to_hand_over(folder):
    async def main():
        async with Fleet(folder, lists={}) as fleet:
            await fleet.until(5, 60)
            return fleet.services[1].stats, fleet.services[1].desk.collector.newest

    stats, newest = simulate(main)

    assert (stats.opened, stats.views_missing, newest) == (0, 0, None)


def test_what_cannot_be_kept_is_not_signed_for_others(folder):
    async def main():
        async with Fleet(folder) as fleet:
            await fleet.until(5, -5)
            files = [folder / str(n) / "hand-overs.json" for n in (1, 2, 3)]
            for path in files:
                path.unlink()
                path.mkdir()  # in the way
            await fleet.until(5, 60)
            during = fleet.complete(8), dict(fleet.services[1].stats.pushed)
            for path in files:
                path.rmdir()
            await fleet.until(5, 600)
            return during, fleet.complete(8)

    (complete, pushed), after = simulate(main)

    assert (complete, pushed) == ([], {})
    assert after == [5]


@pytest.mark.parametrize("content", [{"hand_overs": ["00"], "listings": []}, {}])
def test_a_state_that_is_not_ours_is_refused_with_the_cure(folder, content):
    service = Fleet(folder, numbers=[1]).services[1]
    service._state.save(content)

    with pytest.raises(ConfigError, match="move it away"):
        Fleet(folder, numbers=[1])


def test_what_was_kept_of_another_network_is_left_aside(folder):
    async def first():
        async with Fleet(folder) as fleet:
            await fleet.until(5, 60)

    simulate(first)
    other = Fleet(folder, numbers=())
    other.members.network = replace(LOOPBACK, chain_id=5)
    other.add(1)

    assert other.services[1].desk.collector.newest is None
