"""Keeps a user announced at three presence points, on circuits of their own (R-PRE-3).

Each slot has a task: pick a point that the other slots do not use, build a circuit to
it, register, renew every 10 minutes, ping every few seconds. When the point or a relay
on the way dies, the slot moves to another point. A host that runs on keys made ahead
says some time before that they end, and stops when they have.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Literal

from psp.client.announcing.announcer_config import AnnouncerConfig
from psp.client.announcing.registration import (
    ABSENCE_LIFETIME,
    PresenceRegistration,
    announce,
    announce_status,
    new_registration,
)
from psp.client.announcing.status_publisher import StatusPublisher
from psp.client.announcing.visibility import Visibility
from psp.client.circuit import Circuit, RequestError
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.client.errors import ClockError, KeysEndedError
from psp.client.identities.identity import Identity
from psp.errors import ConfigError, LocalProtocolError, PspError
from psp.netdoc.node_record import NodeRecord
from psp.netdoc.presence_keys import CLOCK_SKEW
from psp.netdoc.presence_record import period_at
from psp.netdoc.presence_status import Status
from psp.path.selection import Purpose
from psp.units import Seconds, UnixTime
from psp.wire.cell import Reason
from psp.wire.presence import IntroductionAnswer
from psp.wire.relay_message import RelayCommand

IntroductionTaker = Callable[
    [PresenceRegistration, bytes], Awaitable[IntroductionAnswer]
]
"""Takes an introduction's data; returns what the presence point is told."""


class Announcer:
    """Announces one identity until it is stopped.

    Attributes:
        registrations: The live registration of each slot.
        visibility: Who may find the user; see `announce_as`.
        on_absence: Called with each registration before its absence is signed, and the
            seconds that will stand: where no answer comes, the point may yet agree.
        check_clock: Asked when registrations are refused again and again; raises
            ClockError when this host's clock is the reason.
        on_keys_ending: Called once with the Unix time at which the keys made ahead for
            this host end, `AnnouncerConfig.tell_before` or less before it.
    """

    def __init__(
        self,
        context: ClientContext,
        identity: Identity,
        circuits: CircuitBuilder,
        take_introduction: IntroductionTaker,
        config: AnnouncerConfig | None = None,
    ) -> None:
        self.config = config or AnnouncerConfig()
        self.registrations: dict[int, PresenceRegistration] = {}
        self.visibility = (
            Visibility.PUBLIC if identity.is_public else Visibility.CONTACTS
        )
        self.on_absence: Callable[[PresenceRegistration, int], None] = lambda *_: None
        self.check_clock: Callable[[], Awaitable[object]] = _no_check
        self.on_keys_ending: Callable[[UnixTime], None] = lambda _: None
        self._context = context
        self._identity = identity
        self._circuits = circuits
        self._take_introduction = take_introduction
        self._paths: dict[int, tuple[NodeRecord, ...]] = {}
        self._sequence = 0
        self._edition = self._refused = 0
        self._has_told = self._is_leaving = False
        self._failure: PspError | None = None
        self._changed = asyncio.Condition()
        self._renew = asyncio.Event()
        self._statuses = StatusPublisher(
            self.registrations, self._publish_status, context.log
        )
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def status(self) -> Status | None:
        """What this user says; None while nothing ever was said."""
        return self._statuses.status

    def start(self) -> None:
        """Start one task per slot, and one for the status.

        Raises:
            ConfigError: If this host's keys are for another network.
            KeysEndedError: If they have ended, or have not begun.
        """
        self._identity.check(self._context.registry.network, self._context.unix_time())
        self._tasks = [
            asyncio.create_task(self._keep(slot), name=f"presence slot {slot}")
            for slot in range(self.config.slots)
        ]
        self._tasks.append(
            asyncio.create_task(self._statuses.run(), name="presence status")
        )

    async def announce_as(self, visibility: Visibility) -> None:
        """Change who may find the user, and publish at once.

        Whoever could find the user under public visibility still can for half an hour
        after it ends.

        Raises:
            ConfigError: If this host has no keys for it, or the identity has no secret
                that contacts could find it by.
        """
        if visibility is Visibility.CONTACTS and self._identity.is_public:
            raise ConfigError(
                "this identity is public: it has no secret for contacts; make another"
            )
        if visibility is Visibility.PUBLIC:
            # Says so now, rather than at every attempt.
            now = self._context.unix_time()
            self._identity.day_key(
                self._context.registry.network,
                period_at(now),
                self._context.entropy,
                as_public=True,
            )
        if visibility is not self.visibility:
            self.visibility = visibility
            await self.publish_now()

    async def set_status(self, text: str, capabilities: Iterable[str] = ()) -> None:
        """Say how the user is; return once those who may find the user find it.

        Args:
            text: At most 180 bytes of UTF-8 without control characters.
            capabilities: Names of `psp.netdoc.presence_status.CAPABILITIES`.

        Raises:
            ConfigError: If it cannot be said.
        """
        try:
            status = Status.of(text, capabilities)
        except LocalProtocolError as error:
            raise ConfigError(str(error)) from None
        await self._statuses.say(status)

    async def publish_now(self) -> None:
        """Renew every slot and the status at once, as after a change of secret."""
        self._edition += 1
        self._renew.set()
        self._renew = asyncio.Event()
        await self._statuses.publish_now()

    async def stop(self) -> None:
        """Say that the user is away, stop announcing and close the circuits.

        Where that cannot be said in time, the records die within 30 minutes.
        """
        self._is_leaving = True
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.config.leave_within):
                    await asyncio.gather(*map(self._leave, self.registrations.values()))
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()
            self._is_leaving = False

    async def wait_until_announced(self, points: int = 1) -> None:
        """Return when at least ``points`` slots are announced.

        Raises:
            ClockError: If the points refuse as this host's clock is wrong.
            KeysEndedError: If this host's keys end before.
            ConfigError: If this host's keys do not do for what is asked.
        """
        async with self._changed:
            await self._changed.wait_for(
                lambda: self._failure or len(self.registrations) >= points
            )
            failure = self._failure
            if isinstance(failure, ClockError):
                self._failure = None  # it may be set right; the slots go on
            if failure is not None:
                raise failure

    async def _leave(self, registration: PresenceRegistration) -> None:
        try:
            self.on_absence(registration, ABSENCE_LIFETIME)
        except PspError as error:  # a full disk must not keep the user on line
            self._context.log.warning("absence_not_kept", error=str(error))
        try:
            await announce(
                self._context,
                self._identity,
                registration,
                self._next_sequence(),
                ABSENCE_LIFETIME,
                visibility=self.visibility,
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
                except (ConfigError, KeysEndedError) as error:
                    await self._fail(error)
                    return
                except PspError as error:
                    self._context.log.info("registration_failed", error=str(error))
                    self._refused += isinstance(error, RequestError)
                finally:
                    circuit.close()
                    await self._forget(slot)
            if self._refused >= self.config.doubt_after:
                await self._look_into_clock()
            await asyncio.sleep(pause * (0.5 + self._context.entropy.uniform()))
            pause = Seconds(min(pause * 2, self.config.max_retry_after))

    async def _look_into_clock(self) -> None:
        """Tell whoever waits if it is our clock; go on, as it may be set right."""
        self._refused = 0
        try:
            await self.check_clock()
        except ClockError as error:
            await self._fail(error)
        except PspError as error:
            self._context.log.info("clock_not_checked", error=str(error))

    async def _fail(self, error: PspError) -> None:
        """Tell whoever waits that this host cannot go on."""
        self._context.log.warning("presence_impossible", error=str(error))
        async with self._changed:
            self._failure = error
            self._changed.notify_all()

    async def _open_circuit(self, slot: int) -> Circuit:
        """Build to a point that no other slot uses, as long as there is one.

        The way there avoids the other slots' relays, where it can: the odd slots enter
        by the second guard, and a middle that another has taken is given up once.
        """
        attempt = 0
        while True:
            others = {n.node_id for path in self._paths.values() for n in path}
            circuit = await self._circuits.open(
                Purpose.REGISTRATION, avoid=others, second_guard=bool(slot % 2)
            )
            # The slots build at the same time: another may have come here first.
            taken = [node for path in self._paths.values() for node in path[1:]]
            is_shared = any(node in taken for node in circuit.path[1:-1])
            points = [path[-1] for path in self._paths.values()]
            is_new = circuit.path[-1] not in points and (attempt > 0 or not is_shared)
            if is_new or attempt == self.config.slots:
                self._paths[slot] = circuit.path
                return circuit
            circuit.close()
            attempt += 1

    async def _announce_until_lost(self, slot: int, circuit: Circuit) -> None:
        registration = new_registration(self._context, slot, circuit)

        async def take(data: bytes) -> bytes:
            return (await self._take_introduction(registration, data)).encode()

        circuit.serve(RelayCommand.INTRODUCTION, take)
        while circuit.is_open:
            edition = self._edition
            stored = await announce(
                self._context,
                self._identity,
                registration,
                self._next_sequence(),
                visibility=self.visibility,
            )
            if not stored:
                raise PresenceNotStoredError("no discovery node stored the record")
            async with self._changed:
                self.registrations[slot] = registration
                self._refused, self._failure = 0, None
                self._changed.notify_all()
            await self._statuses.points_changed()
            self._tell_of_end()
            if edition == self._edition:
                await self._watch(registration)

    async def _watch(self, registration: PresenceRegistration) -> None:
        """Return at the next renewal, or when the circuit has ended or gone silent."""
        loop = asyncio.get_running_loop()
        circuit, edition = registration.circuit, self._edition
        began = loop.time()
        missed = 0
        while self._is_leaving or loop.time() < began + self.config.renew_every:
            await self._pause(circuit)
            is_stale = edition != self._edition and not self._is_leaving
            if not circuit.is_open or is_stale:
                return
            is_due = loop.time() >= began + self.config.retry_missing
            if is_due and self._can_publish_more(registration):
                return
            answer = await circuit.ping(len(circuit.path), self.config.ping_within)
            missed = 0 if answer is not None else missed + 1
            if missed == 2:
                await self._circuits.blame_silence(circuit)
                circuit.close(Reason.TIMEOUT)
                return

    async def _pause(self, circuit: Circuit) -> None:
        """Return at the next ping, at `publish_now`, or when the circuit has ended."""
        renewing = asyncio.ensure_future(self._renew.wait())
        either: list[asyncio.Future[Reason] | asyncio.Future[Literal[True]]]
        either = [circuit.closed, renewing]
        try:
            await asyncio.wait(
                either,
                timeout=self.config.ping_every,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            renewing.cancel()

    def _can_publish_more(self, registration: PresenceRegistration) -> bool:
        value = self._context.registry.random_value
        return any(value(period) is not None for period in registration.awaited)

    def _tell_of_end(self) -> None:
        ends = self._identity.ends
        if ends is None or self._has_told:
            return
        left = ends - self._context.unix_time()
        if left <= self.config.tell_before:
            self._has_told = True
            self._context.log.warning("keys_end_soon", hours=round(left / 3600, 1))
            self.on_keys_ending(ends)

    async def _publish_status(
        self, registration: PresenceRegistration, status: Status, *, is_renewal: bool
    ) -> int:
        return await announce_status(
            self._context,
            self._identity,
            registration,
            self._next_sequence(),
            status,
            visibility=self.visibility,
            is_renewal=is_renewal,
        )

    async def _forget(self, slot: int) -> None:
        self._paths.pop(slot, None)
        async with self._changed:
            self.registrations.pop(slot, None)
            self._changed.notify_all()

    def _next_sequence(self) -> int:
        """Rising without a memory: milliseconds, or one more than the last."""
        now = int(self._context.unix_time() * 1_000)
        if self._sequence > now + CLOCK_SKEW * 1_000:
            # The clock was set back. What it said before counts nowhere, and nobody
            # takes a sequence from so far ahead.
            self._sequence = 0
        self._sequence = max(self._sequence + 1, now)
        return self._sequence

    def points(self) -> list[NodeRecord]:
        """Return the presence points in use, by slot."""
        return [
            registration.point for _, registration in sorted(self.registrations.items())
        ]


class PresenceNotStoredError(PspError):
    """A presence point agreed, but no discovery node keeps the record."""


async def _no_check() -> None:
    """Know nothing of clocks."""
