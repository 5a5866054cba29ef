"""One relay that misbehaves: what it does to requests of relays and of users.

It is a real relay with two of its handlers replaced, and keeps within the wire format
where that helps it to be believed.
"""

import asyncio
from typing import Protocol

import msgspec

from cli.testbed.behaviours import (
    Behaviour,
    League,
    PastStore,
    boasting,
    sequences_of,
)
from presence.dht.messages import (
    ANSWER_NODES,
    FindValue,
    Nodes,
    Request,
    Store,
    Stored,
    Value,
    decode_answer,
    decode_request,
    encode,
)
from presence.dht.protocol import DHT_SERVICE
from presence.service import PresenceService
from psp.directory.dht_id import dht_id
from psp.entropy import Entropy
from psp.errors import DecodeError
from psp.ids import NodeId
from psp.netdoc.presence_record import RECORD_SIZE
from psp.netdoc.voice import VOICE_SIZE, VOICE_SLOTS, Question, Voice
from psp.runtime.ports import (
    CircuitHandler,
    CircuitPeer,
    LinkHandler,
    LinkPort,
    RefusedError,
)
from psp.wire.cell import Reason
from psp.wire.lookup import MAX_VOICES, Found, FoundState, LookupRequest
from psp.wire.relay_message import RelayCommand

STALL = 20.0
"""Seconds: longer than anybody waits."""


class CircuitServer(Protocol):
    """Where a relay says who answers requests over circuits."""

    def serve(self, command: RelayCommand, handler: CircuitHandler) -> None:
        """Call ``handler`` for every request of this command."""

    def handler(self, command: RelayCommand) -> CircuitHandler | None:
        """Return who serves a command, or None."""
        ...


class BadRelay:
    """One relay of the league; `reform` gives it back as it was."""

    def __init__(
        self,
        presence: PresenceService,
        circuits: CircuitServer,
        links: LinkPort,
        *,
        behaviour: Behaviour,
        league: League,
        entropy: Entropy,
    ) -> None:
        """Take hold of a running relay; `corrupt` begins.

        Args:
            presence: Its presence service, already started.
            circuits: Where it serves look-ups.
            links: Where it serves the DHT.
            behaviour: How it will behave.
            league: Whom it will be in league with.
            entropy: For garbage.
        """
        self.behaviour = behaviour
        self._circuits = circuits
        self._links = links
        self._league = league
        self._entropy = entropy
        self._answers = 0
        self._unix_time = presence._unix_time  # noqa: SLF001 - it owns its node
        self._key = presence._identity  # noqa: SLF001
        self._network = presence._registry.network  # noqa: SLF001
        self._protocol = presence.dht.protocol
        self._records = self._protocol._records  # noqa: SLF001
        self._replica: LinkHandler = self._protocol.answer
        gateway = circuits.handler(RelayCommand.LOOKUP)
        if gateway is None:
            raise ValueError("this relay does not serve look-ups yet")
        self._gateway: CircuitHandler = gateway

    @property
    def node_id(self) -> NodeId:
        """Which relay it is."""
        return NodeId(self._key.public)

    def corrupt(self, *, replica: bool = True, gateway: bool = True) -> None:
        """Begin to misbehave."""
        self._league.members[self.node_id] = self._key
        if replica:
            if self.behaviour in {Behaviour.STALE, Behaviour.LIE}:
                is_empty = self.behaviour is Behaviour.LIE
                store = PastStore(self._records, self._league, is_empty=is_empty)
                self._protocol._records = store  # noqa: SLF001
            self._links.serve(DHT_SERVICE, self._on_dht)
        if gateway:
            self._circuits.serve(RelayCommand.LOOKUP, self._on_lookup)

    def reform(self) -> None:
        """Be honest again."""
        self._league.members.pop(self.node_id, None)
        self._protocol._records = self._records  # noqa: SLF001
        self._links.serve(DHT_SERVICE, self._replica)
        self._circuits.serve(RelayCommand.LOOKUP, self._gateway)

    # ---- as a replica

    async def _on_dht(self, peer: NodeId, data: bytes) -> bytes | None:
        if self.behaviour is Behaviour.REFUSE:
            return None
        if self.behaviour is Behaviour.STALL:
            await asyncio.sleep(STALL)
            return None
        try:
            request = decode_request(data)
        except DecodeError:
            return None
        if isinstance(request, Store) and self.behaviour is Behaviour.GARBAGE:
            return encode(Stored(""))
        answer = await self._replica(peer, data)
        if answer is None or self.behaviour is Behaviour.STALE:
            return answer
        return self._twist(request, answer)

    def _twist(self, request: Request, data: bytes) -> bytes:
        answer = decode_answer(data)
        match self.behaviour:
            case Behaviour.GARBAGE:
                self._answers += 1
                if self._answers % 2:
                    return self._entropy.token(300)
                if isinstance(answer, Value):
                    garbage = self._entropy.token(RECORD_SIZE)
                    answer = msgspec.structs.replace(answer, record=garbage)
            case Behaviour.LIE:
                if isinstance(answer, Value | Nodes):
                    answer = msgspec.structs.replace(answer, nodes=self._fellows())
            case Behaviour.WITHHOLD if isinstance(answer, Value):
                answer = msgspec.structs.replace(answer, record=None)
            case Behaviour.BOAST if isinstance(answer, Value):
                if isinstance(request, FindValue):
                    answer = self._boast(request, answer)
            case _:
                pass
        return encode(answer)

    def _boast(self, request: FindValue, honest: Value) -> Value:
        held = dict(honest.held)
        claimed = boasting([held.get(slot, 0) for slot in range(VOICE_SLOTS)])
        question = Question(self._network, request.location, request.nonce)
        voice = Voice.of(self._key, question, self._unix_time(), claimed)
        return msgspec.structs.replace(
            honest,
            record=None,
            held=tuple((slot, claimed[slot]) for slot in held),
            time=voice.time,
            signature=voice.signature,
        )

    def _fellows(self) -> tuple[bytes, ...]:
        ids = [dht_id(each, self._network) for each in self._league.members]
        return tuple(ids[:ANSWER_NODES])

    # ---- as a gateway

    async def _on_lookup(self, peer: CircuitPeer, data: bytes) -> bytes:
        if self.behaviour is Behaviour.REFUSE:
            raise RefusedError(Reason.REFUSED)
        if self.behaviour is Behaviour.STALL:
            await asyncio.sleep(STALL)
            raise RefusedError(Reason.REFUSED)
        honest = Found.decode(await self._gateway(peer, data))
        return self._falsify(LookupRequest.decode(data), honest).encode()

    def _falsify(self, request: LookupRequest, honest: Found) -> Found:
        league, now = self._league, self._unix_time()
        question = Question(self._network, request.location, request.nonce)
        match self.behaviour:
            case Behaviour.GARBAGE:
                voices = tuple(
                    self._entropy.token(VOICE_SIZE) for _ in range(MAX_VOICES)
                )
                record = self._entropy.token(RECORD_SIZE)
                return Found(FoundState.RECORD, record, voices)
            case Behaviour.STALE:
                held = league.oldest(request.location, now)
                if not held:
                    return honest
                forged = league.voices(question, now, sequences_of(held))
                return Found(FoundState.RECORD, held[0].raw, tuple(forged))
            case Behaviour.WITHHOLD:
                return Found(FoundState.COULD_NOT_ASK, voices=honest.voices)
            case Behaviour.BOAST:
                claimed = boasting([int(now * 1_000)] * VOICE_SLOTS)
                forged = league.voices(question, now, claimed)
                voices = tuple([*forged, *honest.voices][:MAX_VOICES])
                return Found(honest.state, honest.record, voices)
            case _:
                forged = league.voices(question, now, [0] * VOICE_SLOTS)
                return Found(FoundState.NO_RECORD, voices=tuple(forged))
