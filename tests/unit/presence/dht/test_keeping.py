"""A discovery node's records across restarts (presence/dht/keeping.py)."""

import pytest

from presence.config import PresenceConfig, StoreConfig
from presence.dht.keeping import SAVE_EVERY, RecordKeeper
from presence.record_file import ENTRY_SIZE, header
from presence.record_store import RecordStore
from presence.service import PresenceService
from presence.stats import PresenceStats
from psp.crypto.keys import SigningKey
from psp.ids import NodeId
from psp.testing.entropy import SeededEntropy
from psp.testing.memory_ports import MemoryCircuits, MemoryLinks
from psp.testing.presence import (
    NOON,
    TEST_NETWORK,
    MemoryRegistry,
    PresenceUser,
    checked,
)

RELAY = SigningKey.generate(SeededEntropy("relay"))
PUBLISHER, BRINGER = NodeId(b"p" * 32), NodeId(b"b" * 32)


class Node:
    """A store and its file, at some time."""

    def __init__(self, folder, now=NOON):
        self.now = now
        self.file = folder / "state" / "records"
        self.stats = PresenceStats()
        self.records = RecordStore(StoreConfig(max_records=100), checked)
        self.keeper = RecordKeeper(
            self.file,
            TEST_NETWORK,
            self.records,
            stats=self.stats,
            unix_time=lambda: self.now,
        )

    def put(self, seed, bringer=None, **settings):
        raw = PresenceUser(SeededEntropy(seed)).agreed_record(RELAY, NOON, **settings)
        where = checked(raw).location
        assert self.records.put(where, raw, PUBLISHER, NOON, bringer=bringer) is None
        return raw


async def started(node):
    """Read the file as `run` does, without its endless rest."""
    await node.keeper.read()
    node.keeper.ready.set()
    return node


async def test_what_was_held_is_held_again_in_the_same_names(tmp_path):
    before = await started(Node(tmp_path))
    own, brought = before.put(1), before.put(2, bringer=BRINGER)
    await before.keeper.save()

    after = await started(Node(tmp_path, NOON + 600))

    assert set(after.records.raw_records()) == {own, brought}
    bringers = {
        held.raw: (held.publisher, held.bringer)
        for _, here in after.records.snapshot()
        for held in here
    }
    assert bringers == {own: (PUBLISHER, None), brought: (PUBLISHER, BRINGER)}
    assert after.stats.records_read_back == {"stored": 2}
    assert before.file.stat().st_mode & 0o777 == 0o600


async def test_what_has_ended_or_is_forged_is_not(tmp_path):
    before = await started(Node(tmp_path))
    before.put(1, lifetime=60)
    before.put(2)
    before.put(3)
    await before.keeper.save()
    data = bytearray(before.file.read_bytes())
    data[-1] ^= 1
    before.file.write_bytes(data)

    after = await started(Node(tmp_path, NOON + 600))

    assert after.stats.records_read_back == {"stored": 1, "expired": 1, "signature": 1}


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-7],
        lambda data: b"\x80\x04pickle",
        lambda data: header(TEST_NETWORK) + bytes(101 * ENTRY_SIZE),
    ],
    ids=["empty", "cut off", "other", "too large"],
)
async def test_a_damaged_file_is_counted_and_written_anew(tmp_path, damage):
    before = await started(Node(tmp_path))
    before.put(1)
    await before.keeper.save()
    before.file.write_bytes(damage(before.file.read_bytes()))

    after = await started(Node(tmp_path))
    assert len(after.records) == 0
    assert after.stats.record_file == {"damaged": 1}

    after.put(2)
    await after.keeper.save()
    assert len((await started(Node(tmp_path))).records) == 1


async def test_nothing_is_written_before_the_file_was_read(tmp_path):
    before = await started(Node(tmp_path))
    before.put(1)
    await before.keeper.save()

    await Node(tmp_path).keeper.save()

    assert len((await started(Node(tmp_path))).records) == 1


async def test_a_node_without_records_makes_no_file_and_empties_an_old_one(tmp_path):
    node = await started(Node(tmp_path))
    await node.keeper.save()
    assert not node.file.exists()

    node.put(1)
    await node.keeper.save()
    node.records.clear()
    await node.keeper.save()
    assert node.file.read_bytes() == header(TEST_NETWORK)


async def test_a_file_that_cannot_be_written_is_counted(tmp_path):
    node = await started(Node(tmp_path))
    node.put(1)
    node.file.mkdir(parents=True)

    await node.keeper.save()

    assert node.stats.record_file == {"not_written": 1}


def test_it_is_written_more_often_than_users_publish():
    assert SAVE_EVERY < 600


async def test_a_discovery_node_that_starts_again_holds_what_it_held(tmp_path):
    identity = SigningKey.generate(SeededEntropy("node"))
    own = NodeId(identity.public)
    registry = MemoryRegistry([own], [own])

    def start():
        service = PresenceService(
            PresenceConfig(),
            identity=identity,
            registry=registry,
            circuits=MemoryCircuits(),
            links=MemoryLinks().port(own),
            unix_time=lambda: NOON,
            record_file=tmp_path / "state" / "records",
        )
        service.start()
        return service

    raw = PresenceUser(SeededEntropy(1)).agreed_record(RELAY, NOON)
    first = start()
    await first.dht._keeper.ready.wait()
    first.records.put(checked(raw).location, raw, own, NOON)
    await first.close()

    second = start()
    await second.dht._keeper.ready.wait()
    assert second.records.raw_records() == [raw]
    await second.close()

    registry.elected = set()
    registry.changed()
    third = start()
    await third.dht._keeper.ready.wait()
    assert third.records.raw_records() == []
    await third.close()
