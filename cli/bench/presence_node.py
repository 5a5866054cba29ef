"""One discovery node in a process of its own: requests of its DHT, memory of its store."""

from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import cast

from cli.assembly import RelayNode
from cli.bench.child import (
    CONTEXT,
    Child,
    answer_until_closed,
    cpu_seconds,
    resident_bytes,
    run_child,
)
from cli.node_config import NodeConfig
from presence.config import StoreConfig
from presence.record_store import RecordStore
from psp.ids import NodeId
from psp.netdoc.presence_record import (
    HEAD_SIZE,
    RECORD_SIZE,
    OuterRecord,
    RecordHead,
)
from psp.runtime.entropy import SystemEntropy
from psp.units import UnixTime


@dataclass(frozen=True, slots=True)
class NodeUsage:
    """What a node used so far.

    Attributes:
        cpu: Seconds, user and system.
        answered: DHT requests answered.
        dropped: DHT requests not answered.
    """

    cpu: float
    answered: int
    dropped: int


class NodeProcess(Child):
    """A whole `RelayNode` in a child; use as a context manager."""

    def __init__(self, config: NodeConfig) -> None:
        """Start it, and wait until it serves."""
        super().__init__(_run_node, config, name="a discovery node")
        self.receive()

    def usage(self) -> NodeUsage:
        """Ask what it used."""
        return cast("NodeUsage", self.ask("usage"))


def store_bytes(records: int) -> int:
    """Fill a store in a process of its own; return by how much that has grown."""
    with CONTEXT.Pool(1) as pool:
        return pool.apply(_fill_store, (records,))


def _run_node(pipe: Connection, config: NodeConfig) -> None:
    run_child(pipe, lambda: _serve(pipe, config))


async def _serve(pipe: Connection, config: NodeConfig) -> None:
    node = RelayNode(config)
    await node.start()
    pipe.send("ready")
    await answer_until_closed(pipe, lambda: _measure(node))
    await node.stop()


def _measure(node: RelayNode) -> NodeUsage:
    stats = node.presence.stats
    return NodeUsage(
        cpu_seconds(), stats.dht_requests.total(), stats.dht_dropped.total()
    )


def _fill_store(records: int) -> int:
    """Put so many records of different users into a store; return the bytes gained.

    Signatures are not checked here: they take time and no memory.
    """
    entropy = SystemEntropy()
    limits = StoreConfig(max_per_publisher=records)
    store = RecordStore(limits, _take_any)
    publishers = [NodeId(entropy.token(32)) for _ in range(100)]
    before = resident_bytes()
    for number in range(records):
        raw = _any_record(entropy.token)
        publisher = publishers[number % len(publishers)]
        refusal = store.put(entropy.token(20), raw, publisher, _NOW)
        if refusal is not None:
            raise RuntimeError(f"record {number} was refused: {refusal}")
    return resident_bytes() - before


_NOW = 1_800_000_000.0


def _any_record(token: Callable[[int], bytes]) -> bytes:
    head = RecordHead(
        slot=0,
        period=int(_NOW) // 86_400,
        blinded=token(32),
        day_key=token(32),
        certificate=token(64),
        sequence=int(_NOW * 1_000),
        issued=UnixTime(int(_NOW)),
        lifetime=1_800,
    )
    return head.encode() + token(RECORD_SIZE - HEAD_SIZE)


def _take_any(
    raw: bytes, location: bytes, unix_now: float, certified: bytes
) -> OuterRecord:
    del unix_now, certified
    return OuterRecord(RecordHead.decode(raw[:HEAD_SIZE]), location, raw)
