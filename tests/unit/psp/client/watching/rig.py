"""A world in which watchers watch: points, watch points and look-ups in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from psp.client.circuit import RequestError
from psp.client.lookups.lookup import LookupResult, PresenceState
from psp.client.watching.presence_event import PresenceEvent, WatchReason
from psp.client.watching.presence_watch import PresenceWatch
from psp.client.watching.watch_config import WatcherConfig
from psp.client.watching.watcher import Watcher
from psp.crypto.keys import SigningKey
from psp.errors import PspError
from psp.ids import NodeId, UserId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.presence_inner import Place, Presence
from psp.netdoc.presence_record import RecordHead
from psp.netdoc.watch_handle import seal_change
from psp.path.selection import Purpose
from psp.testing.client_circuits import (
    MemoryBuilder,
    MemoryClientCircuit,
    client_context,
)
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import MemoryRegistry
from psp.testing.simloop import run_simulation
from psp.units import UnixTime
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint
from psp.wire.relay_message import RelayCommand
from psp.wire.watch import (
    Change,
    ChangeMessage,
    Held,
    HoldRequest,
    Watched,
    WatchRequest,
    WatchStatus,
)

ONLINE, OFFLINE, UNKNOWN = PresenceState
ENDPOINT = (Endpoint("192.0.2.1", 443),)


def tag_of(identity: bytes) -> bytes:
    return identity[16:]


class World:
    """Relays, and contacts who are on line at the first of them."""

    def __init__(self, hub, config: WatcherConfig | None = None) -> None:
        entropy = SeededEntropy("watch")
        keys = [SigningKey.generate(entropy) for _ in range(5)]
        self.relays = [NodeId(key.public) for key in keys]
        self.registry = MemoryRegistry(self.relays, self.relays[:1])
        self.builder = MemoryBuilder(self.registry, self._answer)
        self.context = client_context(hub, self.registry)
        self.found: dict[UserId, LookupResult] = {}
        self.errors: dict[UserId, PspError] = {}
        self.looks: list[UserId] = []
        self.looked = asyncio.Event()
        self.handles: dict[bytes, WatchRequest] = {}
        self.lies: list[WatchRequest] = []
        self.full: set[NodeId] = set()
        self.sequence = 100
        self.watcher = Watcher(
            self.context, self.builder.as_builder(), self.look_up, config
        )

    def card(self, number: int = 1) -> ContactCard:
        card = ContactCard(self.registry.network, UserId(number.to_bytes(32)))
        self.found.setdefault(card.identity, self.online(card))
        return card

    def online(self, card: ContactCard, status="") -> LookupResult:
        return self.result(ONLINE, card, status, ENDPOINT)

    def offline(self, card: ContactCard) -> LookupResult:
        return self.result(OFFLINE, card, "", ())

    def result(self, state, card, status, endpoints) -> LookupResult:
        self.sequence += 1
        keys = (bytes(32), bytes(32), bytes(64))
        head = RecordHead(0, 20_000, *keys, self.sequence, UnixTime(0), 1_800)
        place = Place(self.relays[0], bytes(32), tag_of(card.identity), endpoints)
        there = (Presence(head, place),)
        points, mailboxes = (there, ()) if endpoints else ((), there)
        return LookupResult(state, points, 2, mailboxes=mailboxes, status=status)

    async def look_up(self, card: ContactCard) -> LookupResult:
        self.looks.append(card.identity)
        self.looked.set()
        await asyncio.sleep(0.1)
        if card.identity in self.errors:
            raise self.errors[card.identity]
        return self.found[card.identity]

    async def _answer(
        self, circuit: MemoryClientCircuit, command: RelayCommand, data: bytes
    ) -> bytes:
        await asyncio.sleep(0.05)
        if command is RelayCommand.HOLD:
            if circuit.path[0].node_id in self.full:
                raise RequestError(command, Reason.RESOURCE_LIMIT)
            return Held(len(HoldRequest.decode(data).cookies)).encode()
        assert command is RelayCommand.WATCH
        assert circuit.purpose is Purpose.WATCH
        request = WatchRequest.decode(data)
        self.handles[request.tag] = request
        return Watched(WatchStatus.HERE).encode()

    def watch_points(self) -> list[MemoryClientCircuit]:
        return [
            circuit
            for circuit in self.builder.opened
            if circuit.purpose is Purpose.WATCH_POINT and circuit.is_open
        ]

    async def change(
        self, card: ContactCard, change: Change, found: LookupResult | None = None
    ) -> None:
        """Let a contact change, and its point tell of it."""
        if found is not None:
            self.found[card.identity] = found
        request = self.handles.pop(tag_of(card.identity))
        await self.tell(request, change)

    async def tell(self, request: WatchRequest, change: Change) -> None:
        sealed = seal_change(request.key, request.cookie, change, self.sequence)
        message = ChangeMessage(request.cookie, sealed).encode()
        for circuit in self.watch_points():
            if circuit.path[0].node_id == request.watch_point:
                await circuit.told(RelayCommand.CHANGED, message)


@dataclass
class App:
    """An app that reads events as they come."""

    watch: PresenceWatch
    events: list[PresenceEvent] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.task = asyncio.create_task(self.read())

    async def read(self) -> None:
        async with self.watch:
            async for event in self.watch:
                self.events.append(event)

    def told(self) -> list[tuple[PresenceState, WatchReason]]:
        return [(event.state, event.reason) for event in self.events]

    async def stop(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def in_simulation(main: Callable[[World], Awaitable[None]], config=None) -> None:
    async def run(hub):
        world = World(hub, config)
        await main(world)
        await world.watcher.close()
        await asyncio.sleep(1)  # for what the relays in memory still had to say
        assert not any(circuit.is_open for circuit in world.builder.opened)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_simulation(run)
