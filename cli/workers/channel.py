"""What parent and workers tell each other: frames on a socket pair.

::

    worker 0 -> parent     Members (at first and after each change), Ready, Report
    worker k -> parent     Ready, Report
    parent   -> worker k   Members
    parent closes          the worker ends, in good order

A frame is ``length 4 | msgpack``. The other end is the same program of the same user.
"""

import asyncio
import struct
from typing import TypeAlias

import msgspec

from cli.workers.families import Family
from cli.workers.members import MembersMessage
from psp.errors import DecodeError

_LENGTH = struct.Struct(">I")
_MAX_FRAME = 64 << 20
"""Bytes: a membership of 65,536 nodes with 16 endpoints each, and room."""


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """The worker serves from now on."""

    port: int


class Report(msgspec.Struct, tag="report", frozen=True):
    """How a worker does."""

    families: list[Family]
    checks: dict[str, bool]
    resident_bytes: int


Message: TypeAlias = MembersMessage | Ready | Report

_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_encoder = msgspec.msgpack.Encoder()


async def read_message(stream: asyncio.StreamReader) -> Message | None:
    """Return the next message; None when the other end has closed.

    Raises:
        DecodeError: If what came is none.
    """
    try:
        (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
        if length > _MAX_FRAME:
            raise DecodeError(f"frame of {length} bytes between workers")
        data = await stream.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise DecodeError(f"between workers: {error}") from None


def frame(message: Message) -> bytes:
    """Return a message as it is sent."""
    data = _encoder.encode(message)
    return _LENGTH.pack(len(data)) + data
