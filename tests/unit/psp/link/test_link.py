"""A link alone: its queue, its keys, its limits."""

from psp.crypto.kdf import LinkKeys
from psp.ids import LinkId
from psp.link.config import HARD_KEY_AGE, HARD_PACKET_LIMIT, LinkConfig
from psp.link.keypair import Keypair
from psp.link.link import Link
from psp.link.stats import LinkStats
from psp.link.upkeep import Need, next_due, upkeep
from psp.sansio import MAX_TRAIN
from psp.testing.entropy import SeededEntropy
from psp.testing.links import circuit_cell
from psp.units import Monotonic

NOW = Monotonic(100.0)
ADDRESS = ("192.0.2.1", 443)


def link(stats: LinkStats) -> Link:
    return Link(
        LinkId(1),
        peer=None,
        is_initiator=False,
        is_client=True,
        endpoints=[ADDRESS],
        config=LinkConfig(),
        entropy=SeededEntropy(1),
        stats=stats,
        now=NOW,
    )


def keypair(stats: LinkStats, index: int = 1) -> Keypair:
    keys = LinkKeys(bytes(32), bytes(range(32)), bytes([index] * 16))
    return Keypair(
        keys, local_index=index, remote_index=index + 100, created=NOW, stats=stats
    )


def later(seconds: float) -> Monotonic:
    return Monotonic(NOW + seconds)


def test_keys_seal_no_more_packets_than_they_may() -> None:
    stats = LinkStats()
    ours, keys = link(stats), keypair(stats)
    ours.adopt(keys, ADDRESS, NOW)
    ours.flush(NOW)
    keys.next_counter = HARD_PACKET_LIMIT - 1

    ours.push([circuit_cell(n) for n in range(3)])
    trains = ours.flush(NOW)

    assert [train.packets for train in trains] == [1]
    assert stats.drop_key_limit == 2
    ours.push([circuit_cell(9)])
    assert ours.flush(NOW) == []
    assert keys.next_counter == HARD_PACKET_LIMIT


def test_waiting_cells_leave_when_keys_come() -> None:
    stats = LinkStats()
    ours = link(stats)
    ours.push([circuit_cell(n) for n in range(200)])
    assert ours.flush(NOW) == []

    ours.adopt(keypair(stats), ADDRESS, NOW)
    trains = ours.flush(NOW)

    # 128 cells and the one that confirms the keys.
    assert [train.packets for train in trains] == [MAX_TRAIN, MAX_TRAIN, 29]
    assert stats.drop_queue == 72


def test_two_pairs_of_keys_are_kept_and_the_third_retires() -> None:
    stats = LinkStats()
    ours = link(stats)
    keys = [keypair(stats, index) for index in range(1, 4)]

    for pair in keys:
        ours.adopt(pair, ADDRESS, NOW)

    assert (ours.current, ours.previous) == (keys[2], keys[1])
    assert ours.retired == [keys[0]]
    assert ours.resume_token == keys[2].resume_token


def test_what_is_due_is_done() -> None:
    stats = LinkStats()
    ours = link(stats)
    ours.adopt(keypair(stats), ADDRESS, NOW)
    ours.flush(NOW)

    moment = NOW
    for _ in range(40):
        due = next_due(ours)
        assert due > moment
        moment = due
        assert upkeep(ours, moment) is not Need.KEYS
        ours.flush(moment)
        if moment >= later(HARD_KEY_AGE):
            break

    assert stats.padding_sent > 0
    assert upkeep(ours, later(HARD_KEY_AGE)) is Need.BURIAL
    assert ours.current is None
    assert len(ours.retired) == 1


def test_early_upkeep_does_nothing() -> None:
    stats = LinkStats()
    ours = link(stats)
    ours.adopt(keypair(stats), ADDRESS, NOW)
    ours.flush(NOW)

    assert upkeep(ours, later(0.01)) is Need.NOTHING
    assert not ours.has_output
