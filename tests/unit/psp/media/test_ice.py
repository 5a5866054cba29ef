"""The object that stands in for ICE."""

import asyncio

import aioice
import pytest

from psp.media.config import MediaConfig
from psp.media.ice import RECEIVE_QUEUE, YIELD_EVERY, PipeConnection, PipeGatherer
from psp.testing.media import MemoryPipe
from psp.units import Seconds

DATAGRAM = b"\x16handshake"


def connected():
    near, far = MemoryPipe.pair()
    config = MediaConfig(linger=Seconds(0.0))
    return PipeConnection(near, config), near, far


async def test_datagrams_pass_both_ways():
    connection, _, far = connected()
    arrived = asyncio.get_running_loop().create_future()
    far.on_datagram(arrived.set_result)

    await connection.send(DATAGRAM)
    far.send(DATAGRAM + b"back")

    assert await arrived == DATAGRAM
    assert await connection.recv() == DATAGRAM + b"back"


async def test_oversize_datagram_is_dropped_and_counted():
    connection, near, _ = connected()

    await connection.send(b"\x17" + bytes(1080))

    assert (near.sent, connection.stats.oversize) == (0, 1)


async def test_empty_datagram_never_reaches_dtls():
    connection, near, _ = connected()

    near.inject(b"")
    near.inject(DATAGRAM)

    assert await connection.recv() == DATAGRAM
    assert connection.stats.bad_length == 1


async def test_media_waits_until_somebody_takes_it():
    connection, near, _ = connected()
    media = b"\x80\x60" + bytes(6) + (7).to_bytes(4) + bytes(20)
    connection.gate.name_sources({7})

    for number in range(RECEIVE_QUEUE + 1):
        near.inject(media + number.to_bytes(2))
    near.inject(DATAGRAM)

    assert await connection.recv() == DATAGRAM
    connection.release_media()
    assert await connection.recv() == media + bytes(2)
    near.inject(media)
    assert connection.stats.received == RECEIVE_QUEUE + 3
    assert connection.stats.overflow == 1


async def test_full_queue_drops_the_oldest():
    connection, near, _ = connected()

    for number in range(RECEIVE_QUEUE + 3):
        near.inject(b"\x16" + number.to_bytes(2, "big"))

    assert await connection.recv() == b"\x16\x00\x03"
    assert connection.stats.overflow == 3


async def test_flood_of_datagrams_leaves_other_tasks_their_turn():
    connection, near, _ = connected()
    for _ in range(RECEIVE_QUEUE):
        near.inject(DATAGRAM)
    turns = []

    async def other():
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    for _ in range(RECEIVE_QUEUE):
        await connection.recv()
    task.cancel()

    assert len(turns) >= RECEIVE_QUEUE // YIELD_EVERY - 1


@pytest.mark.parametrize("who", ["near", "far", "silence"])
async def test_end_of_the_pipe_ends_the_connection(who):
    connection, near, far = connected()
    reading = asyncio.ensure_future(connection.recv())
    event = asyncio.ensure_future(connection.get_event())
    await asyncio.sleep(0)

    {"near": near.close, "far": far.close, "silence": connection.fail}[who]()

    with pytest.raises(ConnectionError):
        await reading
    assert isinstance(await event, aioice.ConnectionClosed)
    assert connection.is_closed
    with pytest.raises(ConnectionError):
        await connection.send(DATAGRAM)
    with pytest.raises(ConnectionError):
        await connection.connect()


async def test_closing_lingers_so_that_the_last_datagram_leaves():
    near, _ = MemoryPipe.pair()
    connection = PipeConnection(near, MediaConfig(linger=Seconds(0.05)))
    loop = asyncio.get_running_loop()
    started = loop.time()

    await connection.close()

    assert loop.time() - started >= 0.049
    assert near.is_closed


async def test_gatherer_has_the_pseudo_candidate_and_no_agent():
    connection, _, _ = connected()
    gatherer = PipeGatherer(connection)

    await gatherer.gather()
    (candidate,) = gatherer.getLocalCandidates()

    assert gatherer.state == "completed"
    assert (candidate.ip, candidate.port, candidate.type) == ("0.0.0.0", 9, "host")
    assert gatherer.getLocalParameters().usernameFragment == connection.local_username


async def test_remote_candidate_is_never_used():
    connection, near, _ = connected()

    await connection.add_remote_candidate(connection.local_candidates[0])

    assert (near.sent, connection.remote_candidates) == (0, [])
