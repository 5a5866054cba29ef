"""Events of a contract, read from one endpoint in ranges of blocks that it stands.

Endpoints allow between ten and many thousand blocks in one question, and none tells how
many: the range is cut down when one refuses. What comes back is checked for its form and
for being what was asked for; that nothing is missing is for the caller to compare between
endpoints.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from psp.directory.chain.json_values import bytes_up_to, fixed_bytes, quantity
from psp.errors import DecodeError
from psp.runtime.quorum import Rpc
from psp.runtime.rpc import RpcError, RpcUnavailableError

_MAX_DATA = 4_096
"""Bytes of one event's data; ours have 96."""
_MAX_TOPICS = 4


@dataclass(frozen=True, slots=True)
class LogLimits:
    """What a look for events may cost.

    Attributes:
        spans: Blocks in one question, the widest first; the next one is tried when an
            endpoint refuses.
        max_questions: To one endpoint, in all.
        max_logs: Events that are kept, in all.
    """

    spans: tuple[int, ...] = (10_000, 2_000, 500, 100, 10)
    max_questions: int = 20_000
    max_logs: int = 500_000


@dataclass(frozen=True, slots=True)
class ChainLog:
    """One event, not decoded.

    Attributes:
        block: Height of its block.
        index: Its place in the block.
        topics: 32 bytes each, the event's name first.
        data: The rest.
    """

    block: int
    index: int
    topics: tuple[bytes, ...]
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events.

    Attributes:
        address: Of the contract, 20 bytes.
        topics: For each place the values that are wanted; none: any.
        first: Height of the first block.
        last: Of the last one.
    """

    address: bytes
    topics: tuple[tuple[bytes, ...], ...]
    first: int
    last: int

    def has(self, log: ChainLog) -> bool:
        """Tell whether an event is one of those."""
        if not self.first <= log.block <= self.last:
            return False
        given = [*log.topics, *[b""] * (_MAX_TOPICS - len(log.topics))]
        places = zip(self.topics, given, strict=False)
        return all(not values or topic in values for values, topic in places)


async def read_logs(
    rpc: Rpc,
    wanted: Wanted,
    limits: LogLimits,
    on_block: Callable[[int], None] = lambda _: None,
) -> tuple[ChainLog, ...]:
    """Return all events that an endpoint shows, oldest first.

    Raises:
        DecodeError: If it shows something else, or more than the limits allow.
        RpcError, RpcUnavailableError: If it refuses even the narrowest range.
    """
    found: list[ChainLog] = []
    spans = list(limits.spans)
    first = wanted.first
    for _ in range(limits.max_questions):
        if first > wanted.last:
            return tuple(found)
        last = min(first + spans[0] - 1, wanted.last)
        try:
            answer = await rpc.call("eth_getLogs", _filter(wanted, first, last))
        except (RpcError, RpcUnavailableError):
            if len(spans) == 1:
                raise
            del spans[0]
            continue
        found += _read(answer, wanted, first, last)
        if len(found) > limits.max_logs:
            raise DecodeError(f"more than {limits.max_logs} events")
        first = last + 1
        on_block(first)
    raise DecodeError(f"{limits.max_questions} questions were not enough")


def _filter(wanted: Wanted, first: int, last: int) -> dict[str, object]:
    return {
        "address": _hex(wanted.address),
        "topics": [[_hex(v) for v in values] or None for values in wanted.topics],
        "fromBlock": hex(first),
        "toBlock": hex(last),
    }


def _read(answer: object, wanted: Wanted, first: int, last: int) -> Sequence[ChainLog]:
    if not isinstance(answer, list):
        raise DecodeError("events are a list")
    logs = [_log(each, wanted.address) for each in answer]
    places = [(log.block, log.index) for log in logs]
    if places != sorted(set(places)):
        raise DecodeError("events are not in their order")
    if logs and not (first <= logs[0].block and logs[-1].block <= last):
        raise DecodeError("events of other blocks")
    if not all(map(wanted.has, logs)):
        raise DecodeError("events that nobody asked for")
    return logs


def _log(value: object, address: bytes) -> ChainLog:
    if not isinstance(value, dict):
        raise DecodeError("an event is a JSON object")
    topics = value.get("topics")
    if not isinstance(topics, list) or not 0 < len(topics) <= _MAX_TOPICS:
        raise DecodeError("an event has one to four topics")
    if fixed_bytes(value.get("address"), 20) != address or value.get("removed"):
        raise DecodeError("an event of another contract, or one that was undone")
    return ChainLog(
        quantity(value.get("blockNumber")),
        quantity(value.get("logIndex")),
        tuple(fixed_bytes(topic, 32) for topic in topics),
        bytes_up_to(value.get("data"), _MAX_DATA),
    )


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
