"""Looking a user up: over one-off circuits, believing nobody.

Two circuits end at two different discovery nodes. Each brings a record, and voices: what
single replicas say under their signatures that they hold. When enough voices say that
there is nothing newer than what we have in hand, that is the answer; until then further
gateways are asked, up to five, and in the end the newest valid record counts
(`psp.client.lookups.evidence`). The answer tells *online*, *offline* and *unknown* apart,
because "nobody told me" is not "she is not there". Nothing of it names the asker: a
gateway sees a location of this day, and a nonce that was drawn for this circuit and it.
"""

import asyncio
from collections.abc import Coroutine, Iterable

from psp.client.circuit import Circuit
from psp.client.circuits import RegistryExpiredError
from psp.client.context import ClientContext
from psp.client.directory import Directory
from psp.client.errors import ClockError, WrongNetworkError
from psp.client.lookups.clock_check import check_registry
from psp.client.lookups.evidence import Evidence
from psp.client.lookups.lookup_result import LookupResult, LookupStats, PresenceState
from psp.client.lookups.replicas import ReplicaFinder
from psp.client.lookups.spare_circuits import SpareCircuits
from psp.directory.trusted import CLOCK_TOLERANCE
from psp.errors import PspError
from psp.ids import NodeId, UserId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.presence_inner import Presence, read_records
from psp.netdoc.presence_record import STATUS_SLOT, locations_at
from psp.netdoc.presence_status import Status, read_status
from psp.netdoc.voice import VOICE_SLOTS, Question
from psp.units import Seconds, UnixTime
from psp.wire.lookup import ANY_SLOT, LOOKUP_NONCE_SIZE, Found, LookupRequest
from psp.wire.relay_message import RelayCommand

__all__ = ["Lookup", "LookupResult", "LookupStats", "PresenceState"]

FIRST_GATEWAYS = 2
MAX_GATEWAYS = 5
MAX_FAILED = 5
"""Gateways that may fail besides: with a third of them dead, five would all be dead once
in 800 look-ups, ten never."""
MAX_REMEMBERED = 4096
"""Users whose highest sequence is remembered; the oldest is forgotten first."""
HEDGE_AFTER = Seconds(1.5)
"""A gateway that has not answered by then gets company: its circuit may lead through a
relay that is gone, and finding that out takes longer."""
SECOND_OPINION = Seconds(0.4)
"""How long a first answer that is good enough waits for the other gateway's: both must
lie to deceive us."""


class Lookup:
    """Looks users up.

    Attributes:
        highest: By user and slot, the highest sequence seen, so that nobody can show
            the past.
        stats: What happened since the start.
    """

    def __init__(
        self, context: ClientContext, spares: SpareCircuits, directory: Directory
    ) -> None:
        self._context = context
        self._spares = spares
        self._directory = directory
        self._replicas = ReplicaFinder(context.registry)
        self.highest: dict[UserId, dict[int, int]] = {}
        self.stats = LookupStats()

    async def find(self, card: ContactCard) -> LookupResult:
        """Look a user up.

        Raises:
            WrongNetworkError: If the card is of another network.
            ClockError: If our clock is so wrong that nothing can be said.
            RegistryExpiredError: If nobody vouches for the relays any more.
        """
        context, registry = self._context, self._context.registry
        if card.network != registry.network:
            raise WrongNetworkError("the contact card is of another network")
        now = context.unix_time()
        self._check_clock(now)
        places = locations_at(card.credential, now, registry.random_value)
        if not places:
            # Without the day's random value there is nothing to ask for.
            return LookupResult(PresenceState.UNKNOWN, (), 0)
        evidence = Evidence(
            {where: self._replicas.at(where, now) for where in places.values()},
            registry.random_value,
        )
        await _Inquiry(self, card, list(places.values()), evidence).run()
        return self._conclude(card, evidence)

    # ---- one gateway

    def pick_gateway(self, besides: list[NodeId]) -> NodeId | None:
        """Return whom to ask next, if anybody."""
        return self._spares.pick(besides)

    @property
    def is_pacing(self) -> bool:
        """Whether circuits wait for their turn, so that nobody may be called slow."""
        return self._spares.is_pacing

    async def ask(
        self, gateway: NodeId, locations: Iterable[bytes], evidence: Evidence
    ) -> bool:
        """Ask one gateway for everything, take in what it says; tell whether it could."""
        self.stats.gateways_asked += 1
        circuit: Circuit | None = None
        try:
            circuit = await self._spares.open(gateway)
            await self._ask_over(circuit, gateway, locations, evidence)
        except PspError as error:
            self._context.log.info("lookup_failed", error=str(error))
            self._directory.record(gateway, is_good=False)
            return False
        else:
            return True
        finally:
            if circuit is not None:
                circuit.close()

    async def _ask_over(
        self,
        circuit: Circuit,
        gateway: NodeId,
        locations: Iterable[bytes],
        evidence: Evidence,
    ) -> None:
        network = self._context.registry.network
        # Replicas see nonces: one for two days would tell them who is the same user.
        token = self._context.entropy.token
        questions = [
            Question(network, where, token(LOOKUP_NONCE_SIZE)) for where in locations
        ]

        async def ask(question: Question, slot: int) -> None:
            request = LookupRequest(question.location, slot, question.nonce).encode()
            answer = await circuit.request(RelayCommand.LOOKUP, request)
            now = self._context.unix_time()
            evidence.add(gateway, question, slot, Found.decode(answer), now)

        # All at once: the gateway makes one search of it, and a call saves a round trip.
        slots = (ANY_SLOT, *range(VOICE_SLOTS))
        await _all(ask(question, slot) for question in questions for slot in slots)

    # ---- the answer

    def is_found(self, card: ContactCard, evidence: Evidence) -> bool:
        """Tell whether anything in hand says where the user is, or that they are not."""
        floors = self.highest.get(card.identity, {})
        return evidence.is_somewhere(self._context.unix_time(), floors)

    def _check_clock(self, now: float) -> None:
        registry = self._context.registry
        try:
            check_registry(registry, now)
        except ClockError:
            self.stats.clock_off += 1
            raise
        if now >= registry.expires + CLOCK_TOLERANCE:
            raise RegistryExpiredError(
                "the registry has expired, or this host's clock is fast"
            )

    def _conclude(self, card: ContactCard, evidence: Evidence) -> LookupResult:
        bad = evidence.bad_gateways(self._context.unix_time())
        for gateway in evidence.answered:
            self._directory.record(gateway, is_good=gateway not in bad)
        if bad:
            self.stats.gateways_blamed += len(bad)
            self._context.log.info("gateways_blamed", count=len(bad))
        try:
            evidence.check_clock()
        except ClockError:
            self.stats.clock_off += 1
            raise
        result = self._judge(card, evidence)
        self.stats.made += 1
        self.stats.confirmed += result.is_confirmed
        return result

    def _judge(self, card: ContactCard, evidence: Evidence) -> LookupResult:
        found, status = self._read(card, evidence), self._read_status(card, evidence)
        self._remember(card.identity, found, status)
        points = tuple(presence for presence in found if not presence.is_absence)
        is_confirmed = bool(found) and evidence.is_sure()
        mailboxes: tuple[Presence, ...] = ()
        if found and found[0].is_absence:
            state, points = PresenceState.OFFLINE, ()
            mailboxes = tuple(each for each in found if each.is_absence)
        elif points:
            state = PresenceState.ONLINE
        elif evidence.is_absent():
            state, is_confirmed = PresenceState.OFFLINE, True
        else:
            state = PresenceState.UNKNOWN
        if status is None or state is not PresenceState.ONLINE:
            status = Status()
        return LookupResult(
            state,
            points,
            evidence.gateways,
            mailboxes=mailboxes,
            status=status.text,
            capabilities=status.capabilities,
            status_sequence=status.sequence,
            issued=max((each.head.issued for each in found), default=UnixTime(0)),
            is_confirmed=is_confirmed,
        )

    def _read(self, card: ContactCard, evidence: Evidence) -> list[Presence]:
        registry = self._context.registry
        return read_records(
            evidence.records,
            credential=card.credential,
            network=registry.network,
            random_value=registry.random_value,
            unix_now=self._context.unix_time(),
            is_relay=lambda node: registry.node(node) is not None,
            floors=self.highest.get(card.identity, {}),
        )

    def _read_status(self, card: ContactCard, evidence: Evidence) -> Status | None:
        if not evidence.has_slot(STATUS_SLOT):
            return None
        return read_status(
            evidence.records,
            credential=card.credential,
            network=self._context.registry.network,
            random_value=self._context.registry.random_value,
            unix_now=self._context.unix_time(),
            floor=self.highest.get(card.identity, {}).get(STATUS_SLOT, 0),
        )

    def _remember(
        self, user: UserId, found: list[Presence], status: Status | None
    ) -> None:
        """Keep the highest sequence of each slot: older records are a rollback."""
        newest = {each.head.slot: each.head.sequence for each in found}
        if status is not None:
            newest[STATUS_SLOT] = status.sequence
        if newest:
            self.highest[user] = self.highest.pop(user, {}) | newest
            while len(self.highest) > MAX_REMEMBERED:
                del self.highest[next(iter(self.highest))]


class _Inquiry:
    """Asks gateways until the evidence is enough."""

    def __init__(
        self,
        lookup: Lookup,
        card: ContactCard,
        locations: list[bytes],
        evidence: Evidence,
    ) -> None:
        self._lookup = lookup
        self._card = card
        self._locations = locations
        self._evidence = evidence
        self._asked: list[NodeId] = []
        self._asking: set[asyncio.Task[bool]] = set()
        self._failed = 0

    async def run(self) -> None:
        """Ask, and return when it is enough, or when everybody has been asked."""
        try:
            self._ask_more(FIRST_GATEWAYS)
            while self._asking:
                is_enough = self._is_enough()
                if is_enough and self._evidence.gateways >= FIRST_GATEWAYS:
                    return
                done, _ = await asyncio.wait(
                    self._asking,
                    timeout=SECOND_OPINION if is_enough else HEDGE_AFTER,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not done and self._lookup.is_pacing:
                    continue  # the other gateway has not even been asked
                if is_enough and not done:
                    return
                self._asking -= done
                failed = sum(not task.result() for task in done)
                self._failed += failed
                if failed or not done:
                    self._ask_more(max(failed, 1))
                elif not self._asking and not self._is_enough():
                    self._ask_more(1)
        finally:
            for task in self._asking:
                task.cancel()
            await asyncio.gather(*self._asking, return_exceptions=True)

    def _is_enough(self) -> bool:
        evidence = self._evidence
        if not evidence.gateways:
            return False
        return evidence.is_absent() or (
            evidence.is_sure() and self._lookup.is_found(self._card, evidence)
        )

    def _ask_more(self, count: int) -> None:
        most = MAX_GATEWAYS + min(self._failed, MAX_FAILED)
        for _ in range(min(count, most - len(self._asked))):
            gateway = self._lookup.pick_gateway(self._asked)
            if gateway is None:
                return
            self._asked.append(gateway)
            asking = self._lookup.ask(gateway, self._locations, self._evidence)
            self._asking.add(asyncio.create_task(asking))


async def _all(asking: Iterable[Coroutine[None, None, None]]) -> None:
    await asyncio.gather(*asking)
