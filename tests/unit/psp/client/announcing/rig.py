"""Alice, announced from noon on at presence points in memory."""

import asyncio
from collections.abc import Awaitable, Callable

from psp.client.announcing.announcer import Announcer
from psp.client.announcing.announcer_config import AnnouncerConfig
from psp.client.announcing.registration import PresenceRegistration
from psp.client.circuit import RequestError
from psp.client.identities.identity import ClientIdentity, Identity
from psp.crypto.blinding import Credential, blind_public
from psp.crypto.keys import SigningKey
from psp.ids import NodeId
from psp.netdoc.presence_inner import ONLINE_LIFETIME, Place
from psp.netdoc.presence_record import STATUS_SLOT, OuterRecord, parse
from psp.netdoc.presence_status import Status, open_status
from psp.netdoc.registration import Registration
from psp.testing.client_circuits import (
    MemoryBuilder,
    MemoryClientCircuit,
    client_context,
)
from psp.testing.clock import EPOCH
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from psp.testing.presence import MemoryRegistry, random_value
from psp.testing.simloop import run_simulation
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.presence import (
    IntroductionAnswer,
    IntroductionStatus,
    Published,
    Registered,
)
from psp.wire.relay_message import RelayCommand

NOON = EPOCH + 43_200
ALICE = ClientIdentity.generate(SeededEntropy("alice"))
ONE_SLOT = AnnouncerConfig(slots=1)


class Points:
    """Presence points that agree to everything, unless told otherwise."""

    def __init__(self, count: int) -> None:
        entropy = SeededEntropy("points")
        keys = [SigningKey.generate(entropy) for _ in range(count)]
        self.keys = {NodeId(key.public): key for key in keys}
        self.registry = MemoryRegistry(self.keys, list(self.keys)[:1])
        self.builder = MemoryBuilder(self.registry, self._answer)
        self.refusing: set[NodeId] = set()
        self.forging: set[NodeId] = set()
        self.forgetful: set[NodeId] = set()
        self.unknown_periods: set[int] = set()
        self.registrations: list[tuple[float, Registration]] = []
        self.records: list[OuterRecord] = []
        self.published: list[tuple[float, OuterRecord]] = []
        self.unix_time: Callable[[], float] = lambda: NOON

    async def _answer(
        self, circuit: MemoryClientCircuit, command: RelayCommand, data: bytes
    ) -> bytes:
        await asyncio.sleep(0.1)
        point = circuit.path[-1].node_id
        if point in self.refusing:
            raise RequestError(command, Reason.REFUSED)
        if command is RelayCommand.PUBLISH:
            record = parse(
                data,
                network=self.registry.network,
                random_value=random_value,
                unix_now=self.unix_time(),
            )
            self.records.append(record)
            self.published.append((self.unix_time(), record))
            is_kept = (
                point not in self.forgetful
                and record.head.period not in self.unknown_periods
            )
            return Published(8 if is_kept else 0).encode()
        asked = Registration.decode(data)
        asked.check_signatures(self.registry.network)
        assert asked.channel == circuit.handshake_hash
        self.registrations.append((self.unix_time(), asked))
        is_absence = asked.head.lifetime > ONLINE_LIFETIME
        endpoints = () if is_absence else circuit.path[-1].endpoints
        place = Place(point, asked.contact_key, asked.tag, endpoints)
        text = place.consent_text(self.registry.network, asked.head.encode())
        key = self.keys[point]
        return Registered(
            key.sign(b"other" if point in self.forging else text), endpoints
        ).encode()

    def statuses(self, credential: Credential = ALICE.credential) -> list[Status]:
        """Return what was said under a credential, the oldest first."""
        said = [r for r in self.records if r.head.slot == STATUS_SLOT]
        mine = [
            r for r in said if r.head.blinded == blind_public(credential, r.head.period)
        ]
        return [open_status(record, credential) for record in mine]

    def places(self) -> list[OuterRecord]:
        return [r for r in self.records if r.head.slot != STATUS_SLOT]

    def lives(self) -> list[int]:
        return [record.head.lifetime for record in self.records]


def announced(
    points: Points,
    then: Callable[[Announcer, SimHub], Awaitable[object]],
    config: AnnouncerConfig | None = None,
    identity: Identity | None = None,
):
    """Announce from noon on, and run ``then``."""

    async def main(hub: SimHub):
        await asyncio.sleep(43_200)
        points.unix_time = hub.unix_time
        context = client_context(hub, points.registry)
        announcer = Announcer(
            context,
            identity or ALICE,
            points.builder.as_builder(),
            busy,
            config,
        )
        announcer.start()
        try:
            return await then(announcer, hub)
        finally:
            await announcer.stop()

    return run_simulation(main, within=Seconds(4 * 86_400.0))


async def busy(_: PresenceRegistration, data: bytes) -> IntroductionAnswer:
    assert data == b"introduction"
    return IntroductionAnswer(IntroductionStatus.BUSY)
