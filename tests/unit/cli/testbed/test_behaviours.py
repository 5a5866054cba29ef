"""What bad relays share (cli/testbed/behaviours.py)."""

import random

import pytest

from cli.testbed.behaviours import (
    BOAST,
    League,
    PastStore,
    boasting,
    sequences_of,
)
from presence.config import StoreConfig
from presence.record_store import HeldRecord, RecordStore
from psp.crypto.keys import SigningKey
from psp.directory.dht_id import dht_id
from psp.ids import NodeId
from psp.netdoc.voice import Question, Voice
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import TEST_NETWORK
from psp.wire.lookup import MAX_VOICES

PLACE = bytes(20)
LIFE = 1_800


def record(sequence: int, *, slot: int = 0, issued: int = 0) -> HeldRecord:
    raw = bytearray(random.Random(sequence).randbytes(450))
    raw[0:2] = bytes([1, slot])
    raw[134:154] = sequence.to_bytes(8) + issued.to_bytes(8) + LIFE.to_bytes(4)
    return HeldRecord(bytes(raw), NodeId(bytes(32)), None)


def test_the_league_knows_the_oldest_of_each_slot_that_still_lives():
    league = League()

    league.remember(PLACE, [record(5), record(9, slot=1)])
    league.remember(
        PLACE, [record(7), record(3, issued=-LIFE + LIFE), record(8, slot=1)]
    )

    assert [r.sequence for r in league.oldest(PLACE, 10)] == [8, 3]
    assert league.oldest(PLACE, LIFE) == []
    assert league.oldest(b"\1" * 20, 10) == []


@pytest.mark.parametrize("is_empty", [False, True], ids=["stale", "lying"])
def test_a_store_of_the_past_takes_nothing_and_shows_what_was(is_empty):
    league = League()
    honest = RecordStore(StoreConfig(), lambda raw, place, now, certified: None)
    honest.put(PLACE, record(5).raw, NodeId(bytes(32)), 1.0)
    past = PastStore(honest, league, is_empty=is_empty)

    assert past.put(PLACE, record(6).raw, NodeId(bytes(32)), 1.0) is None

    assert [r.sequence for r in honest.held(PLACE, 1.0)] == [5]
    shown = [r.sequence for r in past.held(PLACE, 1.0)]
    assert shown == ([] if is_empty else [5])
    league.remember(PLACE, [record(2)])
    newest = past.newest(PLACE, 0, 1.0)
    assert newest is None if is_empty else newest.sequence == 2


def test_forged_voices_are_genuine_and_of_the_nearest():
    league, entropy = League(), SeededEntropy("league")
    keys = [SigningKey.generate(entropy) for _ in range(20)]
    league.members |= {NodeId(key.public): key for key in keys}
    question = Question(TEST_NETWORK, PLACE, bytes(16))

    voices = [Voice.decode(each) for each in league.voices(question, 5.0, [4, 0, 0, 0])]

    assert len(voices) == MAX_VOICES
    nearest = sorted(league.members, key=lambda n: dht_id(n, TEST_NETWORK))
    for voice, node in zip(voices, nearest, strict=False):
        assert voice.is_of(node, question)
        assert voice.sequences == (4, 0, 0, 0)


def test_boasts_are_newer_than_anything_that_is_there():
    held = [record(5), record(9, slot=2)]

    assert sequences_of(held) == [5, 0, 9, 0]
    assert boasting(sequences_of(held)) == [5 + BOAST, 0, 9 + BOAST, 0]
