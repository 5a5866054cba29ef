"""Calls: introduction, ringing, rendezvous, handshake; both sides.

::

    Bob                          C (presence point)   R (rendezvous)          Alice
    circuit to R, ESTABLISH(cookie) ------------------>|
    circuit to C, INTRODUCE(sealed) -->| INTRODUCTION ---------------> gate, app: it rings
                                       |               |                answer()
                                       |               |<- JOIN(cookie), 3 or 4 hops |
    |<============ handshake messages 2 and 3 through R =======================>|

`psp.client.calls.placing` is Bob's side, `psp.client.calls.doorbell` what comes before Alice's phone
rings. Between ringing and answering nothing is built.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence

from psp.client.announcing.registration import PresenceRegistration
from psp.client.calls.doorbell import ContactOf, Doorbell, Ring, no_contacts
from psp.client.calls.established import EstablishedCall
from psp.client.calls.handshake import CalleeHandshake, caller_judge
from psp.client.calls.introducing import Caller, WorkListener
from psp.client.calls.introduction_gate import GateConfig
from psp.client.calls.leaving import leave_notices
from psp.client.calls.leg_keeper import LegKeeper
from psp.client.calls.missed_calls import MissedCalls
from psp.client.calls.placing import Placing
from psp.client.calls.ringing import CallPolicy, RingingCalls
from psp.client.calls.session import ClientSession
from psp.client.circuit import Circuit
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.client.errors import (
    BusyError,
    CallError,
    ContactRevokedError,
    UnreachableError,
    UserOfflineError,
)
from psp.client.identities.identity import Identity
from psp.client.lookups.lookup import LookupResult, PresenceState
from psp.client.network import ClientNetwork
from psp.crypto.session import CallerSigner, SessionKeys, SessionResponder
from psp.endpoint.session import Session, SessionConfig
from psp.errors import PspError
from psp.ids import COOKIE_SIZE, Cookie, NodeId, UserId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.introduction import MAX_LIFE
from psp.netdoc.presence_inner import Presence
from psp.path.selection import Purpose
from psp.units import Seconds, UnixTime
from psp.wire.presence import IntroductionAnswer
from psp.wire.relay_message import RelayCommand

__all__ = ["CallError", "Calls", "EstablishedCall"]

_Agreed = tuple[SessionKeys, UserId | None]

JOIN_WITHIN = Seconds(10.0)
"""From an answer to keys, the building of the circuit not counted."""
ANSWERS_PER_MINUTE = 30
"""Circuits built to strangers' and contacts' rendezvous (R-PATH-5): a stranger who makes
us build many learns our guards sooner."""
TICKET_HOPS = 3
"""Of the callee's circuit, for a contact with a ticket; strangers get one more, so that
their rendezvous never touches a layer-2 guard."""


class Calls:
    """Places and takes calls for one client.

    Attributes:
        on_step: Told, in words, how far a call of ours has come.
        on_work: Told how many bits of work a callee wants before it lets us ring, and
            what part of the expected tries is done; cancel the call to give it up.
        ringing: Calls that wait for the app.
        missed: Calls that nobody took.
    """

    def __init__(
        self,
        context: ClientContext,
        network: ClientNetwork,
        circuits: CircuitBuilder,
        identity: Identity | None,
        *,
        contact_of: ContactOf = no_contacts,
        missed: MissedCalls | None = None,
        gate: GateConfig | None = None,
        session: SessionConfig | None = None,
    ) -> None:
        """Be ready for calls.

        Args:
            context: What the client shares.
            network: Carries blocks.
            circuits: Builds.
            identity: Who we are; None calls anonymously and is not called.
            contact_of: Tells whose ticket key an id names.
            missed: Where missed calls are kept; None for memory only.
            gate: Limits on incoming calls.
            session: How sessions send.
        """
        self.on_step: Callable[[str], None] = lambda _: None
        self.on_work: WorkListener = lambda _effort, _part: None
        self.ringing = RingingCalls()
        self.missed = missed if missed is not None else MissedCalls()
        self._context = context
        self._network = network
        self._circuits = circuits
        self._identity = identity
        self._doorbell = Doorbell(
            context,
            self.ringing,
            self.missed,
            answering=self._answer,
            contact_of=contact_of,
            gate=gate,
        )
        self._contact_of = contact_of
        self._session_config = session
        self._sessions: set[ClientSession] = set()
        self._answered: deque[float] = deque(maxlen=ANSWERS_PER_MINUTE)

    @property
    def policy(self) -> CallPolicy:
        """Decides on calls before they ring; told of nothing but the `IncomingCall`."""
        return self._doorbell.policy

    @policy.setter
    def policy(self, policy: CallPolicy) -> None:
        self._doorbell.policy = policy

    # -- caller

    async def place(
        self,
        card: ContactCard,
        found: LookupResult,
        *,
        anonymous: bool = False,
        notice: str | None = None,
    ) -> EstablishedCall:
        """Call a user whom a look-up found; it rings for a minute at most.

        Args:
            card: Whom; a personal card's ticket passes the callee's gate at once.
            found: Where the user is.
            anonymous: Do not tell who calls; no ticket is shown either.
            notice: Left in the user's mailboxes when they are off line, at most 128
                bytes of UTF-8; None leaves nothing.

        Raises:
            UserOfflineError: If the user has signed off.
            CallError: If no presence point led to a session, for another reason.
        """
        try:
            return await self._call(card, found, anonymous=anonymous)
        except UserOfflineError as error:
            error.was_noted = notice is not None and bool(
                await self._leave(card, error.mailboxes, notice, anonymous=anonymous)
            )
            raise

    async def _call(
        self, card: ContactCard, found: LookupResult, *, anonymous: bool
    ) -> EstablishedCall:
        if not found.points:
            if found.state is PresenceState.OFFLINE:
                raise UserOfflineError("the user is offline", mailboxes=found.mailboxes)
            raise UnreachableError(
                "too few nodes answered to tell where the user is; try again"
            )
        caller = Caller(
            self._context,
            self._circuits,
            card,
            None if anonymous else self._signer(),
            Cookie(self._context.entropy.token(COOKIE_SIZE)),
            UnixTime(int(self._context.unix_time()) + MAX_LIFE),
            self.on_work,
        )
        placing = Placing(caller, self._network, self.on_step)
        try:
            placed = await placing.run(found.points)
        except UserOfflineError as error:
            error.mailboxes = tuple(placing.absent)
            raise
        point = placed.presence_point
        return self._established(placed.meeting, placed.keys, card.identity, point)

    async def _leave(
        self,
        card: ContactCard,
        mailboxes: Sequence[Presence],
        text: str,
        *,
        anonymous: bool,
    ) -> int:
        signer = None if anonymous else self._signer()
        return await leave_notices(
            self._context, self._circuits, card, mailboxes, text=text, signer=signer
        )

    def _signer(self) -> CallerSigner | None:
        if self._identity is None:
            return None
        return self._identity.signer(self._context.unix_time())

    # -- callee

    async def take_introduction(
        self, registration: PresenceRegistration, data: bytes
    ) -> IntroductionAnswer:
        """Decide on an introduction; nothing is built for it."""
        if self._identity is None:
            return self._doorbell.refusal
        return await self._doorbell.take(registration, data, self._identity.user_id)

    async def accept(self) -> EstablishedCall:
        """Wait for the next call and answer it; go on to the next one if that fails."""
        while True:
            call = await self.ringing.next()
            try:
                return await call.establish()
            except (PspError, TimeoutError) as error:
                self._context.log.info("incoming_call_failed", error=str(error))

    async def close(self) -> None:
        """Hang up, and stop ringing."""
        await self._doorbell.close()
        await self.ringing.close()
        for session in list(self._sessions):
            session.close()

    async def _answer(self, ring: Ring) -> EstablishedCall:
        """Build to the caller's rendezvous and agree on keys.

        Raises:
            CallError: If the caller is not to be reached or not the contact whose
                ticket it showed, or if too many were answered.
            ContactRevokedError: If the contact was removed since it rang.
        """
        _ = self._check_contact(ring)
        self._count_answer()
        try:
            circuit, keys, caller = await self._join(ring)
        except (PspError, TimeoutError) as error:
            words = str(error) or "no answer in time"
            raise UnreachableError(f"the caller is gone: {words}") from None
        try:
            expected = self._check_contact(ring)
            if expected is not None and caller != expected:
                # Whoever has got hold of a personal card can make tickets.
                raise UnreachableError("somebody else has called with this ticket")
        except PspError:
            circuit.close()
            raise
        return self._established(circuit, keys, caller, callee_hops=_hops(ring))

    async def _join(self, ring: Ring) -> tuple[Circuit, SessionKeys, UserId | None]:
        assert self._identity is not None  # noqa: S101 - else it would not ring
        introduction = ring.introduction
        responder = SessionResponder(
            network=self._context.registry.network.encode(),
            cookie=introduction.cookie,
            callee=self._identity.user_id,
            contact_private=ring.contact_private,
            entropy=self._context.entropy,
            is_caller=caller_judge(self._context),
        )
        responder.read_1(introduction.noise_message)
        circuit = await self._circuits.open(
            Purpose.RENDEZVOUS_CALLEE,
            last=introduction.rendezvous,
            endpoint=introduction.endpoint,
            length=_hops(ring),
        )
        try:
            handshake = CalleeHandshake(responder, circuit, self._network)
            joining = circuit.request(RelayCommand.JOIN, introduction.cookie)
            keys, caller = await _unless(joining, handshake.keys(JOIN_WITHIN))
        except BaseException:
            circuit.close()
            raise
        return circuit, keys, caller

    def _check_contact(self, ring: Ring) -> UserId | None:
        """See that the ticket's key is still the contact's; return who must call."""
        if ring.ticket_id is None:
            return None
        holder = self._contact_of(ring.ticket_id)
        if holder is None or holder.name != ring.contact:
            raise ContactRevokedError("the contact was removed while it rang")
        return holder.identity

    def _count_answer(self) -> None:
        now = asyncio.get_running_loop().time()
        answered = self._answered
        if len(answered) == ANSWERS_PER_MINUTE and now - answered[0] < 60:
            raise BusyError("too many calls were answered in the last minute")
        answered.append(now)

    # -- both

    def _established(
        self,
        circuit: Circuit,
        keys: SessionKeys,
        peer: UserId | None,
        point: NodeId | None = None,
        *,
        callee_hops: int | None = None,
    ) -> EstablishedCall:
        session = ClientSession(
            self._network,
            Session(keys, self._network.now(), self._session_config),
            peer=peer,
            is_caller=point is not None,
        )
        self._sessions.add(session)
        session.closed.add_done_callback(lambda _: self._sessions.discard(session))
        keeper = LegKeeper(
            self._context,
            self._network,
            self._circuits,
            session,
            callee_hops=callee_hops,
        )
        keeper.start(circuit)
        return EstablishedCall(session, keeper, point)


async def _unless(
    joining: Coroutine[None, None, bytes], agreeing: Coroutine[None, None, _Agreed]
) -> _Agreed:
    """Agree on keys behind JOIN, without waiting for its answer, unless that is no."""
    tasks = asyncio.create_task(joining), asyncio.create_task(agreeing)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[1].done():
            tasks[0].result()
        return await tasks[1]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _hops(ring: Ring) -> int | None:
    return TICKET_HOPS if ring.contact is not None else None
