"""Introductions and mailboxes over circuits: the asyncio owner of `presence.point`'s part.

::

    caller --INTRODUCE--> this relay --INTRODUCTION--> callee's circuit
    caller --MISSED-----> mailbox <--COLLECT-- callee, back again
"""

from collections.abc import Callable

from presence.mailbox_desk import MailboxDesk
from presence.point import PresencePoint
from presence.stats import PresenceStats
from presence.turns import Turns
from psp.errors import DecodeError
from psp.runtime.ports import CircuitPeer, CircuitPort, RefusedError
from psp.units import Monotonic
from psp.wire.cell import Reason
from psp.wire.presence import IntroductionAnswer, IntroductionStatus
from psp.wire.relay_message import RelayCommand
from psp.wire.watch import Change


class IntroductionService:
    """Passes introductions on, keeps notices, gives them to their owners."""

    def __init__(
        self,
        point: PresencePoint,
        desk: MailboxDesk,
        turns: Turns,
        circuits: CircuitPort,
        *,
        stats: PresenceStats,
        now: Callable[[], Monotonic],
        unix_time: Callable[[], float],
    ) -> None:
        """Wire the parts; nothing is served before `start`.

        Args:
            point: Decides on introductions.
            desk: Decides on notices.
            turns: Of circuits that bring either.
            circuits: Requests over circuits that end here.
            stats: Counted into.
            now: The loop's clock.
            unix_time: The wall clock.
        """
        self._point = point
        self._desk = desk
        self._turns = turns
        self._circuits = circuits
        self._stats = stats
        self._now = now
        self._unix_time = unix_time
        desk.on_owner_back = self._owner_is_back

    def start(self) -> None:
        """Serve; call once."""
        self._circuits.serve(RelayCommand.INTRODUCE, self._on_introduce)
        self._circuits.serve(RelayCommand.MISSED, self._on_missed)
        self._circuits.serve(RelayCommand.COLLECT, self._on_collect)

    def circuit_closed(self, circuit: int) -> None:
        """Forget everything about a circuit; any key is fine."""
        self._turns.forget(circuit)
        self._desk.circuit_closed(circuit)

    async def _on_introduce(self, peer: CircuitPeer, data: bytes) -> bytes:
        route = self._point.route_introduction(
            peer.key, data, now=self._now(), unix_now=self._unix_time()
        )
        if isinstance(route, IntroductionStatus):
            answer = IntroductionAnswer(route)
        else:
            answer = await self._introduce(route, data)
        if answer.status is IntroductionStatus.WORK_NEEDED:
            self._turns.work_demanded(peer.key)
        self._stats.introductions[answer.status.name.lower()] += 1
        return answer.encode()

    async def _introduce(self, circuit: int, data: bytes) -> IntroductionAnswer:
        try:
            answer = await self._circuits.ask(circuit, RelayCommand.INTRODUCTION, data)
        finally:
            self._point.introduction_ended()
        if answer is None:
            return IntroductionAnswer(IntroductionStatus.BUSY)
        try:
            return IntroductionAnswer.decode(answer)
        except DecodeError:
            return IntroductionAnswer(IntroductionStatus.REFUSED)

    async def _on_missed(self, peer: CircuitPeer, data: bytes) -> bytes:
        now, unix_now = self._now(), self._unix_time()
        return self._desk.leave(peer.key, data, now=now, unix_now=unix_now).encode()

    async def _on_collect(self, peer: CircuitPeer, data: bytes) -> bytes:
        collected = self._desk.collect(
            peer.key, peer.handshake_hash, data, unix_now=self._unix_time()
        )
        if collected is None:
            raise RefusedError(Reason.REFUSED)
        return collected.encode()

    def _owner_is_back(self, tag: bytes, sequence: int) -> None:
        self._point.on_tag_changed(tag, Change.BACK, sequence)
