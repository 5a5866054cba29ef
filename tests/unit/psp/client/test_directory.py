"""A client's directory: sources, fallbacks, its cache (psp/client/directory.py)."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from psp.client.circuit import RequestError
from psp.client.config import DirectoryConfig
from psp.client.directory import Directory
from psp.errors import ConfigError
from psp.ids import NodeId
from psp.path.constraints import Constraints
from psp.path.guards import GuardSet
from psp.path.layer2 import Layer2Guards
from psp.path.selection import PathSelector
from psp.testing.client_circuits import (
    MemoryBuilder,
    MemoryClientCircuit,
    client_context,
)
from psp.testing.clock import EPOCH
from psp.testing.directory import SignedNetwork
from psp.testing.directory_source import MemorySource
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.units import Seconds, UnixTime
from psp.wire.cell import Reason
from psp.wire.directory_page import Content, Fetch
from psp.wire.relay_message import RelayCommand

SIGNED = SignedNetwork.build(SeededEntropy("directory"), nodes=16, issued=EPOCH)
"""Five discovery nodes first, three of the trusted partners last."""


class Rig:
    """A directory, and what each node serves."""

    def __init__(self, hub: SimHub, cache: Path) -> None:
        self.registry = SIGNED.registry()
        self.builder = MemoryBuilder(self.registry, self._answer)
        self.selector = PathSelector(Constraints(), GuardSet(), Layer2Guards())
        self.context = client_context(hub, self.registry, "directory")
        self.selector.update(self.registry.nodes(), EPOCH, self.context.entropy)
        everybody = [SIGNED.descriptor(node).encode() for node in SIGNED.nodes]
        self.served = {node: MemorySource(everybody) for node in self.registry.nodes()}
        self.silent: set[NodeId] = set()
        self.cut: set[NodeId] = set()
        self._cache = cache
        self.use(DirectoryConfig())

    def use(self, config: DirectoryConfig) -> None:
        self.directory = Directory(
            self.context, self.builder.as_builder(), self.selector, self._cache, config
        )

    async def _answer(
        self, circuit: MemoryClientCircuit, command: RelayCommand, data: bytes
    ) -> bytes:
        await asyncio.sleep(0.1)
        node = circuit.path[-1].node_id
        if node in self.cut:
            circuit.close()
            await asyncio.sleep(1.0)
        if node in self.silent:
            raise RequestError(command, Reason.TIMEOUT)
        answer = self.served[node].answer(Fetch.decode(data))
        if answer is None:
            raise RequestError(command, Reason.TIMEOUT)
        return answer

    @property
    def asked(self) -> list[NodeId]:
        return [circuit.path[-1].node_id for circuit in self.builder.opened]

    def serve_everywhere(self, elements: Sequence[bytes]) -> None:
        self.served = {node: MemorySource(elements) for node in self.served}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder / "directory"


def simulate(cache: Path, main):
    async def run(hub: SimHub):
        return await main(Rig(hub, cache))

    return run_simulation(run, within=Seconds(4 * 86_400.0))


def test_three_discovery_nodes_are_asked_and_the_union_is_kept(cache):
    async def main(rig: Rig):
        await rig.directory.refresh()
        await rig.directory.wait_until_heard()
        return rig, rig.directory.explanation

    rig, explanation = simulate(cache, main)

    assert len(rig.asked) == 3
    assert set(rig.asked) <= set(rig.registry.discovery_nodes())
    assert rig.directory.is_complete
    assert "3 answered, 16 of 16 relays described, 0 withheld" in explanation
    assert cache.exists()
    assert not any(circuit.is_open for circuit in rig.builder.opened)


def test_for_each_that_fails_another_is_asked(cache):
    async def main(rig: Rig):
        elected = rig.registry.discovery_nodes()
        rig.builder.dead.add(elected[0])
        rig.silent.add(elected[1])
        await rig.directory.refresh()
        return rig.directory.is_complete, rig.asked

    is_complete, asked = simulate(cache, main)

    assert is_complete
    assert len(set(asked)) == len(asked)


def test_without_discovery_nodes_the_trusted_are_asked_then_anybody(cache):
    async def main(rig: Rig):
        explanations = []
        for members in (rig.registry.discovery_nodes(), rig.registry.trusted_nodes()):
            rig.builder.dead.update(members)
            await rig.directory.refresh()
            assert not rig.directory.is_complete
            await rig.directory.refresh()
            explanations.append(rig.directory.explanation)
        return explanations, rig.directory.is_complete

    (trusted, known), is_complete = simulate(cache, main)

    assert "asking nodes of trusted partners" in trusted
    assert "3 answered" in trusted
    assert "asking any known node" in known
    assert is_complete


def test_a_source_that_withholds_relays_is_made_up_for_and_told(cache):
    async def main(rig: Rig):
        few = [SIGNED.descriptor(node).encode() for node in SIGNED.nodes[:3]]
        liar = rig.registry.discovery_nodes()[0]
        rig.served[liar] = MemorySource(few)
        for node in rig.registry.discovery_nodes()[3:]:
            rig.builder.dead.add(node)
        await rig.directory.refresh()
        return rig.directory.explanation

    assert "16 of 16 relays described, 13 withheld" in simulate(cache, main)


def test_rubbish_counts_as_no_answer(cache):
    async def main(rig: Rig):
        rig.serve_everywhere([b"\xff" * 20])
        await rig.directory.refresh()
        return rig.directory.is_complete, rig.selector.is_thin

    assert simulate(cache, main) == (False, False)
    assert not cache.exists()


def test_whoever_lists_what_it_does_not_have_counts_as_no_answer(cache):
    async def main(rig: Rig):
        everybody = [SIGNED.descriptor(node).encode() for node in SIGNED.nodes]
        for liar in rig.registry.discovery_nodes():
            rig.served[liar] = MemorySource((), listed=everybody)
        await rig.directory.refresh()
        first = rig.directory.explanation
        await rig.directory.refresh()
        return first, rig.directory.explanation

    first, second = simulate(cache, main)

    assert "0 answered, 0 of 16 relays described" in first
    assert "asking nodes of trusted partners" in second
    assert "3 answered, 16 of 16 relays described" in second


def test_what_has_not_changed_is_not_fetched_again(cache):
    async def main(rig: Rig):
        await rig.directory.refresh()
        for source in rig.served.values():
            source.asked = dict.fromkeys(Content, 0)
        await rig.directory.refresh()
        counts: Counter[Content] = Counter()
        for source in rig.served.values():
            counts.update(source.asked)
        return +counts

    assert simulate(cache, main) == {Content.DIGESTS: 3}


def test_a_circuit_that_ends_on_the_way_costs_its_source_only(cache):
    async def main(rig: Rig):
        cut = rig.registry.discovery_nodes()[0]
        rig.cut = {cut}
        rig.builder.dead.update(rig.registry.discovery_nodes()[3:])
        await rig.directory.refresh()
        return rig.directory.explanation

    assert "2 answered, 16 of 16 relays described" in simulate(cache, main)


def test_while_too_few_answer_relays_heard_within_a_day_count_as_running(cache):
    async def main(rig: Rig):
        await rig.directory.refresh()
        await asyncio.sleep(4 * 3600.0)  # everything held has expired
        few = [
            SIGNED.descriptor(
                node, sequence=2, issued=UnixTime(EPOCH + 14_000)
            ).encode()
            for node in SIGNED.nodes[:1]
        ]
        rig.serve_everywhere(few)
        alive = rig.registry.discovery_nodes()[0]
        rig.builder.dead.update(key for key in rig.registry.nodes() if key != alive)
        await rig.directory.refresh()
        return rig.directory.explanation, rig.selector.is_thin

    explanation, is_thin = simulate(cache, main)

    assert "1 answered, 1 of 16 relays described" in explanation
    assert not is_thin


def large_network(refresh_every: float) -> DirectoryConfig:
    """Return settings that make the rig's 16 relays cost as much as 10,000."""
    return DirectoryConfig(refresh_every=Seconds(refresh_every), day_bytes=3_000)


def test_in_a_large_network_looks_are_rare(cache):
    async def main(rig: Rig):
        rig.use(large_network(600.0))
        running = asyncio.create_task(rig.directory.run())
        await asyncio.sleep(86_400.0 * 3)
        running.cancel()
        return rig.directory.interval / 3600, len(rig.asked) / 3

    interval, looks = simulate(cache, main)

    assert 17 < interval < 21
    assert 3 <= looks <= 5


def test_in_a_large_network_a_restart_uses_what_was_kept(cache):
    async def first(rig: Rig):
        await rig.directory.refresh()

    async def second(rig: Rig):
        rig.use(large_network(600.0))
        running = asyncio.create_task(rig.directory.run())
        await rig.directory.wait_until_heard()
        await asyncio.sleep(3600.0)
        running.cancel()
        return rig.asked, rig.directory.explanation, rig.directory.is_complete

    simulate(cache, first)
    asked, explanation, is_complete = simulate(cache, second)

    assert asked == []
    assert "kept from 0 minutes ago; 16 of 16 relays described" in explanation
    assert is_complete


def test_in_a_small_network_a_restart_asks_at_once(cache):
    async def first(rig: Rig):
        await rig.directory.refresh()

    async def second(rig: Rig):
        running = asyncio.create_task(rig.directory.run())
        await asyncio.sleep(60.0)
        running.cancel()
        return len(rig.asked)

    simulate(cache, first)

    assert simulate(cache, second) == 3


def test_a_thin_directory_does_not_narrow_the_paths(cache):
    async def main(rig: Rig):
        few = [SIGNED.descriptor(node).encode() for node in SIGNED.nodes[:3]]
        rig.serve_everywhere(few)
        await rig.directory.refresh()
        return rig.selector.is_thin

    assert simulate(cache, main) is True


def test_a_directory_is_fetched_again_sooner_while_it_is_incomplete(cache):
    async def main(rig: Rig):
        rig.builder.dead.update(rig.registry.nodes())
        running = asyncio.create_task(rig.directory.run())
        await asyncio.sleep(60.0)
        states = [rig.directory.is_complete]
        rig.builder.dead.clear()
        await asyncio.sleep(60.0)
        states.append(rig.directory.is_complete)
        before = len(rig.asked)
        await asyncio.sleep(400.0)
        quiet = len(rig.asked) - before
        await asyncio.sleep(600.0)
        running.cancel()
        return states, quiet, len(rig.asked) - before

    states, quiet, later = simulate(cache, main)

    assert states == [False, True]
    assert quiet == 0
    assert later >= 3


def test_the_cache_is_used_at_the_next_start(cache):
    async def first(rig: Rig):
        await rig.directory.refresh()

    async def second(rig: Rig):
        rig.builder.dead.update(rig.registry.nodes())
        await rig.directory.refresh()
        return rig.directory.explanation

    simulate(cache, first)

    assert "0 answered, 16 of 16 relays described" in simulate(cache, second)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 1000])
def test_a_damaged_cache_is_left_aside(cache, content):
    cache.write_bytes(content)
    cache.chmod(0o600)

    async def main(rig: Rig):
        await rig.directory.refresh()
        return rig.directory.is_complete

    assert simulate(cache, main) is True


def test_a_cache_that_others_may_read_is_refused(cache):
    cache.write_bytes(b"{}")
    cache.chmod(0o644)

    async def main(_: Rig):
        return None

    with pytest.raises(ConfigError, match="chmod 0600"):
        simulate(cache, main)


def test_a_disk_that_refuses_does_not_end_the_refreshing(cache):
    cache.mkdir(mode=0o700)  # in the way of the file

    async def main(rig: Rig):
        await rig.directory.refresh()
        return rig.directory.is_complete

    with pytest.raises(ConfigError):
        simulate(cache, main)
    cache.rmdir()

    async def later(rig: Rig):
        cache.mkdir(mode=0o700)
        await rig.directory.refresh()
        return rig.directory.is_complete

    assert simulate(cache, later) is True
