"""Calls: introduction, rendezvous, handshake; both sides.

::

    Bob                          C (presence point)   R (rendezvous)          Alice
    circuit to R, ESTABLISH(cookie) ------------------>|
    circuit to C, INTRODUCE(sealed) -->| INTRODUCTION ------------------------->|
                                       |               |<- JOIN(cookie), 4 hops |
    |<============ handshake messages 2 and 3 through R =======================>|
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from psp.client.circuit import Circuit
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.client.handshake import CalleeHandshake, CallerHandshake, caller_judge
from psp.client.identity import Identity
from psp.client.leg_keeper import LegKeeper
from psp.client.lookup import LookupResult
from psp.client.network import ClientNetwork
from psp.client.registration import PresenceRegistration
from psp.client.session import ClientSession
from psp.crypto.session import SessionInitiator, SessionKeys, SessionResponder
from psp.endpoint.session import Session
from psp.errors import DecodeError, HandshakeError, PspError
from psp.ids import COOKIE_SIZE, Cookie, NodeId, UserId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.introduction import (
    MAX_LIFE,
    Introduction,
    open_introduction,
    seal_introduction,
)
from psp.netdoc.presence_inner import Presence
from psp.netdoc.ticket import NO_TICKET
from psp.path.selection import Purpose
from psp.units import Seconds, UnixTime
from psp.wire.presence import (
    IntroduceRequest,
    IntroductionAnswer,
    IntroductionStatus,
)
from psp.wire.relay_message import RelayCommand

CALL_WITHIN = Seconds(10.0)
"""From introduction to keys, for one presence point; then the next is tried."""
MAX_PENDING_CALLS = 8
"""Incoming calls that are being set up; more are answered BUSY (R-PATH-5)."""
CALLS_PER_MINUTE = 30
"""Incoming calls answered in all (R-PATH-5): each makes us build a circuit, and a
stranger who makes us build many learns our guards sooner. More are answered BUSY."""
MAX_WAITING_CALLS = 32
"""Sessions set up that the app has not accepted; more are answered BUSY."""
MAX_REMEMBERED_COOKIES = 4096
"""Introductions seen lately, each for 120 s; with more, new ones are refused."""

IntroductionFilter = Callable[[Introduction], bool]
"""Decides before anything is opened whether to answer an introduction."""


class CallError(PspError):
    """The call did not come about; the text says why."""


@dataclass(frozen=True, slots=True)
class EstablishedCall:
    """A session, and what keeps its legs."""

    session: ClientSession
    legs: LegKeeper
    presence_point: NodeId | None = None
    """Where the caller introduced itself; None at the callee."""


class Calls:
    """Places and takes calls for one client.

    Attributes:
        accepts: Decides on introductions before anything is opened.
        on_step: Told, in words, how far a call of ours has come.
        incoming: Calls that are set up and wait for the app.
    """

    def __init__(
        self,
        context: ClientContext,
        network: ClientNetwork,
        circuits: CircuitBuilder,
        identity: Identity | None,
    ) -> None:
        self.accepts: IntroductionFilter = lambda _: True
        self.on_step: Callable[[str], None] = lambda _: None
        self.incoming: asyncio.Queue[EstablishedCall] = asyncio.Queue(MAX_WAITING_CALLS)
        self._context = context
        self._network = network
        self._circuits = circuits
        self._identity = identity
        self._seen: OrderedDict[bytes, float] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sessions: set[ClientSession] = set()
        self._answered: deque[float] = deque(maxlen=CALLS_PER_MINUTE)

    async def place(
        self, card: ContactCard, found: LookupResult, *, anonymous: bool = False
    ) -> EstablishedCall:
        """Call a user whom a look-up found.

        Raises:
            CallError: If no presence point led to a session.
        """
        if not found.points:
            raise CallError(f"the user is {found.state}")
        trouble: list[str] = []
        for point in found.points:
            try:
                return await self._call_through(card, point, anonymous=anonymous)
            except (PspError, TimeoutError) as error:
                trouble.append(str(error) or "no answer in time")
        raise CallError("no presence point led to the user: " + "; ".join(trouble))

    async def close(self) -> None:
        """Hang up, and stop setting calls up."""
        for session in list(self._sessions):
            session.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- caller

    async def _call_through(
        self, card: ContactCard, point: Presence, *, anonymous: bool
    ) -> EstablishedCall:
        meeting, introduction = await self._open_both(point)
        try:
            async with asyncio.timeout(CALL_WITHIN):
                keys = await self._introduce(
                    card, point, meeting, introduction, anonymous=anonymous
                )
        except BaseException:
            meeting.close()
            introduction.close()
            raise
        introduction.close()
        return self._established(
            meeting, keys, card.identity, point=point.place.node_id
        )

    async def _open_both(self, point: Presence) -> tuple[Circuit, Circuit]:
        """Build to a rendezvous and to the presence point at the same time."""
        opening = [
            asyncio.create_task(self._circuits.open(Purpose.RENDEZVOUS_CALLER)),
            asyncio.create_task(
                self._circuits.open(Purpose.INTRODUCTION, last=point.place.node_id)
            ),
        ]
        try:
            meeting, introduction = await asyncio.gather(*opening)
        except BaseException:
            for task in opening:
                task.cancel()
            for outcome in await asyncio.gather(*opening, return_exceptions=True):
                if not isinstance(outcome, BaseException):
                    outcome.close()
            raise
        return meeting, introduction

    async def _introduce(
        self,
        card: ContactCard,
        point: Presence,
        meeting: Circuit,
        introduction: Circuit,
        *,
        anonymous: bool,
    ) -> SessionKeys:
        cookie = Cookie(self._context.entropy.token(COOKIE_SIZE))
        signer = None
        if not anonymous and self._identity is not None:
            signer = self._identity.signer(self._context.unix_time())
        initiator = SessionInitiator(
            network=card.network.encode(),
            cookie=cookie,
            callee=card.identity,
            contact_key=point.place.contact_key,
            caller=signer,
            entropy=self._context.entropy,
        )
        handshake = CallerHandshake(initiator, meeting, self._network)
        self.on_step("circuits built")
        await meeting.request(RelayCommand.ESTABLISH, cookie)
        self.on_step("rendezvous established")
        request = self._sealed(card, point, meeting, cookie, initiator.message_1)
        answer = await introduction.request(RelayCommand.INTRODUCE, request)
        status = IntroductionAnswer.decode(answer).status
        if status is not IntroductionStatus.DELIVERED:
            raise CallError(f"introduction: {status.name.lower().replace('_', ' ')}")
        self.on_step("introduction delivered")
        keys = await handshake.keys(CALL_WITHIN)
        self.on_step("keys agreed end to end")
        return keys

    def _sealed(
        self,
        card: ContactCard,
        point: Presence,
        meeting: Circuit,
        cookie: Cookie,
        message_1: bytes,
    ) -> bytes:
        rendezvous = meeting.path[-1]
        plain = Introduction(
            expiry=UnixTime(int(self._context.unix_time()) + MAX_LIFE),
            rendezvous=rendezvous.node_id,
            endpoint=rendezvous.endpoints[0],
            cookie=cookie,
            ticket=NO_TICKET,
            noise_message=message_1,
        )
        sealed = seal_introduction(
            plain,
            point.place.contact_key,
            network=card.network,
            presence_point=point.place.node_id,
        )
        return IntroduceRequest(point.place.tag, sealed).encode()

    # -- callee

    async def take_introduction(
        self, registration: PresenceRegistration, data: bytes
    ) -> IntroductionAnswer:
        """Decide on an introduction; set the call up behind the answer."""
        return IntroductionAnswer(self._take(registration, data))

    def _take(
        self, registration: PresenceRegistration, data: bytes
    ) -> IntroductionStatus:
        if self._identity is None:
            return IntroductionStatus.REFUSED
        try:
            request = IntroduceRequest.decode(data)
            introduction = open_introduction(
                request.sealed,
                registration.contact_private,
                network=self._context.registry.network,
                presence_point=registration.point.node_id,
            )
        except (DecodeError, HandshakeError):
            return IntroductionStatus.REFUSED
        now = self._context.unix_time()
        if not introduction.is_in_time(now) or not self._is_new(introduction, now):
            return IntroductionStatus.REFUSED
        if self._is_busy(now):
            return IntroductionStatus.BUSY
        if not self.accepts(introduction):
            return IntroductionStatus.REFUSED
        self._answered.append(now)
        task = asyncio.create_task(self._meet(registration, introduction))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return IntroductionStatus.DELIVERED

    def _is_busy(self, now: float) -> bool:
        answered = self._answered
        if len(answered) == CALLS_PER_MINUTE and now - answered[0] < 60:
            return True
        return len(self._tasks) >= MAX_PENDING_CALLS or self.incoming.full()

    async def _meet(
        self, registration: PresenceRegistration, introduction: Introduction
    ) -> None:
        try:
            established = await self._join(registration, introduction)
        except (PspError, TimeoutError) as error:
            self._context.log.info("incoming_call_failed", error=str(error))
            return
        try:
            self.incoming.put_nowait(established)
        except asyncio.QueueFull:
            established.session.close()

    async def _join(
        self, registration: PresenceRegistration, introduction: Introduction
    ) -> EstablishedCall:
        assert self._identity is not None  # noqa: S101 - take_introduction has checked
        responder = SessionResponder(
            network=self._context.registry.network.encode(),
            cookie=introduction.cookie,
            callee=self._identity.user_id,
            contact_private=registration.contact_private,
            entropy=self._context.entropy,
            is_caller=caller_judge(self._context),
        )
        responder.read_1(introduction.noise_message)
        circuit = await self._circuits.open(
            Purpose.RENDEZVOUS_CALLEE, last=introduction.rendezvous
        )
        try:
            handshake = CalleeHandshake(responder, circuit, self._network)
            await circuit.request(RelayCommand.JOIN, introduction.cookie)
            keys, caller = await handshake.keys(CALL_WITHIN)
        except BaseException:
            circuit.close()
            raise
        return self._established(circuit, keys, caller)

    def _is_new(self, introduction: Introduction, now: float) -> bool:
        """Remember every introduction for as long as it could be replayed."""
        seen = self._seen
        while seen and next(iter(seen.values())) < now:
            seen.popitem(last=False)
        if introduction.cookie in seen:
            return False
        if len(seen) >= MAX_REMEMBERED_COOKIES:
            return False  # fail closed: forgetting early would allow a replay
        seen[introduction.cookie] = now + 2 * MAX_LIFE
        return True

    # -- both

    def _established(
        self,
        circuit: Circuit,
        keys: SessionKeys,
        peer: UserId | None,
        point: NodeId | None = None,
    ) -> EstablishedCall:
        session = ClientSession(
            self._network,
            Session(keys, self._network.now()),
            peer=peer,
            is_caller=point is not None,
        )
        self._sessions.add(session)
        session.closed.add_done_callback(lambda _: self._sessions.discard(session))
        keeper = LegKeeper(self._context, self._network, self._circuits, session)
        keeper.start(circuit)
        return EstablishedCall(session, keeper, point)
