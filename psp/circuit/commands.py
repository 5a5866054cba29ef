"""Which relay commands ask, answer, tell, and in how many parts.

Source: SPEC.md section 3. Everything that differs from command to command stands in the
tables here; `psp.circuit.exchange` has none of its own.
"""

from collections.abc import Mapping
from types import MappingProxyType

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.create import RELAY_HANDSHAKE_SIZE
from psp.wire.extend import EXTEND_SIZE
from psp.wire.relay_message import RelayCommand, RelayMessage

INTRODUCTION_SIZE = 1520
MAX_ECHO = 64
"""Bytes a PING may carry."""

ANSWERS: Mapping[RelayCommand, RelayCommand] = MappingProxyType(
    {
        RelayCommand.EXTEND: RelayCommand.EXTENDED,
        RelayCommand.TRUNCATE: RelayCommand.TRUNCATED,
        RelayCommand.PING: RelayCommand.PONG,
        RelayCommand.REGISTER: RelayCommand.REGISTERED,
        RelayCommand.PUBLISH: RelayCommand.PUBLISHED,
        RelayCommand.LOOKUP: RelayCommand.FOUND,
        RelayCommand.INTRODUCE: RelayCommand.INTRODUCED,
        RelayCommand.INTRODUCTION: RelayCommand.INTRODUCTION_ACK,
        RelayCommand.WATCH: RelayCommand.WATCHED,
        RelayCommand.HOLD: RelayCommand.HELD,
        RelayCommand.CHANGED: RelayCommand.CHANGED_ACK,
        RelayCommand.ESTABLISH: RelayCommand.ESTABLISHED,
        RelayCommand.JOIN: RelayCommand.JOINED,
        RelayCommand.FETCH: RelayCommand.FETCHED,
        RelayCommand.COLLECT: RelayCommand.COLLECTED,
        RelayCommand.MISSED: RelayCommand.NOTED,
    }
)
"""Each command that asks, and the command that answers it. REFUSED answers all."""

TO_ORIGIN = frozenset({RelayCommand.INTRODUCTION, RelayCommand.CHANGED})
"""Requests that hops make of the origin."""

TO_HOP = frozenset(ANSWERS) - TO_ORIGIN
"""Requests that the origin makes of hops."""

SERVICES = TO_HOP - {RelayCommand.EXTEND, RelayCommand.TRUNCATE, RelayCommand.PING}
"""Those of them that are about something else than the circuit itself."""

ANSWERING = frozenset({*ANSWERS.values(), RelayCommand.REFUSED})

NOTICES = frozenset({RelayCommand.JOINED, RelayCommand.TRUNCATED, RelayCommand.REPORT})
"""What a hop may tell the origin unasked, on stream 0, BLOCK apart."""

WHOLE_SIZES: Mapping[RelayCommand, int] = MappingProxyType(
    {
        RelayCommand.EXTEND: EXTEND_SIZE,
        RelayCommand.EXTENDED: RELAY_HANDSHAKE_SIZE,
        RelayCommand.INTRODUCE: INTRODUCTION_SIZE,
        RelayCommand.INTRODUCTION: INTRODUCTION_SIZE,
    }
)
"""Commands whose data travels as two halves, and the bytes of both together."""

BARE = frozenset(
    {
        RelayCommand.PING,
        RelayCommand.PONG,
        RelayCommand.REPORT,
        RelayCommand.REFUSED,
        RelayCommand.BLOCK,
        RelayCommand.TRUNCATE,
        RelayCommand.TRUNCATED,
    }
)
"""Commands whose data does not begin with a part byte."""

UNLOCKED_BY: Mapping[RelayCommand, frozenset[RelayCommand]] = MappingProxyType(
    {
        RelayCommand.INTRODUCTION: frozenset({RelayCommand.REGISTER}),
        RelayCommand.CHANGED: frozenset({RelayCommand.HOLD}),
        RelayCommand.JOINED: frozenset({RelayCommand.ESTABLISH}),
        RelayCommand.BLOCK: frozenset({RelayCommand.ESTABLISH, RelayCommand.JOIN}),
    }
)
"""What an origin takes from a hop only after it asked that hop for it.

Asked is enough: the answer may be lost, or overtaken by what it announces.
"""


def to_messages(
    command: RelayCommand, stream_id: int, data: bytes, capacity: int
) -> tuple[RelayMessage, ...]:
    """Return the one or two messages that carry ``data``.

    Args:
        command: Any command.
        stream_id: 0 for notices.
        data: Without part bytes.
        capacity: Data bytes of one message to or from the hop.

    Raises:
        LocalProtocolError: If ``data`` does not fit.
    """
    parts: tuple[bytes, ...]
    whole = WHOLE_SIZES.get(command)
    if whole is not None:
        if len(data) != whole:
            raise LocalProtocolError(f"{command.name} of {len(data)} bytes")
        middle = whole // 2
        parts = b"\1" + data[:middle], b"\2" + data[middle:]
    else:
        parts = (data if command in BARE else b"\0" + data,)
    if len(parts[0]) > capacity:
        raise LocalProtocolError(f"{command.name} of {len(data)} bytes")
    return tuple(RelayMessage(command, stream_id, part) for part in parts)


def split_part(message: RelayMessage) -> tuple[int, bytes]:
    """Return a message's part (0 = whole) and its data without the part byte.

    Raises:
        DecodeError: If the command does not have such a part, of that size.
    """
    if message.command in BARE:
        return 0, message.data
    if not message.data:
        raise DecodeError("part byte is missing")
    part, data = message.data[0], message.data[1:]
    whole = WHOLE_SIZES.get(message.command)
    if whole is None:
        if part:
            raise DecodeError(f"part {part} of {message.command.name}")
    elif part not in {1, 2} or len(data) != whole // 2:
        raise DecodeError(f"part {part} with {len(data)} bytes")
    return part, data
