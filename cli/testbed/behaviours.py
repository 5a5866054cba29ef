"""Relays that misbehave, as replicas of records and as gateways of look-ups.

They are in league: what one has seen of a user's past, all may show. They keep within
the wire format where that helps them to be believed.
"""

import asyncio
import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from presence.dht.messages import (
    ANSWER_NODES,
    Nodes,
    Store,
    Stored,
    Value,
    decode_answer,
    decode_request,
    encode,
)
from presence.dht.protocol import DHT_SERVICE
from presence.record_store import RecordStore
from psp.directory.dht_id import dht_id
from psp.entropy import Entropy
from psp.errors import DecodeError
from psp.ids import NodeId
from psp.netdoc.presence_record import RECORD_SIZE, OuterRecord
from psp.runtime.ports import CircuitHandler, CircuitPeer, LinkHandler, RefusedError
from psp.wire.cell import Reason
from psp.wire.presence import Found, FoundState, LookupRequest
from psp.wire.relay_message import RelayCommand

if TYPE_CHECKING:
    from cli.assembly import RelayNode

STALL = 20.0
"""Seconds: longer than anybody waits."""


class Behaviour(enum.StrEnum):
    """What a bad relay does.

    Attributes:
        GARBAGE: It gives random bytes for a record, and every other time for an answer.
        STALE: It shows the oldest record that is still valid, and takes no newer one.
        REFUSE: It answers nothing, and refuses look-ups at once.
        LIE: It says that there is nothing, and names others of the league only.
        WITHHOLD: It tells of the newest record and does not give it.
        STALL: It takes look-ups and never answers.
    """

    GARBAGE = "garbage"
    STALE = "stale"
    REFUSE = "refuse"
    LIE = "lie"
    WITHHOLD = "withhold"
    STALL = "stall"


class League:
    """What bad relays share.

    Attributes:
        members: Their node ids.
        past: The oldest record known, by location and slot.
    """

    def __init__(self) -> None:
        self.members: set[NodeId] = set()
        self.past: dict[bytes, dict[int, OuterRecord]] = {}

    def remember(self, records: Iterable[OuterRecord]) -> None:
        """Keep the oldest of each slot."""
        for record in records:
            slots = self.past.setdefault(record.location, {})
            known = slots.setdefault(record.head.slot, record)
            if record.head.sequence < known.head.sequence:
                slots[record.head.slot] = record

    def oldest(self, location: bytes, unix_now: float) -> list[OuterRecord]:
        """Return the oldest record of each slot that is still valid, newest first."""
        slots = self.past.get(location, {}).values()
        living = [record for record in slots if record.head.expires > unix_now]
        return sorted(living, key=lambda each: each.head.sequence, reverse=True)


class PastStore(RecordStore):
    """A record store that lives in the past: what it had is what it shows."""

    def __init__(self, records: RecordStore, league: League, *, is_empty: bool) -> None:
        vars(self).update(vars(records))  # the same records, seen in another way
        self._records = records
        self._league = league
        self._is_empty = is_empty

    def put(self, *args: object, **settings: object) -> None:
        """Say yes, and keep what there was."""

    def held(self, location: bytes, unix_now: float) -> list[OuterRecord]:
        """Return the oldest records that anybody in the league knows."""
        if self._is_empty:
            return []
        self._league.remember(self._records.held(location, unix_now))
        return self._league.oldest(location, unix_now)

    def newest(
        self, location: bytes, slot: int | None, unix_now: float
    ) -> OuterRecord | None:
        """Return one of them."""
        held = self.held(location, unix_now)
        return next((r for r in held if slot in {None, r.head.slot}), None)


class BadRelay:
    """One relay of the league; `reform` gives it back as it was."""

    def __init__(
        self, node: "RelayNode", behaviour: Behaviour, league: League, entropy: Entropy
    ) -> None:
        """Take hold of a running relay; `corrupt` begins."""
        self.behaviour = behaviour
        self._node = node
        self._league = league
        self._entropy = entropy
        self._answers = 0
        protocol = node.presence.dht.protocol
        self._records = protocol._records  # noqa: SLF001 - an attacker owns its node
        self._replica: LinkHandler = protocol.answer
        gateway = node.relay.circuits.handler(RelayCommand.LOOKUP)
        if gateway is None:
            raise ValueError("this relay does not serve look-ups yet")
        self._gateway: CircuitHandler = gateway

    def corrupt(self, *, replica: bool, gateway: bool) -> None:
        """Begin to misbehave."""
        self._league.members.add(self._node.node_id)
        if replica:
            if self.behaviour in {Behaviour.STALE, Behaviour.LIE}:
                is_empty = self.behaviour is Behaviour.LIE
                store = PastStore(self._records, self._league, is_empty=is_empty)
                self._node.presence.dht.protocol._records = store  # noqa: SLF001
            self._node.relay.links.serve(DHT_SERVICE, self._on_dht)
        if gateway:
            self._node.relay.circuits.serve(RelayCommand.LOOKUP, self._on_lookup)

    def reform(self) -> None:
        """Be honest again."""
        self._league.members.discard(self._node.node_id)
        self._node.presence.dht.protocol._records = self._records  # noqa: SLF001
        self._node.relay.links.serve(DHT_SERVICE, self._replica)
        self._node.relay.circuits.serve(RelayCommand.LOOKUP, self._gateway)

    # ---- as a replica

    async def _on_dht(self, peer: NodeId, data: bytes) -> bytes | None:
        if self.behaviour in {Behaviour.REFUSE, Behaviour.STALL}:
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
        return self._twist(answer)

    def _twist(self, data: bytes) -> bytes:
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
            case _:
                pass
        return encode(answer)

    def _fellows(self) -> tuple[bytes, ...]:
        network = self._node.registry.network
        ids = [dht_id(each, network) for each in sorted(self._league.members)]
        return tuple(ids[:ANSWER_NODES])

    # ---- as a gateway

    async def _on_lookup(self, peer: CircuitPeer, data: bytes) -> bytes:
        if self.behaviour is Behaviour.REFUSE:
            raise RefusedError(Reason.REFUSED)
        if self.behaviour is Behaviour.STALL:
            await asyncio.sleep(STALL)
            raise RefusedError(Reason.REFUSED)
        answer = Found.decode(await self._gateway(peer, data))
        request = LookupRequest.decode(data)
        return self._falsify(request, answer).encode()

    def _falsify(self, request: LookupRequest, honest: Found) -> Found:
        match self.behaviour:
            case Behaviour.GARBAGE:
                return Found(FoundState.RECORD, self._entropy.token(RECORD_SIZE))
            case Behaviour.STALE:
                now = self._node.presence._unix_time()  # noqa: SLF001
                held = self._league.oldest(request.location, now)
                if not held:
                    return honest
                return Found(FoundState.RECORD, held[0].raw)
            case Behaviour.WITHHOLD:
                return Found(FoundState.COULD_NOT_ASK)
            case _:
                return Found(FoundState.NO_RECORD)
