"""A reader of the chain in a process of its own, as lean as a relay's or client's.

``python -m cli.bench.directory_reader CHAIN_ID REGISTRY QUORUM URL…`` reads one word a
line from its standard input, answers each with a line of JSON, and ends with the input::

    first    read everything, from nothing; keeps it
    parts    verify and rebuild alone, on what was read
    weigh    read everything again, from nothing, and weigh the answers; keeps nothing
    next     read what has changed since what is kept, and weigh; keeps it

What is timed is the reader of `psp.runtime.chain_reader` itself: its endpoints note when
each answer came. Answers are weighed by the gzip size of their JSON, one by one: what a
server that compresses sends. Compressing takes time, so nothing is both timed and
weighed.
"""

import gzip
import sys
import time
from asyncio import Runner
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from psp.directory.chain.records import BookTrie, read_nodes
from psp.directory.chain.view import ChainView
from psp.errors import PspError
from psp.runtime.chain_reader import ChainReader, Reading
from psp.runtime.entropy import SystemEntropy
from psp.runtime.quorum import QuorumRpc
from psp.runtime.rpc import RpcEndpoint, new_session
from psp.runtime.system import new_event_loop
from psp.wire.network import Network

_PAGE = "eth_call"


@dataclass(frozen=True, slots=True)
class FirstReading:
    """How long it took to read everything.

    Attributes:
        elected: Seconds until the elected list and the counts were proven under an
            agreed block.
        listed: Seconds until one endpoint had given all records.
        whole: Seconds until the view was there: verified, and proven or agreed on.
        completeness: Why the list is believed to be whole.
        nodes: How many count.
        list_size: Elected ones.
        resident: Bytes of memory that the process takes now.
        peak: The most it took.
    """

    elected: float
    listed: float
    whole: float
    completeness: str
    nodes: int
    list_size: int
    resident: int
    peak: int


@dataclass(frozen=True, slots=True)
class Parts:
    """Work that needs no endpoint, in seconds.

    Attributes:
        verify: All self-signatures.
        root: The storage root of the whole listing.
    """

    verify: float
    root: float


@dataclass(frozen=True, slots=True)
class Weights:
    """How much one reading fetches, in bytes.

    Attributes:
        packed: Of all answers, by gzip.
        packed_once: The same, one endpoint's listing only: where its completeness is
            proven no second one is fetched.
        wire: Of all answers, as they came.
    """

    packed: int
    packed_once: int
    wire: int


Answer = FirstReading | Parts | Weights


@dataclass(frozen=True, slots=True)
class _Answer:
    """When a question was asked and answered, and the bytes of the answer."""

    endpoint: str
    method: str
    asked: float
    came: float
    packed: int


@dataclass(slots=True)
class _Log:
    """What endpoints note: every answer, and its size if asked to weigh."""

    weighs: bool = False
    answers: list[_Answer] = field(default_factory=list)


class _Watched:
    """An endpoint that is looked at.

    Attributes:
        name: Of the endpoint.
    """

    def __init__(self, rpc: RpcEndpoint, log: _Log) -> None:
        self.name = rpc.name
        self._rpc = rpc
        self._log = log

    async def call(self, method: str, *params: object) -> object:
        """Ask; note when, and perhaps what the answer weighs."""
        asked = time.perf_counter()
        result = await self._rpc.call(method, *params)
        came = time.perf_counter()
        size = _packed_size(result) if self._log.weighs else 0
        self._log.answers.append(_Answer(self.name, method, asked, came, size))
        return result


@dataclass(frozen=True, slots=True)
class _Look:
    """One reading, looked at."""

    reading: Reading
    started: float
    ended: float
    answers: list[_Answer]
    wire: int

    @property
    def pages(self) -> list[_Answer]:
        return [answer for answer in self.answers if answer.method == _PAGE]

    @property
    def first_listing(self) -> list[_Answer]:
        """Pages of the endpoint that was asked first."""
        pages = self.pages
        return [page for page in pages if page.endpoint == pages[0].endpoint]

    @property
    def weights(self) -> Weights:
        packed = sum(answer.packed for answer in self.answers)
        pages = sum(page.packed for page in self.pages)
        once = sum(page.packed for page in self.first_listing)
        return Weights(packed, packed - pages + once, self.wire)


class _Reader:
    """The reader of one client: it remembers what it has proven."""

    def __init__(self, network: Network, quorum: int, urls: Sequence[str]) -> None:
        self.session = new_session(len(urls))
        self._log = _Log()
        self._endpoints = [
            RpcEndpoint(url, self.session, name=f"endpoint {number}")
            for number, url in enumerate(urls, 1)
        ]
        rpc = QuorumRpc(
            [_Watched(each, self._log) for each in self._endpoints],
            chain_id=network.chain_id,
            quorum=quorum,
            entropy=SystemEntropy(),
        )
        self._reader = ChainReader(rpc, network)

    async def look(self, previous: ChainView | None, *, weighs: bool) -> _Look:
        self._log.weighs, self._log.answers = weighs, []
        wire = self._received
        started = time.perf_counter()
        reading = await self._reader.read(previous)
        ended = time.perf_counter()
        wire = self._received - wire
        return _Look(reading, started, ended, self._log.answers, wire)

    @property
    def _received(self) -> int:
        return sum(endpoint.bytes_received for endpoint in self._endpoints)


class BenchReader:
    """Reads one network."""

    def __init__(self, network: Network, quorum: int, urls: Sequence[str]) -> None:
        """Name the network and its endpoints; nothing is read yet."""
        self._network = network
        self._open = partial(_Reader, network, quorum, urls)
        self._reader: _Reader | None = None
        self._view: ChainView | None = None

    async def first(self) -> FirstReading:
        """Read everything, from nothing; keep it."""
        look = await self._look(weighs=False)
        view = look.reading.view
        proven = min((page.asked for page in look.pages), default=look.ended)
        listed = max((page.came for page in look.first_listing), default=look.ended)
        return FirstReading(
            elected=proven - look.started,
            listed=listed - look.started,
            whole=look.ended - look.started,
            completeness=look.reading.completeness,
            nodes=len(view.nodes.nodes),
            list_size=len(view.elected()),
            resident=_memory("VmRSS"),
            peak=_memory("VmHWM"),
        )

    async def parts(self) -> Parts:
        """Verify and rebuild what was read."""
        listed = self._view.nodes.listed if self._view is not None else ()
        started = time.perf_counter()
        read_nodes(self._network, listed)
        verified = time.perf_counter()
        BookTrie(self._network.registry).root(listed)
        return Parts(verified - started, time.perf_counter() - verified)

    async def weigh(self) -> Weights:
        """Read everything again and weigh it; keep nothing."""
        reader = self._open()
        async with reader.session:
            return (await reader.look(None, weighs=True)).weights

    async def next(self) -> Weights:
        """Read and weigh what has changed since what is kept; keep it."""
        return (await self._look(weighs=True)).weights

    async def close(self) -> None:
        """Close connections."""
        if self._reader is not None:
            await self._reader.session.close()

    async def _look(self, *, weighs: bool) -> _Look:
        if self._reader is None:
            self._reader = self._open()
        look = await self._reader.look(self._view, weighs=weighs)
        self._view = look.reading.view
        return look


def _packed_size(result: object) -> int:
    message = {"jsonrpc": "2.0", "id": 1, "result": result}
    return len(gzip.compress(msgspec.json.encode(message), 6))


def _memory(field: str) -> int:
    """Return a figure of this process's, in bytes; ``getrusage`` counts the parent's."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) << 10
    return 0


def main(arguments: Sequence[str]) -> int:
    """Answer until the input ends; return the exit code."""
    chain_id, registry, quorum, *urls = arguments
    network = Network(int(chain_id), bytes.fromhex(registry))
    reader = BenchReader(network, int(quorum), urls)
    commands: dict[str, Callable[[], Coroutine[Any, Any, Answer]]] = {
        "first": reader.first,
        "parts": reader.parts,
        "weigh": reader.weigh,
        "next": reader.next,
    }
    with Runner(loop_factory=new_event_loop) as runner:
        for line in sys.stdin:
            try:
                answer = runner.run(commands[line.strip()]())
            except PspError as error:
                sys.stderr.write(f"{error}\n")
                return 1
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.flush()
        runner.run(reader.close())
    return 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
