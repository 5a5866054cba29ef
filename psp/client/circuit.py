"""One circuit of a client, as something to await."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from psp.circuit.events import (
    CircuitBuilt,
    CircuitClosed,
    ExtendFailed,
    HopAdded,
    NoticeReceived,
    OriginEvent,
    Pong,
    ReportReceived,
    RequestAnswered,
    RequestFailed,
    RequestReceived,
    Truncated,
)
from psp.circuit.origin import OriginCircuit
from psp.client.loss_judge import LossJudge
from psp.errors import PspError
from psp.netdoc.node_record import NodeRecord
from psp.runtime.ports import RefusedError
from psp.units import Monotonic, Seconds
from psp.wire.cell import Reason
from psp.wire.relay_message import RelayCommand

RequestHandler = Callable[[bytes], Awaitable[bytes]]
"""Takes the data of a relay's request and returns the answer's."""

MAX_HANDLERS_AT_ONCE = 16
"""Requests of relays that are being answered; more are refused (an introduction flood
must not make tasks without end)."""


class CircuitError(PspError):
    """A circuit could not be built, or ended.

    Attributes:
        reason: What the relay said, or TIMEOUT.
        hop: The hop that failed, from 1; None when unknown.
    """

    def __init__(self, reason: Reason, hop: int | None = None) -> None:
        where = "" if hop is None else f" at hop {hop}"
        super().__init__(f"circuit ended{where}: {reason.name.lower()}")
        self.reason = reason
        self.hop = hop


class RequestError(PspError):
    """A request over a circuit was refused or not answered.

    Attributes:
        reason: What the relay said, or TIMEOUT.
    """

    def __init__(self, command: RelayCommand, reason: Reason) -> None:
        super().__init__(f"{command.name.lower()}: {reason.name.lower()}")
        self.reason = reason


class CircuitOwner(Protocol):
    """What a circuit needs of the network it runs on."""

    def now(self) -> Monotonic:
        """Return the time."""
        ...

    def origin(self, key: int) -> OriginCircuit:
        """Return the machine behind an open circuit."""
        ...

    def touch(self, key: int) -> None:
        """Note that a circuit was used."""

    def close_circuit(self, key: int, reason: Reason) -> None:
        """Destroy a circuit."""


class Circuit:
    """One circuit of this client.

    Attributes:
        key: Its name in the machine.
        path: The relays on it, entry first.
        closed: Done with the reason when the circuit has ended.
        joined: Set when the rendezvous has spliced it.
        build_time: How long it took.
        hops_added: How many hops have answered.
        grants: What each of them grants, in kbit/s each way.
        failed_hop: The hop that failed the build, from 1; None when unknown.
        was_cut: Whether a relay has ended it, or cut hops off.
    """

    def __init__(
        self, network: CircuitOwner, key: int, path: Sequence[NodeRecord]
    ) -> None:
        self.key = key
        self.path = tuple(path)
        loop = asyncio.get_running_loop()
        self.built: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[Reason] = loop.create_future()
        self.joined = asyncio.Event()
        self.build_time = Seconds(0.0)
        self.hops_added = 0
        self.grants: list[int] = []
        self.failed_hop: int | None = None
        self.was_cut = False
        self._network = network
        self._waiting: dict[tuple[int, int], asyncio.Future[bytes]] = {}
        self._pings: dict[int, list[asyncio.Future[Seconds | None]]] = {}
        self._handlers: dict[RelayCommand, RequestHandler] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._judge = LossJudge(len(self.path))
        self.on_handshake_block: Callable[[bytes], None] = lambda _: None
        self.on_lossy_segment: Callable[[int], None] = lambda _: None

    @property
    def is_open(self) -> bool:
        """Whether it can still be used."""
        return not self.closed.done()

    @property
    def granted(self) -> int:
        """What every hop that was asked grants, in kbit/s each way; 0 if none was."""
        return min((grant for grant in self.grants if grant), default=0)

    @property
    def handshake_hash(self) -> bytes:
        """Of the handshake with the last hop, 32 bytes."""
        return self._network.origin(self.key).handshake_hash(len(self.path))

    async def request(
        self, command: RelayCommand, data: bytes, *, hop: int | None = None
    ) -> bytes:
        """Ask a hop (the last one unless told) and return its answer's data.

        Raises:
            RequestError: If it refuses or does not answer.
            CircuitError: If the circuit ends meanwhile.
        """
        if not self.is_open:
            raise CircuitError(self.closed.result())
        origin = self._network.origin(self.key)
        hop = hop or len(self.path)
        stream_id = origin.request(command, data, self._network.now(), hop)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[hop, stream_id] = future
        self._network.touch(self.key)
        try:
            return await future
        finally:
            self._waiting.pop((hop, stream_id), None)

    async def ping(self, hop: int, within: Seconds) -> Seconds | None:
        """Return the round trip to a hop, or None when it is silent.

        None too when the circuit ends meanwhile. Any pong of the hop answers all who
        wait for one.
        """
        origin = self._origin()
        if origin is None:
            return None
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Seconds | None] = loop.create_future()
        origin.ping(hop, self._network.now())
        self._network.touch(self.key)
        self._pings.setdefault(hop, []).append(future)
        try:
            return await asyncio.wait_for(future, within)
        except TimeoutError:
            return None
        finally:
            if future in self._pings.get(hop, ()):
                self._pings[hop].remove(future)

    def await_hop(self, node: NodeRecord) -> None:
        """Note that a hop is being added: ``built`` is done again when it is there."""
        self.path = (*self.path, node)
        self.built = asyncio.get_running_loop().create_future()
        self._judge = LossJudge(len(self.path))

    def serve(self, command: RelayCommand, handler: RequestHandler) -> None:
        """Answer this command of the last hop with ``handler``."""
        self._handlers[command] = handler

    def close(self, reason: Reason = Reason.REQUESTED) -> None:
        """Tear the circuit down; doing it twice is fine."""
        self._network.close_circuit(self.key, reason)

    def receive(self, event: OriginEvent) -> None:
        """Take in an event of the machine; called by the network only."""
        match event:
            case HopAdded():
                self.hops_added = event.hop
                self.grants.append(event.granted)
            case CircuitBuilt():
                self.build_time = Seconds(self.build_time + event.build_time)
                if not self.built.done():
                    self.built.set_result(None)
            case CircuitClosed():
                self.was_cut |= event.is_remote
                self._end(event.reason, event.hop)
            case ExtendFailed():
                self._fail_build(CircuitError(event.reason, len(self.path)))
                self.close(event.reason)
            case Truncated():
                # Without its last hop it is of no use to whoever opened it.
                self.was_cut = True
                self.close(event.reason)
            case NoticeReceived(command=RelayCommand.JOINED):
                self.joined.set()
            case ReportReceived():
                if self._judge.record(event.hop, event.loss, self._network.now()):
                    self.on_lossy_segment(event.hop)
            case _:
                self._receive_exchange(event)

    def _receive_exchange(self, event: OriginEvent) -> None:
        match event:
            case RequestAnswered():
                future = self._waiting.pop((event.hop, event.stream_id), None)
                if future is not None and not future.done():
                    future.set_result(event.data)
            case RequestFailed():
                _fail(
                    self._waiting.pop((event.hop, event.stream_id), None),
                    RequestError(event.command, event.reason),
                )
            case Pong():
                for ping in self._pings.pop(event.hop, ()):
                    if not ping.done():
                        ping.set_result(event.round_trip or Seconds(0.0))
            case RequestReceived():
                self._asked(event)
            case _:
                pass

    def _asked(self, event: RequestReceived) -> None:
        handler = self._handlers.get(event.command)
        if handler is None or len(self._tasks) >= MAX_HANDLERS_AT_ONCE:
            self._refuse(event, Reason.REFUSED)
        else:
            task = asyncio.create_task(self._answer(event, handler))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, event: RequestReceived, handler: RequestHandler) -> None:
        try:
            data = await handler(event.data)
        except RefusedError as error:
            self._refuse(event, error.reason)
            return
        origin = self._origin()
        if origin is not None:
            origin.answer(event.hop, event.stream_id, data, self._network.now())
            self._network.touch(self.key)

    def _refuse(self, event: RequestReceived, reason: Reason) -> None:
        origin = self._origin()
        if origin is not None:
            origin.refuse(event.hop, event.stream_id, reason, self._network.now())
            self._network.touch(self.key)

    def _origin(self) -> OriginCircuit | None:
        """Return the machine behind this circuit, None once it has ended.

        It may have ended without our having been told yet: a relay can send a request
        and the end of the circuit in one train.
        """
        try:
            return self._network.origin(self.key)
        except CircuitError:
            return None

    def _fail_build(self, error: CircuitError) -> None:
        if not self.built.done():
            self.failed_hop = error.hop
            self.built.set_exception(error)
            self.built.exception()  # whoever still waits gets it all the same

    def _end(self, reason: Reason, hop: int | None) -> None:
        error = CircuitError(reason, hop)
        self._fail_build(error)
        for waiting in self._waiting.values():
            _fail(waiting, error)
        for pings in self._pings.values():
            for ping in pings:
                if not ping.done():
                    ping.set_result(None)
        self._waiting.clear()
        self._pings.clear()
        for task in self._tasks:
            task.cancel()
        if not self.closed.done():
            self.closed.set_result(reason)


def _fail(future: asyncio.Future[bytes] | None, error: PspError) -> None:
    if future is not None and not future.done():
        future.set_exception(error)
        future.exception()  # who still waits gets it; who was cancelled need not
