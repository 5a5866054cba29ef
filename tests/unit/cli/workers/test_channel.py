"""What parent and workers tell each other (cli/workers/channel.py)."""

import asyncio

import pytest

from cli.workers.channel import Ready, Report, frame, read_message
from cli.workers.families import Family
from cli.workers.members import MembersMessage
from psp.errors import DecodeError

MESSAGES = [
    MembersMessage({b"1" * 32: bytes(48)}),
    Ready(443),
    Report([Family("a", "b", "gauge", [({"c": "d"}, 1.5)])], {"fine": True}, 1 << 30),
]


async def read(data: bytes) -> object:
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    return await read_message(stream)


async def test_messages_arrive_as_they_were_sent():
    stream = asyncio.StreamReader()
    stream.feed_data(b"".join(map(frame, MESSAGES)))
    stream.feed_eof()

    assert [await read_message(stream) for _ in MESSAGES] == MESSAGES
    assert await read_message(stream) is None


@pytest.mark.parametrize("cut", [0, 3, 4, 7])
async def test_an_end_within_a_message_is_an_end(cut):
    assert await read(frame(Ready(443))[:cut]) is None


@pytest.mark.parametrize(
    "data", [b"\xff" * 8, b"\0\0\0\1\xc1", b"\0\0\0\1\x01", b"\0\0\0\0"]
)
async def test_what_is_no_message_is_refused(data):
    with pytest.raises(DecodeError):
        await read(data)
