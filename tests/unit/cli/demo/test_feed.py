"""The queue from a thread into the loop."""

import asyncio
import threading

from cli.demo.feed import Feed


def filling(feed, items):
    results = []

    def run():
        for item in items:
            results.append(feed.put(item))
            if not results[-1]:
                return
        feed.end()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


async def test_items_come_in_order_and_then_the_end():
    feed: Feed[int] = Feed(3)
    thread, _ = filling(feed, range(50))

    taken = [await feed.take() for _ in range(51)]

    assert taken == [*range(50), None]
    await asyncio.to_thread(thread.join)


async def test_full_feed_makes_the_thread_wait():
    feed: Feed[int] = Feed(3)
    thread, results = filling(feed, range(10))

    first = await feed.take()
    assert first == 0
    assert len(results) <= 5
    feed.close()
    await asyncio.to_thread(thread.join)

    assert results[-1] is False


async def test_closed_feed_ends_a_waiting_reader():
    feed: Feed[int] = Feed(1)
    reader = asyncio.ensure_future(feed.take())
    await asyncio.sleep(0)

    feed.close()

    assert await reader is None


def test_feed_of_a_loop_that_is_gone_takes_nothing_more():
    async def make():
        return Feed(5)

    feed = asyncio.run(make())

    assert feed.put(1)
    assert not feed.put(2)
