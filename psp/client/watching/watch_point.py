"""The circuit over which a watcher is told of changes, and the cookies that lead to it.

Several contacts share it: the relay at its end sees cookies, which say nothing. It is
pinged rarely, as the relays on the way tell when one of them is gone.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from psp.client.circuit import Circuit
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.client.watching.watch_config import WatcherConfig
from psp.errors import DecodeError, PspError
from psp.ids import NodeId
from psp.path.selection import Purpose
from psp.runtime.ports import RefusedError
from psp.wire.cell import Reason
from psp.wire.relay_message import RelayCommand
from psp.wire.watch import (
    COOKIE_SIZE,
    MAX_COOKIES,
    ChangeMessage,
    Held,
    HoldRequest,
)

FEWEST_COOKIES = 8
"""Asked for in one HOLD: it costs the same cells as one cookie."""
MOST_GARBLED = 3
"""Messages that do not open, before the watch point is left: either it or three presence
points cheat."""

_TRIES = 3
"""Watch points asked for a cookie before a handle is given up for now."""
_REMEMBERED = 8
"""Relays that gave none; the oldest is forgotten first."""

OnChange = Callable[[bytes], bool]
"""Takes what was sealed; tells whether it opened."""


class WatchPoint:
    """One watch point in use.

    Attributes:
        circuit: Leads there.
    """

    def __init__(
        self, context: ClientContext, circuit: Circuit, config: WatcherConfig
    ) -> None:
        self.circuit = circuit
        self._context = context
        self._config = config
        self._cookies: deque[bytes] = deque()
        self._listeners: dict[bytes, OnChange] = {}
        self._holding = asyncio.Lock()
        self._garbled = 0
        self._is_left = False
        circuit.serve(RelayCommand.CHANGED, self._on_changed)

    @property
    def node_id(self) -> NodeId:
        """The relay at the end of the circuit."""
        return self.circuit.path[-1].node_id

    @property
    def is_open(self) -> bool:
        """Whether handles may lead here."""
        return self.circuit.is_open and not self._is_left

    def leave(self) -> None:
        """Use it no longer."""
        self._is_left = True
        self.circuit.close()

    @property
    def handles(self) -> int:
        """How many lead here."""
        return len(self._listeners)

    async def hold(self, wanted: int) -> bytes:
        """Return a cookie that the watch point holds and nobody has.

        Args:
            wanted: How many will be needed soon; they are held in one go.

        Raises:
            RequestError: If the watch point refuses or is silent.
            CircuitError: If the circuit has ended.
            DecodeError: If its answer is none.
        """
        async with self._holding:
            if not self._cookies:
                count = min(max(wanted, FEWEST_COOKIES), MAX_COOKIES)
                token = self._context.entropy.token
                cookies = tuple(token(COOKIE_SIZE) for _ in range(count))
                request = HoldRequest(cookies).encode()
                answer = await self.circuit.request(RelayCommand.HOLD, request)
                Held.decode(answer)
                self._cookies.extend(cookies)
            return self._cookies.popleft()

    def listen(self, cookie: bytes, on_change: OnChange) -> None:
        """Call ``on_change`` with the message for a cookie, once."""
        self._listeners[cookie] = on_change

    def forget(self, cookie: bytes) -> None:
        """Undo `listen`; any cookie is fine."""
        self._listeners.pop(cookie, None)

    async def keep(self, builder: CircuitBuilder) -> None:
        """Return when the circuit has ended, or is silent or old; close it then."""
        loop = asyncio.get_running_loop()
        leave_at = loop.time() + self._between(self._config.watch_point_age)
        missed = 0
        try:
            while missed < 2 and loop.time() < leave_at:
                pause = self._config.ping_within if missed else None
                await asyncio.wait(
                    [self.circuit.closed],
                    timeout=pause or self._between(self._config.ping),
                )
                if not self.circuit.is_open:
                    return
                within = self._config.ping_within
                try:
                    pong = await self.circuit.ping(len(self.circuit.path), within)
                except PspError:
                    return  # cut off this moment
                missed = 0 if pong is not None else missed + 1
            if missed:
                await builder.blame_silence(self.circuit)
        finally:
            self.circuit.close(Reason.TIMEOUT if missed else Reason.REQUESTED)

    async def _on_changed(self, data: bytes) -> bytes:
        try:
            message = ChangeMessage.decode(data)
        except DecodeError:
            raise RefusedError(Reason.PROTOCOL) from None
        on_change = self._listeners.pop(message.cookie, None)
        if on_change is not None and not on_change(message.sealed):
            self._garbled += 1
            if self._garbled >= MOST_GARBLED:
                self._context.log.warning("watch_point_left", reason="garbled")
                self.leave()
        return b""

    def _between(self, span: tuple[float, float]) -> float:
        return span[0] + (span[1] - span[0]) * self._context.entropy.uniform()


class WatchPoints:
    """Opens watch points as they are needed, and says when one is lost."""

    def __init__(
        self,
        context: ClientContext,
        circuits: CircuitBuilder,
        config: WatcherConfig,
        on_lost: Callable[[WatchPoint], None],
    ) -> None:
        self._context = context
        self._circuits = circuits
        self._config = config
        self._on_lost = on_lost
        self._open: dict[WatchPoint, asyncio.Task[None]] = {}
        self._opening = asyncio.Lock()
        self._refused: deque[NodeId] = deque(maxlen=_REMEMBERED)

    def __len__(self) -> int:
        return len(self._open)

    async def hold(self, wanted: int) -> tuple[WatchPoint, bytes]:
        """Return a watch point and a cookie that it holds.

        Args:
            wanted: How many will be needed soon.

        Raises:
            PspError: If several have none to give.
        """
        tries = _TRIES
        while True:
            point = await self._get()
            try:
                return point, await point.hold(wanted)
            except PspError as error:
                self._context.log.info("watch_point_refused", error=str(error))
                self._refused.append(point.node_id)
                point.leave()
                tries -= 1
                if not tries:
                    raise

    async def _get(self) -> WatchPoint:
        async with self._opening:
            for point in self._open:
                has_room = point.handles < self._config.handles_per_watch_point
                if has_room and point.is_open:
                    return point
            avoid = [*self._refused, *(point.node_id for point in self._open)]
            circuit = await self._circuits.open(Purpose.WATCH_POINT, avoid=avoid)
            point = WatchPoint(self._context, circuit, self._config)
            task = asyncio.create_task(self._keep(point), name="watch point")
            self._open[point] = task
            return point

    async def close(self) -> None:
        """Close every circuit; nobody is told that they are lost."""
        tasks = list(self._open.values())
        self._open.clear()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _keep(self, point: WatchPoint) -> None:
        try:
            await point.keep(self._circuits)
        finally:
            if self._open.pop(point, None) is not None:
                self._context.log.info("watch_point_lost")
                self._on_lost(point)
