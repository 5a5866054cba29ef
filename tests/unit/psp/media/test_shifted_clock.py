"""Ntp clock: what the far end sees is not this machine's time."""

import asyncio
import datetime as dt

import aiortc.clock
from aiortc import RTCCertificate

from psp.media import shifted_clock

DAY = dt.timedelta(days=1)


def shift() -> dt.timedelta:
    real = dt.datetime.now(dt.UTC)
    return aiortc.clock.current_datetime() - real


def about(shifted: dt.timedelta, expected: dt.timedelta) -> bool:
    return abs(shifted - expected) < dt.timedelta(seconds=5)


def test_every_clock_of_aiortc_is_shifted():
    shifted_clock.install()
    offset = -1000 * DAY

    with shifted_clock.offset_by(offset):
        ntp = aiortc.clock.datetime_from_ntp(aiortc.clock.current_ntp_time())
        real = dt.datetime.now(dt.UTC)
        certificate = RTCCertificate.generateCertificate()

        assert about(shift(), offset)
        assert about(ntp - real, offset)
        assert about(certificate.expires - real, offset + 30 * DAY)


async def test_tasks_inherit_the_offset_and_do_not_share_it():
    shifted_clock.install()

    async def child() -> dt.timedelta:
        return shift()

    async def connection(offset: dt.timedelta) -> dt.timedelta:
        shifted_clock.set_offset(offset)
        return await asyncio.ensure_future(child())

    one = asyncio.ensure_future(connection(-5 * DAY))
    other = asyncio.ensure_future(connection(-9 * DAY))

    assert about(await one, -5 * DAY)
    assert about(await other, -9 * DAY)


def test_outside_connections_the_clock_is_shifted_too():
    shifted_clock.install()

    assert shift() < -dt.timedelta(seconds=1)


def test_offsets_are_drawn_from_the_past_and_differ():
    offsets = {shifted_clock.random_offset() for _ in range(50)}

    assert len(offsets) == 50
    assert all(-3651 * DAY < offset <= 0 * DAY for offset in offsets)
