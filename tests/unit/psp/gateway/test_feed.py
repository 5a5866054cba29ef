"""An event log that readers can wait for (psp/gateway/feed.py)."""

import asyncio

from psp.gateway.event_log import EventLog
from psp.gateway.feed import Feed
from psp.gateway.sse import HEARTBEAT, OPENING


def texts(chunks):
    return [chunk.rpartition(b"data: ")[2].strip() for chunk in chunks]


async def take(stream, count):
    return [await anext(stream) for _ in range(count)]


async def test_a_slow_reader_gets_the_newest_state_and_not_the_way_there():
    feed = Feed(EventLog("00"))
    stream = feed.stream("", 60)
    feed.put("w", "alice", "presence", b"1")
    feed.put("w", "bob", "presence", b"2")
    first = await take(stream, 2)
    for state in (b"3", b"4", b"5"):
        feed.put("w", "bob", "presence", state)
    second = await take(stream, 1)
    feed.close()

    assert first[0] == OPENING
    assert texts(first[1:] + second) == [b"1", b"5"]
    assert [chunk async for chunk in stream] == []


async def test_a_waiting_reader_is_woken():
    feed = Feed(EventLog("00"))
    stream = feed.stream("", 60)
    await take(stream, 1)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    feed.put("w", "alice", "presence", b"1")

    assert texts([await waiting]) == [b"1"]


async def test_silence_is_filled_with_signs_of_life():
    stream = Feed(EventLog("00")).stream("", 0.001)

    assert (await take(stream, 3))[1:] == [HEARTBEAT, HEARTBEAT]


async def test_who_comes_back_gets_only_what_is_new():
    feed = Feed(EventLog("00"))
    feed.put("w", "alice", "presence", b"1")
    feed.put("w", "bob", "presence", b"2")

    assert texts((await take(feed.stream("00-1", 60), 2))[1:]) == [b"2"]
    assert texts((await take(feed.stream("01-1", 60), 3))[1:]) == [b"1", b"2"]


async def test_an_unwanted_event_does_not_wake_for_nothing():
    feed = Feed(EventLog("00"))
    stream = feed.stream("", 60, lambda event: event.group == "w")
    await take(stream, 1)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    feed.put("v", "alice", "presence", b"1")
    feed.put("w", "alice", "presence", b"2")

    assert texts([await waiting]) == [b"2"]
