"""Keeps a user announced at three presence points, on circuits of their own (R-PRE-3).

Each slot has a task: pick a point that the other slots do not use, build a circuit to
it, register, renew every 10 minutes, ping every few seconds. When the point or a relay
on the way dies, the slot moves to another point.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from psp.client.circuit import Circuit
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.client.identity import ClientIdentity
from psp.client.registration import (
    ABSENCE_LIFETIME,
    PresenceRegistration,
    announce,
    new_registration,
)
from psp.errors import PspError
from psp.netdoc.node_record import NodeRecord
from psp.path.selection import Purpose
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.presence import IntroductionAnswer
from psp.wire.relay_message import RelayCommand

IntroductionTaker = Callable[
    [PresenceRegistration, bytes], Awaitable[IntroductionAnswer]
]
"""Takes an introduction's data; returns what the presence point is told."""


@dataclass(frozen=True, slots=True)
class AnnouncerConfig:
    """How a presence is kept up.

    Attributes:
        slots: Presence points in use at the same time, at most 3.
        renew_every: Between renewals; a record lives three times as long.
        ping_every: Between signs of life on a registration's circuit.
        ping_within: A ping not answered by then is missed; two in a row move the slot.
        retry_after: First pause after a failure; doubles up to ``max_retry_after``.
        max_retry_after: Longest pause.
        leave_within: How long leaving may take.
    """

    slots: int = 3
    renew_every: Seconds = Seconds(600.0)
    ping_every: Seconds = Seconds(5.0)
    ping_within: Seconds = Seconds(2.0)
    retry_after: Seconds = Seconds(0.5)
    max_retry_after: Seconds = Seconds(60.0)
    leave_within: Seconds = Seconds(2.0)


class Announcer:
    """Announces one identity until it is stopped.

    Attributes:
        registrations: The live registration of each slot.
    """

    def __init__(
        self,
        context: ClientContext,
        identity: ClientIdentity,
        circuits: CircuitBuilder,
        take_introduction: IntroductionTaker,
        config: AnnouncerConfig | None = None,
    ) -> None:
        self.config = config or AnnouncerConfig()
        self.registrations: dict[int, PresenceRegistration] = {}
        self._context = context
        self._identity = identity
        self._circuits = circuits
        self._take_introduction = take_introduction
        self._points: dict[int, NodeRecord] = {}
        self._sequence = 0
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start one task per slot."""
        self._tasks = [
            asyncio.create_task(self._keep(slot), name=f"presence slot {slot}")
            for slot in range(self.config.slots)
        ]

    async def stop(self) -> None:
        """Say that the user is away, stop announcing and close the circuits.

        Where that cannot be said in time, the records die within 30 minutes.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.leave_within):
                await asyncio.gather(*map(self._leave, self.registrations.values()))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def wait_until_announced(self, points: int = 1) -> None:
        """Return when at least ``points`` slots are announced."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.registrations) >= points)

    async def _leave(self, registration: PresenceRegistration) -> None:
        try:
            await announce(
                self._context,
                self._identity,
                registration,
                self._next_sequence(),
                ABSENCE_LIFETIME,
            )
        except PspError as error:
            self._context.log.info("absence_failed", error=str(error))

    async def _keep(self, slot: int) -> None:
        pause = self.config.retry_after
        while True:
            try:
                circuit = await self._open_circuit(slot)
            except PspError as error:
                self._context.log.info("presence_circuit_failed", error=str(error))
            else:
                try:
                    await self._announce_until_lost(slot, circuit)
                    pause = self.config.retry_after
                except PspError as error:
                    self._context.log.info("registration_failed", error=str(error))
                finally:
                    circuit.close()
                    await self._forget(slot)
            await asyncio.sleep(pause * (0.5 + self._context.entropy.uniform()))
            pause = Seconds(min(pause * 2, self.config.max_retry_after))

    async def _open_circuit(self, slot: int) -> Circuit:
        """Build to a point that no other slot uses, as long as there is one."""
        for _ in range(self.config.slots):
            others = [point.node_id for point in self._points.values()]
            circuit = await self._circuits.open(Purpose.REGISTRATION, avoid=others)
            # The slots build at the same time: another may have come here first.
            if circuit.path[-1] not in self._points.values():
                break
            circuit.close()
        else:
            circuit = await self._circuits.open(Purpose.REGISTRATION)
        self._points[slot] = circuit.path[-1]
        return circuit

    async def _announce_until_lost(self, slot: int, circuit: Circuit) -> None:
        registration = new_registration(self._context, slot, circuit)

        async def take(data: bytes) -> bytes:
            return (await self._take_introduction(registration, data)).encode()

        circuit.serve(RelayCommand.INTRODUCTION, take)
        while circuit.is_open:
            stored = await announce(
                self._context, self._identity, registration, self._next_sequence()
            )
            if not stored:
                raise PresenceNotStoredError("no discovery node stored the record")
            async with self._changed:
                self.registrations[slot] = registration
                self._changed.notify_all()
            await self._watch(circuit)

    async def _watch(self, circuit: Circuit) -> None:
        """Return at the next renewal, or when the circuit has ended or gone silent."""
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + self.config.renew_every
        missed = 0
        while loop.time() < renew_at:
            await asyncio.wait([circuit.closed], timeout=self.config.ping_every)
            if not circuit.is_open:
                return
            answer = await circuit.ping(len(circuit.path), self.config.ping_within)
            missed = 0 if answer is not None else missed + 1
            if missed == 2:
                await self._circuits.blame_silence(circuit)
                circuit.close(Reason.TIMEOUT)
                return

    async def _forget(self, slot: int) -> None:
        self._points.pop(slot, None)
        async with self._changed:
            self.registrations.pop(slot, None)
            self._changed.notify_all()

    def _next_sequence(self) -> int:
        """Rising without a memory: milliseconds, or one more than the last."""
        self._sequence = max(self._sequence + 1, int(self._context.unix_time() * 1000))
        return self._sequence

    def points(self) -> list[NodeRecord]:
        """Return the presence points in use, by slot."""
        return [
            registration.point for _, registration in sorted(self.registrations.items())
        ]


class PresenceNotStoredError(PspError):
    """A presence point agreed, but no discovery node keeps the record."""
