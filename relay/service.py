"""A relay in an asyncio loop: one machine, one socket, and the services on top.

Other services reach the relay by two ports of `psp.runtime.ports`: ``circuits`` (requests
over circuits that end here) and ``links`` (requests of other relays). Handlers run as
tasks, at most `RelayConfig.max_requests` of each kind; a request above that is refused.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeAlias, assert_never

from psp.directory.registry import Registry, period_of
from psp.ids import NodeId
from psp.runtime.driver import Driver, TrainSocket
from psp.runtime.logs import logger
from psp.runtime.ports import CircuitHandler, CircuitPeer, LinkHandler, RefusedError
from psp.units import Monotonic, Seconds
from psp.wire.cell import Reason
from psp.wire.relay_message import RelayCommand
from relay.events import (
    CircuitClosed,
    LinkDown,
    LinkUp,
    RelayEvent,
    RequestAnswered,
    RequestReceived,
    ServiceAnswered,
    ServiceRequested,
)
from relay.machine import RelayMachine

HANDLER_LIMIT = Seconds(25.0)
"""How long a handler may take; a circuit's answer is worthless after 30 s."""

REGISTRY_CHECK = Seconds(30.0)
"""How often the registry is looked at for a new epoch or new members. Our choice."""

Status: TypeAlias = dict[str, int | float]

_log = logger("relay")


class RelayCircuitPort:
    """Requests over circuits that end at this relay (a `CircuitPort`)."""

    def __init__(self, machine: RelayMachine, flush: Callable[[], None]) -> None:
        self._machine = machine
        self._flush = flush
        self._loop = asyncio.get_running_loop()
        self._handlers: dict[RelayCommand, CircuitHandler] = {}
        self._listeners: list[Callable[[int], None]] = []
        self._answers: dict[int, asyncio.Future[bytes | None]] = {}

    def serve(self, command: RelayCommand, handler: CircuitHandler) -> None:
        """Call ``handler`` for every request of this command."""
        self._handlers[command] = handler

    async def ask(self, key: int, command: RelayCommand, data: bytes) -> bytes | None:
        """Ask the origin of a circuit; None when it is gone, refuses or is silent."""
        token = self._machine.ask(key, command, data, self._now())
        answer: asyncio.Future[bytes | None] = self._loop.create_future()
        self._answers[token] = answer
        self._flush()
        try:
            return await answer
        finally:
            self._answers.pop(token, None)

    def cells_from(self, key: int) -> int | None:
        """Return how many cells came from a circuit's origin; None if it is gone."""
        return self._machine.cells_from(key)

    def on_circuit_closed(self, listener: Callable[[int], None]) -> None:
        """Call ``listener(key)`` whenever a circuit ends."""
        self._listeners.append(listener)

    def handler(self, command: RelayCommand) -> CircuitHandler | None:
        """Return who serves a command, or None."""
        return self._handlers.get(command)

    def answered(self, event: RequestAnswered) -> None:
        """Wake whoever asked."""
        _settle(self._answers.get(event.token), event.data)

    def closed(self, key: int) -> None:
        """Tell the listeners."""
        for listener in self._listeners:
            listener(key)

    def cancel(self) -> None:
        """Answer every open question with None."""
        for answer in list(self._answers.values()):
            _settle(answer, None)

    def _now(self) -> Monotonic:
        return Monotonic(self._loop.time())


class RelayLinkPort:
    """Requests to and from other relays (a `LinkPort`)."""

    def __init__(self, machine: RelayMachine, flush: Callable[[], None]) -> None:
        self._machine = machine
        self._flush = flush
        self._loop = asyncio.get_running_loop()
        self._handlers: dict[int, LinkHandler] = {}
        self._answers: dict[int, asyncio.Future[bytes | None]] = {}

    def serve(self, service: int, handler: LinkHandler) -> None:
        """Call ``handler`` for every request to this service."""
        self._handlers[service] = handler

    async def request(
        self, node_id: NodeId, service: int, data: bytes, within: Seconds
    ) -> bytes | None:
        """Ask another relay, at most 1,183 bytes each way; None without an answer."""
        now = Monotonic(self._loop.time())
        token = self._machine.service_request(node_id, service, data, within, now)
        answer: asyncio.Future[bytes | None] = self._loop.create_future()
        self._answers[token] = answer
        self._flush()
        try:
            return await answer
        finally:
            self._answers.pop(token, None)

    def handler(self, service: int) -> LinkHandler | None:
        """Return who serves a service, or None."""
        return self._handlers.get(service)

    def answered(self, event: ServiceAnswered) -> None:
        """Wake whoever asked."""
        _settle(self._answers.get(event.token), event.data)

    def cancel(self) -> None:
        """Answer every open request with None."""
        for answer in list(self._answers.values()):
            _settle(answer, None)


class RelayService:
    """Runs a relay until `stop`.

    Attributes:
        machine: The relay itself.
        circuits: For services that answer requests over circuits.
        links: For services that talk to other relays.
    """

    def __init__(
        self,
        machine: RelayMachine,
        udp: TrainSocket,
        *,
        registry: Registry | None = None,
        unix_time: Callable[[], float],
    ) -> None:
        """Prepare; nothing moves before `start`. Must be called in a running loop.

        Args:
            machine: A new machine.
            udp: Its socket; closing it is the opener's business.
            registry: Where the mesh's neighbours are drawn from; None for no mesh.
            unix_time: The wall clock.
        """
        self.machine = machine
        self._udp = udp
        self._registry = registry
        self._unix_time = unix_time
        self._loop = asyncio.get_running_loop()
        self._driver: Driver[RelayEvent] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._drawn: tuple[int, int] | None = None
        self._check: asyncio.TimerHandle | None = None
        self._started = 0.0
        self.circuits = RelayCircuitPort(machine, self._flush)
        self.links = RelayLinkPort(machine, self._flush)

    def start(self) -> None:
        """Begin to receive."""
        self._driver = Driver(self.machine, self._udp, self._on_event)
        self._started = self._loop.time()
        self._draw_mesh()

    async def stop(self) -> None:
        """Tell the neighbours, end the handlers, and let go of the socket."""
        if self._driver is None:
            return
        if self._check is not None:
            self._check.cancel()
        self.machine.close(Reason.SHUTTING_DOWN, self._driver.now())
        self._driver.flush()
        self._driver.close()
        self._driver = None
        self.circuits.cancel()
        self.links.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def status(self) -> Status:
        """Return what an operator wants to see."""
        status: Status = {**self.machine.status()}
        status["uptime_s"] = round(self._loop.time() - self._started, 1)
        status["handlers"] = len(self._tasks)
        return status

    def _flush(self) -> None:
        if self._driver is not None:
            self._driver.schedule_flush()

    def _draw_mesh(self) -> None:
        """Draw the neighbours again when the period or the membership changed."""
        if self._registry is None or self._driver is None:
            return
        period = period_of(int(self._unix_time()))
        drawn = (period, self._registry.sequence)
        if drawn != self._drawn:
            self._drawn = drawn
            seed = self._registry.random_value(period) or period.to_bytes(8)
            now = self._driver.now()
            self.machine.draw_neighbours(seed, self._registry.nodes(), now)
            self._flush()
        self._check = self._loop.call_later(REGISTRY_CHECK, self._draw_mesh)

    def _on_event(self, event: RelayEvent) -> None:
        match event:
            case RequestReceived():
                self._serve_circuit(event)
            case RequestAnswered():
                self.circuits.answered(event)
            case ServiceRequested():
                self._serve_link(event)
            case ServiceAnswered():
                self.links.answered(event)
            case CircuitClosed():
                self.circuits.closed(event.key)
                # Not for the disk of a busy relay: lives and cell counts of circuits
                # are what somebody who seizes logs would compare.
                _log.debug(
                    "circuit_closed",
                    reason=event.reason.name,
                    hop=event.hop,
                    age_s=round(event.age, 3),
                    cells_forward=event.cells_forward,
                    cells_backward=event.cells_backward,
                    bad_cells=event.bad_cells,
                    was_joined=event.was_joined,
                )
            case LinkUp():
                _log.info("link_up", is_relay=event.peer is not None)
            case LinkDown():
                _log.info(
                    "link_down",
                    is_relay=event.peer is not None,
                    reason=event.reason,
                    circuits=event.circuits,
                )
            case _:
                assert_never(event)

    def _serve_circuit(self, event: RequestReceived) -> None:
        handler = self.circuits.handler(event.command)
        if handler is None:
            self._refuse(event, Reason.REFUSED)
        elif len(self._tasks) >= self.machine.config.max_requests:
            self._refuse(event, Reason.RESOURCE_LIMIT)
        else:
            self._spawn(self._answer_circuit(handler, event))

    def _serve_link(self, event: ServiceRequested) -> None:
        handler = self.links.handler(event.service)
        if handler is None or len(self._tasks) >= self.machine.config.max_requests:
            self._answer_service(event.token, None)
        else:
            self._spawn(self._answer_link(handler, event))

    async def _answer_circuit(
        self, handler: CircuitHandler, event: RequestReceived
    ) -> None:
        if self.machine.cells_from(event.key) is None:
            # Closed between the request and now, of which the listeners were told: what
            # a handler remembered of this circuit it would remember for ever.
            return
        peer = CircuitPeer(event.key, event.handshake_hash)
        reason: Reason | None = Reason.INTERNAL
        try:
            async with asyncio.timeout(HANDLER_LIMIT):
                data = await handler(peer, event.data)
            now = Monotonic(self._loop.time())
            self.machine.answer(event.key, event.stream_id, data, now)
            reason = None
        except RefusedError as refused:
            reason = refused.reason
        except TimeoutError:
            reason = Reason.TIMEOUT
        finally:
            if reason is not None:
                self._refuse(event, reason)
        self._flush()

    async def _answer_link(self, handler: LinkHandler, event: ServiceRequested) -> None:
        data: bytes | None = None
        try:
            async with asyncio.timeout(HANDLER_LIMIT):
                data = await handler(event.node_id, event.data)
        except TimeoutError:
            _log.warning("service_handler_timeout", service=event.service)
        finally:
            self._answer_service(event.token, data)

    def _refuse(self, event: RequestReceived, reason: Reason) -> None:
        now = Monotonic(self._loop.time())
        self.machine.refuse(event.key, event.stream_id, reason, now)
        self._flush()

    def _answer_service(self, token: int, data: bytes | None) -> None:
        self.machine.service_answer(token, data)
        self._flush()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        """A handler that raised is our bug: log it, keep the relay running."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("handler_failed", exc_info=error)


def _settle(answer: asyncio.Future[bytes | None] | None, data: bytes | None) -> None:
    if answer is not None and not answer.done():
        answer.set_result(data)
