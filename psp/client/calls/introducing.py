"""One introduction: a circuit to a presence point, and what it says.

::

    circuit to C, INTRODUCE(sealed) --> DELIVERED: the callee's app lets it ring
                                    --> WORK_NEEDED: prove it, and once more
                                    --> anything else: try another point
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from psp.client.calls.working import MAX_WILLING_EFFORT, prove
from psp.client.circuit import Circuit
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.client.errors import (
    BusyError,
    CallRefusedError,
    UnreachableError,
    UserOfflineError,
)
from psp.crypto.session import CallerSigner, SessionInitiator, SessionKeys
from psp.errors import HandshakeError, LocalProtocolError
from psp.ids import Cookie, NodeId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.introduction import Introduction, seal_introduction
from psp.netdoc.presence_inner import Presence
from psp.netdoc.ticket import NO_TICKET, make_ticket
from psp.path.selection import Purpose
from psp.units import UnixTime
from psp.wire.presence import (
    IntroduceRequest,
    IntroductionAnswer,
    IntroductionStatus,
)
from psp.wire.relay_message import RelayCommand

WorkListener = Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class Caller:
    """What a call has in common at all presence points.

    Attributes:
        context: What the client shares.
        circuits: Builds.
        card: Whom to call.
        signer: Signs for us; None calls anonymously, and shows no ticket either.
        cookie: Of the meeting.
        expiry: Of all its introductions.
        on_work: Told how many bits of work are wanted, and what part of the expected
            tries is done.
    """

    context: ClientContext
    circuits: CircuitBuilder
    card: ContactCard
    signer: CallerSigner | None
    cookie: Cookie
    expiry: UnixTime
    on_work: WorkListener = lambda _effort, _part: None

    def initiator(self, point: Presence) -> SessionInitiator:
        """Begin a handshake under the contact key that is known at one point."""
        return SessionInitiator(
            network=self.card.network.encode(),
            cookie=self.cookie,
            callee=self.card.identity,
            contact_key=point.place.contact_key,
            caller=self.signer,
            entropy=self.context.entropy,
        )


class Initiators:
    """The handshakes of one call, of which the callee answers one.

    Has the methods of `SessionInitiator`.
    """

    def __init__(self) -> None:
        self._begun: list[tuple[SessionInitiator, NodeId]] = []
        self._chosen: tuple[SessionInitiator, NodeId] | None = None

    def add(self, initiator: SessionInitiator, point: NodeId) -> None:
        """Be ready for an answer to one more introduction."""
        self._begun.append((initiator, point))

    def read_2(self, message: bytes) -> None:
        """Take the callee's answer.

        Raises:
            HandshakeError: If it answers none of them; another may still be read.
        """
        for initiator, point in self._begun:
            try:
                initiator.read_2(message)
            except HandshakeError:
                continue
            self._chosen = initiator, point
            return
        raise HandshakeError("message 2 answers no introduction of this call")

    def write_3(self) -> bytes:
        """Return message 3; the keys exist then."""
        return self._answered()[0].write_3()

    @property
    def keys(self) -> SessionKeys:
        """The session's keys, after `write_3`."""
        return self._answered()[0].keys

    @property
    def presence_point(self) -> NodeId:
        """Over which point the callee was reached, after `read_2`."""
        return self._answered()[1]

    def _answered(self) -> tuple[SessionInitiator, NodeId]:
        if self._chosen is None:
            raise LocalProtocolError("the callee has not answered")
        return self._chosen


class Introducing:
    """One try at one presence point.

    Attributes:
        point: Which.
    """

    def __init__(
        self,
        caller: Caller,
        point: Presence,
        initiators: Initiators,
        avoid: Collection[NodeId] = (),
    ) -> None:
        """Be ready to try.

        Args:
            caller: Who calls whom.
            point: Where.
            initiators: Gets the handshake of this try.
            avoid: The callee's other points: one that is silent must not be on the way.
        """
        self.point = point
        self._avoid = avoid
        self._caller = caller
        self._initiators = initiators

    async def run(self, meeting: "asyncio.Task[Circuit]") -> None:
        """Return when the callee's app lets it ring.

        Args:
            meeting: The circuit to the rendezvous, which waits there.

        Raises:
            CallError: What the point said instead.
            CircuitError: If it, or the rendezvous, is not to be reached.
            RequestError: If it does not answer.
        """
        initiator = self._caller.initiator(self.point)
        self._initiators.add(initiator, self.point.place.node_id)
        circuit = await self._caller.circuits.open(
            Purpose.INTRODUCTION, last=self.point.place.node_id, avoid=self._avoid
        )
        try:
            waiting = await asyncio.shield(meeting)
            plain = self._introduction(waiting, initiator.message_1)
            answer = await self._ask(circuit, plain)
            if answer.status is IntroductionStatus.WORK_NEEDED:
                worked = await self._work(plain, answer.effort)
                answer = await self._ask(circuit, worked)
        finally:
            circuit.close()
        self._judge(answer.status)

    def _introduction(self, meeting: Circuit, message_1: bytes) -> Introduction:
        caller, rendezvous = self._caller, meeting.path[-1]
        plain = Introduction(
            expiry=caller.expiry,
            rendezvous=rendezvous.node_id,
            endpoint=rendezvous.endpoints[0],
            cookie=caller.cookie,
            ticket=NO_TICKET,
            noise_message=message_1,
        )
        key = caller.card.ticket_key
        if not key or caller.signer is None:
            return plain
        scope = plain.scope(
            caller.card.network, caller.card.identity, self.point.place.node_id
        )
        return replace(plain, ticket=make_ticket(key, scope, caller.context.entropy))

    async def _ask(self, circuit: Circuit, plain: Introduction) -> IntroductionAnswer:
        place = self.point.place
        sealed = seal_introduction(
            plain,
            place.contact_key,
            network=self._caller.card.network,
            presence_point=place.node_id,
        )
        request = IntroduceRequest(place.tag, sealed).encode()
        answer = await circuit.request(RelayCommand.INTRODUCE, request)
        return IntroductionAnswer.decode(answer)

    async def _work(self, plain: Introduction, effort: int) -> Introduction:
        if effort > MAX_WILLING_EFFORT:
            raise BusyError(f"the callee wants {effort} bits of work from strangers")
        challenge = plain.work_challenge(self.point.place.contact_key)
        on_work = self._caller.on_work
        nonce = await prove(
            challenge,
            effort,
            self._caller.context.entropy,
            lambda part: on_work(effort, part),
        )
        return replace(plain, effort=effort, work_nonce=nonce)

    @staticmethod
    def _judge(status: IntroductionStatus) -> None:
        match status:
            case IntroductionStatus.DELIVERED:
                return
            case IntroductionStatus.ABSENT:
                raise UserOfflineError("the user has signed off")
            case IntroductionStatus.REFUSED:
                raise CallRefusedError("introduction refused")
            case IntroductionStatus.BUSY | IntroductionStatus.WORK_NEEDED:
                raise BusyError("the user is busy")
            case IntroductionStatus.NO_SUCH_TAG:
                raise UnreachableError("no such tag")
