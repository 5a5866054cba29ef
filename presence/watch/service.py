"""Telling watchers of changes: the handles of presence points, the cookies of watch points.

::

    circuits --WATCH--> Watchers ...... changed(tag) --SERVICE 3--> the watch point
    circuits --HOLD---> HeldCookies <-- SERVICE 3 from a presence point
                             '--CHANGED--> the watcher's circuit

Every relay is both. A change leaves as many messages as handles lay there, at a pace of
their own; nothing is sent to a relay that the registry does not know.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress

from presence.config import WatchConfig
from presence.limits import Pace, TokenBuckets
from presence.watch.held_cookies import HeldCookies
from presence.watch.outbox import Outbox
from presence.watch.silence import SilenceJudge
from presence.watch.stats import WatchStats
from presence.watch.watchers import Handle, Watchers
from psp.errors import DecodeError
from psp.ids import NodeId
from psp.netdoc.watch_handle import seal_change
from psp.runtime.ports import CircuitPeer, CircuitPort, LinkPort, RefusedError
from psp.units import Monotonic, Seconds
from psp.wire.cell import Reason
from psp.wire.relay_message import RelayCommand
from psp.wire.watch import (
    SERVICE_NUMBER,
    Change,
    ChangeMessage,
    Held,
    HoldRequest,
    Passed,
    WatchRequest,
    WatchStatus,
)

_LEAVE_WITHIN = Seconds(1.0)
_PORTION = 200
"""Users listened to in one go: half a millisecond."""


class WatchService:
    """Both parts of watching on one relay.

    Attributes:
        stats: What happened since the start.
    """

    def __init__(
        self,
        config: WatchConfig,
        *,
        node_id: NodeId,
        is_relay: Callable[[NodeId], bool],
        tag_status: Callable[[bytes], WatchStatus],
        served: Callable[[], Mapping[bytes, int]],
        circuits: CircuitPort,
        links: LinkPort,
    ) -> None:
        """Wire the parts; nothing runs before `start`.

        Args:
            config: Limits.
            node_id: Of this relay.
            is_relay: Tells whether the registry knows a relay.
            tag_status: How a tag stands at the presence point, now.
            served: Which circuits serve which tags there.
            circuits: Requests over circuits that end here.
            links: Requests to and from other relays.
        """
        self.stats = WatchStats()
        self._config = config
        self._node_id = node_id
        self._is_relay = is_relay
        self._tag_status = tag_status
        self._served = served
        self._circuits = circuits
        self._links = links
        self._watchers = Watchers(config)
        self._cookies = HeldCookies(config)
        self._silence = SilenceJudge(config.silent_after, config.silent_factor)
        self._listener: asyncio.Task[None] | None = None
        self._rates: TokenBuckets[NodeId] = TokenBuckets(
            config.changes_per_second, config.change_burst, config.max_peers
        )
        self._is_closed = False
        self._pace = Pace(config.messages_per_second)
        self._outbox = Outbox(config.messages_at_once, config.messages_in_all)
        self._dispatcher: asyncio.Task[None] | None = None
        self._senders: set[asyncio.Task[None]] = set()
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def handles(self) -> int:
        """Handles lying here now."""
        return len(self._watchers)

    @property
    def cookies(self) -> int:
        """Cookies held now."""
        return len(self._cookies)

    def start(self) -> None:
        """Serve; call once, inside the loop."""
        self._circuits.serve(RelayCommand.WATCH, self._on_watch)
        self._circuits.serve(RelayCommand.HOLD, self._on_hold)
        self._circuits.on_circuit_closed(self._on_circuit_closed)
        self._links.serve(SERVICE_NUMBER, self._on_message)
        self._listener = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Tell watchers, as far as a second allows, that this point is gone; stop."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        for tag in self._watchers.tags():
            self.changed(tag, Change.GONE, 0)
        self._is_closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_WITHIN):
                while self._senders:
                    await asyncio.wait(self._senders)
        self._outbox.clear()
        tasks = [*self._senders, *self._passing]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def changed(self, tag: bytes, change: Change, sequence: int) -> None:
        """Tell everybody who watches a tag; returns at once."""
        handles = self._watchers.changed(tag, change, sequence, _now())
        if not handles or self._is_closed:
            return
        self.stats.changes[change.name.lower()] += 1
        # No longer than the handles that lay here, nor than twice that: whoever was told
        # has to bring a new handle before there is another message for it.
        room = 2 * self._config.max_handles - len(self._outbox)
        for handle in handles[:room]:
            sealed = seal_change(handle.key, handle.cookie, change, sequence)
            message = ChangeMessage(handle.cookie, sealed)
            self._outbox.put(handle, message.encode())
        self._go_on()

    # ---- presence point

    async def _on_watch(self, peer: CircuitPeer, data: bytes) -> bytes:
        try:
            request = WatchRequest.decode(data)
        except DecodeError:
            self.stats.requests_bad += 1
            raise RefusedError(Reason.PROTOCOL) from None
        if not self._is_relay(request.watch_point):
            self.stats.requests_bad += 1
            raise RefusedError(Reason.REFUSED)
        status = self._status(request.tag)
        watched = self._watchers.leave(peer.key, request, status, _now())
        if watched is None:
            self.stats.requests_bad += 1
            raise RefusedError(Reason.RESOURCE_LIMIT)
        self.stats.handles[watched.status.name.lower()] += 1
        return watched.encode()

    def _status(self, tag: bytes) -> WatchStatus:
        status = self._tag_status(tag)
        if status is WatchStatus.HERE and self._silence.is_silent(tag):
            return WatchStatus.SILENT
        return status

    async def _listen(self) -> None:
        """Notice when a user is heard no more, and when again.

        Whether anybody watches does not matter: who begins to must not wait until it is
        known what is usual.
        """
        while True:
            await asyncio.sleep(self._config.listen_interval)
            served = self._served()
            for number, (tag, circuit) in enumerate(served.items()):
                if not number % _PORTION:
                    await asyncio.sleep(0)  # cells that are to be passed on go first
                cells = self._circuits.cells_from(circuit)
                if cells is not None:
                    change = self._silence.listen(tag, circuit, cells, _now())
                    if change is not None:
                        self.changed(tag, change, 0)
            self._silence.forget_others(served)

    def _go_on(self) -> None:
        """See that somebody sends what waits."""
        if self._dispatcher is None or self._dispatcher.done():
            self._dispatcher = self._spawn(self._dispatch())

    async def _dispatch(self) -> None:
        """Send what waits, at its pace, until nothing may be sent now."""
        while (letter := self._outbox.take()) is not None:
            await asyncio.sleep(self._pace.delay(_now()))
            _ = self._spawn(self._send(*letter))

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._senders.add(task)
        task.add_done_callback(self._senders.discard)
        return task

    async def _send(self, handle: Handle, message: bytes) -> None:
        is_here = handle.watch_point == self._node_id
        if is_here:
            passed: Passed | None = self._pass_on(message)
        else:
            passed = await self._ask(handle.watch_point, message)
        outcome = "unanswered" if passed is None else passed.name.lower()
        is_answered = is_here or passed is not None
        given_up = self._outbox.done(handle.watch_point, is_answered=is_answered)
        self.stats.messages[outcome] += 1 + given_up
        self._go_on()

    async def _ask(self, watch_point: NodeId, message: bytes) -> Passed | None:
        answer = await self._links.request(
            watch_point, SERVICE_NUMBER, message, self._config.message_within
        )
        if answer is None:
            return None
        try:
            return Passed.decode(answer)
        except DecodeError:
            return None

    # ---- watch point

    async def _on_hold(self, peer: CircuitPeer, data: bytes) -> bytes:
        try:
            request = HoldRequest.decode(data)
        except DecodeError:
            self.stats.requests_bad += 1
            raise RefusedError(Reason.PROTOCOL) from None
        held = self._cookies.hold(peer.key, request.cookies)
        if held is None:
            raise RefusedError(Reason.RESOURCE_LIMIT)
        self.stats.cookies_taken += len(request.cookies)
        return Held(held).encode()

    async def _on_message(self, sender: NodeId, data: bytes) -> bytes | None:
        if not self._rates.admit(sender, _now()):
            self.stats.passed["too_often"] += 1
            return None
        passed = self._pass_on(data)
        return None if passed is None else passed.encode()

    def _pass_on(self, data: bytes) -> Passed | None:
        """Give a message to the circuit of its cookie; None: try again later, or never."""
        try:
            message = ChangeMessage.decode(data)
        except DecodeError:
            self.stats.requests_bad += 1
            return None
        if len(self._passing) >= self._config.changes_under_way:
            self.stats.passed["full"] += 1
            return None
        circuit = self._cookies.use(message.cookie)
        if circuit is None:
            self.stats.passed["unknown"] += 1
            return Passed.UNKNOWN
        task = asyncio.create_task(self._tell(circuit, data))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        return Passed.PASSED

    async def _tell(self, circuit: int, data: bytes) -> None:
        answer = await self._circuits.ask(circuit, RelayCommand.CHANGED, data)
        self.stats.passed["told" if answer is not None else "silent"] += 1

    def _on_circuit_closed(self, circuit: int) -> None:
        self._watchers.circuit_closed(circuit)
        self._cookies.circuit_closed(circuit)


def _now() -> Monotonic:
    return Monotonic(asyncio.get_running_loop().time())
