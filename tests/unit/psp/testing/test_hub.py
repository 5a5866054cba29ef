"""Simulated sockets (psp/testing/hub.py)."""

import asyncio

import pytest

from psp.errors import ConfigError
from psp.sansio import MAX_TRAIN, Train
from psp.testing.hub import RECEIVE_QUEUE
from psp.testing.simloop import run_simulation
from psp.testing.weather import Weather

ALICE, BOB, CAROL = ("192.0.2.1", 1), ("192.0.2.2", 2), ("192.0.2.3", 3)


def drain(udp):
    """Return (source, datagrams) of every train that waits."""
    trains = []
    while (batch := udp.receive_batch()) is not None:
        view, size, source = batch
        cut = [bytes(view[i : i + size]) for i in range(0, len(view), size)]
        trains.append((source, cut))
    return trains


def test_trains_are_merged_by_source_and_size_as_a_kernel_would():
    async def main(hub):
        alice, bob, carol = hub.socket(ALICE), hub.socket(BOB), hub.socket(CAROL)
        bob.send(Train(ALICE, [b"aabb"], 2))
        bob.send(Train(ALICE, [b"cc"], 1))
        carol.send(Train(ALICE, [b"dd"], 1))
        bob.send(Train(ALICE, [b"e"], 1))
        await asyncio.sleep(1)
        return drain(alice)

    assert run_simulation(main) == [
        (BOB, [b"aa", b"bb", b"cc"]),
        (CAROL, [b"dd"]),
        (BOB, [b"e"]),
    ]


def test_no_train_is_longer_than_a_machine_may_get():
    async def main(hub):
        alice = hub.socket(ALICE)
        hub.carry(BOB, ALICE, [b"x"] * 120)
        await asyncio.sleep(1)
        return [len(cut) for _, cut in drain(alice)]

    assert run_simulation(main) == [MAX_TRAIN, MAX_TRAIN, 20]


def test_empty_datagram_is_an_empty_train():
    async def main(hub):
        alice = hub.socket(ALICE)
        hub.carry(BOB, ALICE, [b""])
        await asyncio.sleep(1)
        view, size, _ = alice.receive_batch()
        return len(view), size

    assert run_simulation(main) == (0, 1)


def test_full_queue_drops_the_newest_and_counts():
    async def main(hub):
        alice = hub.socket(ALICE)
        hub.carry(BOB, ALICE, [b"x"] * (RECEIVE_QUEUE + 5))
        await asyncio.sleep(1)
        return alice.dropped_full, sum(len(cut) for _, cut in drain(alice))

    assert run_simulation(main) == (5, RECEIVE_QUEUE)


def test_reader_is_called_as_long_as_something_waits():
    async def main(hub):
        alice, read = hub.socket(ALICE), []
        hub.carry(BOB, ALICE, [b"1", b"22", b"333"])
        await asyncio.sleep(1)
        alice.start_reading(
            asyncio.get_running_loop(), lambda: read.append(alice.receive_batch())
        )
        await asyncio.sleep(1)
        alice.stop_reading()
        hub.carry(BOB, ALICE, [b"4444"])
        await asyncio.sleep(1)
        return [size for _, size, _ in read]

    assert run_simulation(main) == [1, 2, 3]


def test_taken_address_is_a_config_error_and_port_0_a_free_one():
    async def main(hub):
        hub.socket(ALICE)
        with pytest.raises(ConfigError, match=r"port 1 on 192\.0\.2\.1 is in use"):
            hub.socket(ALICE)
        first, second = hub.socket(("192.0.2.9", 0)), hub.socket(("192.0.2.9", 0))
        assert first.local_address != second.local_address

    run_simulation(main)


def test_closed_socket_frees_its_address_and_gets_nothing():
    async def main(hub):
        old = hub.socket(ALICE)
        hub.carry(BOB, ALICE, [b"late"])
        old.close()
        old.close()
        await asyncio.sleep(1)
        hub.socket(ALICE)
        return old.receive_batch(), hub.sky.stats.cut_off

    assert run_simulation(main) == (None, 1)


def test_moved_socket_is_reached_at_its_new_address_only():
    async def main(hub):
        alice = hub.socket(ALICE)
        hub.move(alice, CAROL)
        hub.carry(BOB, ALICE, [b"old"])
        hub.carry(BOB, CAROL, [b"new"])
        alice.send(Train(BOB, [b"x"], 1))
        bob = hub.socket(BOB)
        await asyncio.sleep(1)
        return drain(alice), drain(bob)

    assert run_simulation(main) == ([(BOB, [b"new"])], [(CAROL, [b"x"])])


def test_partition_drops_what_is_under_way():
    async def main(hub):
        alice = hub.socket(ALICE)
        hub.carry(BOB, ALICE, [b"x"])
        hub.sky.part([ALICE[0]], [BOB[0]])
        await asyncio.sleep(1)
        hub.sky.heal()
        hub.carry(BOB, ALICE, [b"y"])
        await asyncio.sleep(1)
        return drain(alice)

    assert run_simulation(main, weather=Weather()) == [(BOB, [b"y"])]
