"""Looking a user up: over one-off circuits, believing nobody.

Two circuits end at two different discovery nodes, more (up to five) when no valid
record comes back. Every record is verified here; the answer tells *online*, *offline*
and *unknown* apart, because "nobody told me" is not "she is not there".
"""

import asyncio
import enum
from dataclasses import dataclass, field

from psp.client.circuit import Circuit
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.client.directory import Directory
from psp.errors import DecodeError, PspError
from psp.ids import NodeId, UserId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.presence_inner import Presence, read_records
from psp.netdoc.presence_record import (
    SLOTS,
    locations_at,
)
from psp.path.selection import Purpose
from psp.units import Seconds
from psp.wire.lookup import Found, FoundState, LookupRequest
from psp.wire.relay_message import RelayCommand

FIRST_GATEWAYS = 2
MAX_GATEWAYS = 5
ABSENT_ANSWERS = 5
"""Independent empty answers that together mean *offline* (R-DHT-2)."""
MAX_REMEMBERED = 4096
"""Users whose highest sequence is remembered; the oldest is forgotten first."""
HEDGE_AFTER = Seconds(1.5)
"""A gateway that has not answered by then gets company: its circuit may lead through a
relay that is gone, and finding that out takes longer."""
SECOND_OPINION = Seconds(0.4)
"""How long a valid first answer waits for the other gateway's, which may be newer."""


class PresenceState(enum.StrEnum):
    """What a look-up learnt."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What is known of a user's presence.

    Attributes:
        state: On line, off line, or not known.
        points: Where to introduce oneself, newest record first; empty unless on line.
        answers: How many gateways answered.
    """

    state: PresenceState
    points: tuple[Presence, ...]
    answers: int


@dataclass(slots=True)
class _Findings:
    records: set[bytes] = field(default_factory=set)
    has_valid: bool = False
    answers: int = 0
    empty: int = 0


class Lookup:
    """Looks users up.

    Attributes:
        highest: By user and slot, the highest sequence seen, so that nobody can show
            the past.
    """

    def __init__(
        self, context: ClientContext, circuits: CircuitBuilder, directory: Directory
    ) -> None:
        self._context = context
        self._directory = directory
        self._circuits = circuits
        self.highest: dict[UserId, dict[int, int]] = {}

    async def find(self, card: ContactCard) -> LookupResult:
        """Look a user up.

        Raises:
            DecodeError: If the card is of another network.
        """
        if card.network != self._context.registry.network:
            raise DecodeError("the contact card is of another network")
        findings = _Findings()
        asked: list[NodeId] = []
        asking: set[asyncio.Task[None]] = set()
        try:
            self._ask_more(FIRST_GATEWAYS, card, findings, asked, asking)
            while asking:
                done, _ = await asyncio.wait(
                    asking,
                    timeout=SECOND_OPINION if findings.has_valid else HEDGE_AFTER,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                asking -= done
                if findings.has_valid and not done:
                    break
                if not findings.has_valid:
                    self._ask_more(max(1, len(done)), card, findings, asked, asking)
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        return self._judge(card, findings)

    def _ask_more(
        self,
        count: int,
        card: ContactCard,
        findings: _Findings,
        asked: list[NodeId],
        asking: set[asyncio.Task[None]],
    ) -> None:
        """Ask further gateways beside those that have not answered yet."""
        count = min(count, MAX_GATEWAYS - len(asked))
        for gateway in self._directory.sources(count, asked):
            asked.append(gateway)
            asking.add(asyncio.create_task(self._ask(card, gateway, findings)))

    async def _ask(
        self, card: ContactCard, gateway: NodeId, findings: _Findings
    ) -> None:
        try:
            circuit = await self._circuits.open(Purpose.LOOKUP, last=gateway)
        except PspError as error:
            self._context.log.info("lookup_circuit_failed", error=str(error))
            self._directory.record(gateway, is_good=False)
            return
        try:
            await self._ask_over(circuit, card, findings)
            self._directory.record(gateway, is_good=True)
        except PspError as error:
            self._context.log.info("lookup_failed", error=str(error))
            self._directory.record(gateway, is_good=False)
        finally:
            circuit.close()

    async def _ask_over(
        self, circuit: Circuit, card: ContactCard, findings: _Findings
    ) -> None:
        registry = self._context.registry
        places = locations_at(
            card.credential, self._context.unix_time(), registry.random_value
        )
        nonce = self._context.entropy.token(16)
        requests = [
            circuit.request(
                RelayCommand.LOOKUP, LookupRequest(location, slot, nonce).encode()
            )
            for location in places.values()
            for slot in range(SLOTS)
        ]
        answers = [Found.decode(data) for data in await asyncio.gather(*requests)]
        findings.answers += 1
        # Without the day's random value there was nothing to ask for.
        if places and all(answer.state is FoundState.NO_RECORD for answer in answers):
            findings.empty += 1
        findings.records |= {
            answer.record for answer in answers if answer.state is FoundState.RECORD
        }
        findings.has_valid = bool(self._read(card, findings))

    def _read(self, card: ContactCard, findings: _Findings) -> list[Presence]:
        registry = self._context.registry
        return read_records(
            sorted(findings.records),
            credential=card.credential,
            network=registry.network,
            random_value=registry.random_value,
            unix_now=self._context.unix_time(),
            is_relay=lambda node: registry.node(node) is not None,
            floors=self.highest.get(card.identity, {}),
        )

    def _judge(self, card: ContactCard, findings: _Findings) -> LookupResult:
        found = self._read(card, findings)
        self._remember(card.identity, found)
        points = tuple(presence for presence in found if not presence.is_absence)
        if found and found[0].is_absence:
            state, points = PresenceState.OFFLINE, ()
        elif points:
            state = PresenceState.ONLINE
        elif findings.empty >= ABSENT_ANSWERS:
            state = PresenceState.OFFLINE
        else:
            state = PresenceState.UNKNOWN
        return LookupResult(state, points, findings.answers)

    def _remember(self, user: UserId, found: list[Presence]) -> None:
        """Keep the highest sequence of each slot: older records are a rollback."""
        if not found:
            return
        floors = self.highest.pop(user, {})
        for presence in found:
            floors[presence.head.slot] = presence.head.sequence
        self.highest[user] = floors
        while len(self.highest) > MAX_REMEMBERED:
            del self.highest[next(iter(self.highest))]
