"""Flights are sent again until the next one, and not for ever."""

import asyncio

import pytest

from psp.media.flights import COPY_AFTER, MIN_PAUSE, REPEATS, Flights
from psp.testing.simloop import run_simulation
from psp.units import Seconds

FIRST, SECOND = [b"one", b"two"], [b"three"]


def sent_by(work, round_trip=Seconds(0.4)):
    """Return what was sent when, in virtual time, while ``work`` uses flights."""
    sent: list[tuple[float, bytes]] = []

    async def main(_):
        loop = asyncio.get_running_loop()
        flights = Flights(
            lambda datagram: sent.append((loop.time(), datagram)), lambda: round_trip
        )
        await work(flights)
        await asyncio.sleep(60)

    run_simulation(main)
    return sent


def test_flight_is_copied_at_once_and_then_every_round_trip():
    async def work(flights):
        flights.launch(FIRST)

    sent = sent_by(work)

    assert [datagram for _, datagram in sent] == FIRST * REPEATS
    times = [when for when, datagram in sent if datagram == b"one"]
    expected = [COPY_AFTER + 0.5 * number for number in range(REPEATS)]
    assert times == pytest.approx(expected)


def test_next_flight_ends_the_one_before():
    async def work(flights):
        flights.launch(FIRST)
        await asyncio.sleep(COPY_AFTER / 2)
        flights.launch(SECOND)

    assert [datagram for _, datagram in sent_by(work)] == SECOND * REPEATS


def test_unknown_round_trip_has_a_pause_too():
    async def work(flights):
        flights.launch(SECOND)

    times = [when for when, _ in sent_by(work, Seconds(0.0))]

    assert times[1] - times[0] == pytest.approx(MIN_PAUSE)


def test_nothing_is_sent_after_the_end():
    async def work(flights):
        flights.launch(FIRST)
        flights.end()
        flights.end()

    assert sent_by(work) == []
