"""What comes before it rings: is it for us, is it new, who is it, is there room?

::

    sealed bytes -> opened -> in time -> ticket: a contact -------+-> policy -> it rings
                                     or none: work, if need be ---+

One call comes over several presence points at once (`psp.client.calls.placing`): they have one
cookie. The first rings, the others get its answer. A cookie that has rung is remembered
until no introduction with it can be in time any more.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from psp.client.announcing.registration import PresenceRegistration
from psp.client.calls.established import EstablishedCall
from psp.client.calls.introduction_gate import GateConfig, IntroductionGate, Verdict
from psp.client.calls.missed_calls import MissedCall, MissedCalls
from psp.client.calls.ringing import (
    CallDecision,
    CallPolicy,
    CallState,
    IncomingCall,
    RingingCalls,
)
from psp.client.context import ClientContext
from psp.crypto.primitives import x25519_public
from psp.crypto.work import is_proof
from psp.errors import DecodeError, HandshakeError
from psp.ids import Cookie, UserId
from psp.netdoc.introduction import MAX_LIFE, Introduction, open_introduction
from psp.netdoc.presence_keys import CLOCK_SKEW
from psp.netdoc.ticket import NO_TICKET, is_ticket, named_id
from psp.units import Monotonic, Seconds
from psp.wire.presence import (
    IntroduceRequest,
    IntroductionAnswer,
    IntroductionStatus,
)

POLICY_WITHIN = Seconds(2.0)
"""For the app's policy; then it rings. A caller gives up after 3.3 s."""
STRANGERS_AT_THE_POLICY = 8
"""At once; further strangers ring without it. Half of what one circuit answers at once,
so that a slow policy keeps no contact out."""
MAX_REMEMBERED = 4_096
"""Cookies that have rung; when full, new calls are busy. The gate lets 30 in a minute."""
REMEMBERED_FOR = MAX_LIFE + 2 * CLOCK_SKEW
"""Seconds in which an introduction can be in time by our clock."""


class TicketHolder(Protocol):
    """A contact who may call with a ticket."""

    @property
    def name(self) -> str:
        """The contact's name in our book."""
        ...

    @property
    def key(self) -> bytes:
        """The ticket key we gave to this contact, 32 bytes."""
        ...

    @property
    def identity(self) -> UserId | None:
        """Who the contact is; None while we have no card of theirs."""
        ...


ContactOf = Callable[[bytes], TicketHolder | None]
"""Takes a ticket id; returns whose key it names."""


def no_contacts(_ticket_id: bytes) -> TicketHolder | None:
    """Know nobody."""
    return None


@dataclass(frozen=True, slots=True)
class Ring:
    """What it takes to answer a call.

    Attributes:
        introduction: As the caller sealed it.
        contact_private: The key it was sealed to.
        contact: Whose ticket came with it; None for a stranger.
        ticket_id: Of that ticket.
    """

    introduction: Introduction
    contact_private: bytes = field(repr=False)
    contact: str | None
    ticket_id: bytes | None


@dataclass(slots=True)
class _Known:
    """A cookie that has rung.

    Attributes:
        until: Unix seconds.
        tags: Over which it came; again over the same one is a replay.
        answer: What the first was answered; the others get the same.
    """

    until: float
    tags: set[bytes]
    answer: "asyncio.Future[IntroductionAnswer]"


class _RefusedError(Exception):
    """An introduction does not count; carries the answer."""

    def __init__(self, status: IntroductionStatus, effort: int = 0) -> None:
        super().__init__(status.name)
        self.answer = IntroductionAnswer(status, effort)


class Doorbell:
    """Takes introductions; lets some of them ring.

    Attributes:
        policy: The app's say, before it rings.
        refusal: What a refused introduction is answered.
    """

    refusal = IntroductionAnswer(IntroductionStatus.REFUSED)

    def __init__(
        self,
        context: ClientContext,
        ringing: RingingCalls,
        missed: MissedCalls,
        *,
        answering: Callable[[Ring], Awaitable[EstablishedCall]],
        contact_of: ContactOf,
        gate: GateConfig | None = None,
    ) -> None:
        """Let nothing ring yet.

        Args:
            context: What the client shares.
            ringing: Where calls ring.
            missed: Told of calls that nobody took.
            answering: Answers one.
            contact_of: Tells whose ticket key an id names.
            gate: Limits.
        """
        self.policy: CallPolicy = _let_it_ring
        self._context = context
        self._ringing = ringing
        self._missed = missed
        self._answering = answering
        self._contact_of = contact_of
        self._gate = IntroductionGate(gate)
        self._known: OrderedDict[Cookie, _Known] = OrderedDict()
        self._strangers_asked = 0

    async def take(
        self, registration: PresenceRegistration, data: bytes, callee: UserId
    ) -> IntroductionAnswer:
        """Decide on an introduction that came over one of our registrations.

        Args:
            registration: Which.
            data: The 1,520 bytes.
            callee: Who we are.
        """
        try:
            introduction = self._open(registration, data)
            known = self._twin(introduction.cookie, registration.tag)
            if known is not None:
                return await asyncio.shield(known.answer)
            ring = self._recognise(registration, introduction, callee)
            self._admit(ring)
        except _RefusedError as refused:
            return refused.answer
        return await self._ask_and_ring(ring, registration.tag)

    async def close(self) -> None:
        """Let nobody wait for an answer any more."""
        for known in self._known.values():
            if not known.answer.done():
                known.answer.set_result(self.refusal)

    # -- is it for us, and new?

    def _open(self, registration: PresenceRegistration, data: bytes) -> Introduction:
        try:
            request = IntroduceRequest.decode(data)
            introduction = open_introduction(
                request.sealed,
                registration.contact_private,
                network=self._context.registry.network,
                presence_point=registration.point.node_id,
            )
        except (DecodeError, HandshakeError):
            raise _RefusedError(IntroductionStatus.REFUSED) from None
        if not introduction.is_in_time(self._context.unix_time()):
            raise _RefusedError(IntroductionStatus.REFUSED)
        return introduction

    def _twin(self, cookie: Cookie, tag: bytes) -> _Known | None:
        """Return the call that rings under this cookie, if it came another way."""
        now = self._context.unix_time()
        while self._known and next(iter(self._known.values())).until < now:
            self._known.popitem(last=False)
        known = self._known.get(cookie)
        if known is not None and tag in known.tags:
            raise _RefusedError(IntroductionStatus.REFUSED)
        if known is not None:
            known.tags.add(tag)
        return known

    # -- who is it, and is there room?

    def _recognise(
        self,
        registration: PresenceRegistration,
        introduction: Introduction,
        callee: UserId,
    ) -> Ring:
        private, ticket = registration.contact_private, introduction.ticket
        if ticket == NO_TICKET:
            return Ring(introduction, private, None, None)
        scope = introduction.scope(
            self._context.registry.network, callee, registration.point.node_id
        )
        holder = self._contact_of(named_id(ticket))
        if holder is None or not is_ticket(ticket, holder.key, scope):
            raise _RefusedError(IntroductionStatus.REFUSED)
        return Ring(introduction, private, holder.name, named_id(ticket))

    def _admit(self, ring: Ring) -> None:
        if len(self._known) >= MAX_REMEMBERED:
            # Fail closed: forgetting early would allow a replay.
            raise _RefusedError(IntroductionStatus.BUSY)
        if ring.contact is not None:
            verdict = self._gate.judge_contact(ring.contact, _now())
        else:
            verdict = self._judge_stranger(ring)
        if verdict is Verdict.WORK_NEEDED:
            effort = max(self._gate.effort(_now()), 1)  # time goes on
            raise _RefusedError(IntroductionStatus.WORK_NEEDED, effort)
        if verdict is Verdict.BUSY or not self._make_room(ring):
            raise _RefusedError(IntroductionStatus.BUSY)

    def _judge_stranger(self, ring: Ring) -> Verdict:
        introduction = ring.introduction
        effort = introduction.effort
        if effort < self._gate.effort(_now()):
            return Verdict.WORK_NEEDED
        if effort:
            if not self._gate.may_verify(_now()):
                return Verdict.BUSY
            challenge = introduction.work_challenge(x25519_public(ring.contact_private))
            if not is_proof(challenge, introduction.work_nonce, effort):
                raise _RefusedError(IntroductionStatus.REFUSED)
        weakest = self._ringing.weakest_stranger()
        can_replace = weakest is not None and weakest.effort < effort
        verdict = self._gate.judge_stranger(effort, _now(), can_replace=can_replace)
        if verdict is Verdict.REPLACE and weakest is not None:
            weakest.end(CallState.MISSED)
        return verdict

    def _make_room(self, ring: Ring) -> bool:
        """Tell whether one more can ring; a contact takes a stranger's place."""
        if not self._ringing.is_full:
            return True
        weakest = self._ringing.weakest_stranger()
        if ring.contact is None or weakest is None:
            return False
        weakest.end(CallState.MISSED)
        return True

    # -- the app

    async def _ask_and_ring(self, ring: Ring, tag: bytes) -> IntroductionAnswer:
        unix_now = self._context.unix_time()
        introduction = ring.introduction
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[IntroductionAnswer] = loop.create_future()
        known = _Known(unix_now + REMEMBERED_FOR, {tag}, answer)
        self._known[introduction.cookie] = known
        call = IncomingCall(
            contact=ring.contact,
            effort=introduction.effort,
            expires=min(introduction.expiry, unix_now + MAX_LIFE),
            cookie=introduction.cookie,
            answering=lambda _: self._answering(ring),
        )
        status = IntroductionStatus.REFUSED
        try:
            decision = await self._decide(call)
            if call.state is CallState.ANSWERED:  # by the policy itself
                status = IntroductionStatus.DELIVERED
            elif decision is not CallDecision.REFUSE and not (
                call.is_over or answer.done()
            ):
                self._ring(call)
                status = IntroductionStatus.DELIVERED
                if decision is CallDecision.ANSWER:
                    _ = call.begin()
        finally:
            if not answer.done():
                answer.set_result(IntroductionAnswer(status))
        return answer.result()

    async def _decide(self, call: IncomingCall) -> CallDecision:
        is_stranger = call.contact is None
        if is_stranger and self._strangers_asked >= STRANGERS_AT_THE_POLICY:
            return CallDecision.RING
        self._strangers_asked += is_stranger
        try:
            async with asyncio.timeout(POLICY_WITHIN):
                return await self.policy(call)
        except TimeoutError:
            return CallDecision.RING
        except Exception as error:  # noqa: BLE001 - the app's own, whatever it is
            self._context.log.warning("call_policy_failed", error=type(error).__name__)
            return CallDecision.RING
        finally:
            self._strangers_asked -= is_stranger

    def _ring(self, call: IncomingCall) -> None:
        within = max(call.expires - self._context.unix_time(), 0.0)
        self._ringing.add(call, within, self._miss)

    def _miss(self, call: IncomingCall) -> None:
        when = int(self._context.unix_time())
        self._missed.add(MissedCall(when, contact=call.contact))


async def _let_it_ring(_call: IncomingCall) -> CallDecision:
    return CallDecision.RING


def _now() -> Monotonic:
    return Monotonic(asyncio.get_running_loop().time())
