"""One discovery node in a process of its own: requests of its DHT, memory of its store.

The node is told what to do over a pipe, as the relays of `cli.bench.processes`.
"""

import asyncio
import logging
import multiprocessing
import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import structlog

from cli.assembly import RelayNode
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
from psp.runtime.system import new_event_loop
from psp.units import UnixTime

_START_WITHIN = 30.0
_CONTEXT = multiprocessing.get_context("spawn")


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


class NodeProcess:
    """A whole `RelayNode` in a child; use as a context manager."""

    def __init__(self, config: NodeConfig) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(
            target=_run_node, args=(theirs, config), daemon=True
        )
        self._process.start()
        theirs.close()
        self._receive()

    def usage(self) -> NodeUsage:
        """Ask what it used."""
        self._pipe.send("usage")
        return cast("NodeUsage", self._receive())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pipe.close()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _receive(self) -> object:
        if not self._pipe.poll(_START_WITHIN):
            raise TimeoutError("the discovery node's process does not answer")
        received: object = self._pipe.recv()
        return received


def store_bytes(records: int) -> int:
    """Fill a store in a process of its own; return by how much that has grown."""
    with _CONTEXT.Pool(1) as pool:
        return pool.apply(_fill_store, (records,))


def _run_node(pipe: Connection, config: NodeConfig) -> None:
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING)
    )
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(pipe, config))


async def _serve(pipe: Connection, config: NodeConfig) -> None:
    node = RelayNode(config)
    await node.start()
    pipe.send("ready")
    loop = asyncio.get_running_loop()
    closed = asyncio.Event()

    def command() -> None:
        try:
            pipe.recv()
        except EOFError:
            closed.set()
        else:
            pipe.send(_measure(node))

    loop.add_reader(pipe.fileno(), command)
    await closed.wait()
    loop.remove_reader(pipe.fileno())
    await node.stop()


def _measure(node: RelayNode) -> NodeUsage:
    used = resource.getrusage(resource.RUSAGE_SELF)
    stats = node.presence.stats
    return NodeUsage(
        used.ru_utime + used.ru_stime,
        stats.dht_requests.total(),
        stats.dht_dropped.total(),
    )


def _fill_store(records: int) -> int:
    """Put so many records of different users into a store; return the bytes gained.

    Signatures are not checked here: they take time and no memory.
    """
    entropy = SystemEntropy()
    limits = StoreConfig(max_per_publisher=records)
    store = RecordStore(limits, _take_any)
    publishers = [NodeId(entropy.token(32)) for _ in range(100)]
    before = _resident()
    for number in range(records):
        raw = _any_record(entropy.token)
        publisher = publishers[number % len(publishers)]
        refusal = store.put(entropy.token(20), raw, publisher, _NOW)
        if refusal is not None:
            raise RuntimeError(f"record {number} was refused: {refusal}")
    return _resident() - before


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


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
