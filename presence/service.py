"""The presence service of one relay: presence point, gateway, and DHT when elected.

::

    circuits --REGISTER, PUBLISH, INTRODUCE--> PresencePoint --+
             --LOOKUP--> gateway ------------------------------+--> PresenceDht
    links ----SERVICE 1---------------------------------------------^

Every relay is presence point and gateway; discovery nodes also answer in the DHT.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from presence.config import PresenceConfig
from presence.dht.keeping import RecordKeeper
from presence.dht.members import Members
from presence.dht.server import PresenceDht
from presence.gateway_service import GatewayService
from presence.introduction_service import IntroductionService
from presence.mailbox_desk import MailboxDesk
from presence.mailboxes import Mailboxes
from presence.point import PresencePoint
from presence.point_tables import TagState
from presence.record_store import RecordStore
from presence.stats import PresenceStats
from presence.turns import Turns
from presence.watch.service import WatchService
from psp.crypto.keys import SigningKey
from psp.directory.registry import Registry
from psp.ids import NodeId
from psp.netdoc.presence_record import OuterRecord, RecordRefusedError, parse
from psp.netdoc.registration import RegistrationRefusal, RegistrationRefusedError
from psp.runtime.ports import CircuitPeer, CircuitPort, LinkPort, RefusedError
from psp.units import Monotonic, Seconds
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint, by_worker
from psp.wire.presence import Published
from psp.wire.relay_message import RelayCommand
from psp.wire.watch import WatchStatus

_ANSWER_WITHIN = Seconds(2.5)
"""An asker gives up after 3.3 s (SPEC.md §3); the crawl goes on behind the answer."""
_SWEEP_INTERVAL = Seconds(60)
_WATCH_STATUS = {
    TagState.NONE: WatchStatus.NO_SUCH_TAG,
    TagState.HERE: WatchStatus.HERE,
    TagState.AWAY: WatchStatus.AWAY,
}
_LIMITS = {RegistrationRefusal.FULL, RegistrationRefusal.TOO_OFTEN}


class PresenceService:
    """Everything presence on one relay.

    Attributes:
        stats: What happened since the start.
        records: What this node holds as discovery node.
        mailboxes: What it keeps for users who have signed off.
        watch: Who is told when a user comes or goes.
    """

    def __init__(
        self,
        config: PresenceConfig,
        *,
        identity: SigningKey,
        registry: Registry,
        circuits: CircuitPort,
        links: LinkPort,
        unix_time: Callable[[], float],
        record_file: Path | None = None,
    ) -> None:
        """Wire the parts; nothing runs before `start`.

        Args:
            config: Limits and parameters.
            identity: Of this relay; signs consent.
            registry: Who is registered and elected.
            circuits: Requests over circuits that end here.
            links: Requests to and from other relays.
            unix_time: The wall clock.
            record_file: Where a discovery node keeps its records across restarts; None
                to forget them.
        """
        self._identity = identity
        self._registry = registry
        self._circuits = circuits
        self._unix_time = unix_time
        self.stats = PresenceStats()
        self.records = RecordStore(config.store, self._parse_stored)
        self.mailboxes = Mailboxes(config.mailbox, self.stats)
        turns = Turns(config.point.max_introducing_circuits)
        self._point = PresencePoint(
            config.point,
            self.mailboxes,
            turns,
            network=registry.network,
            identity=identity,
            has_user=registry.has_user,
            endpoints=self._endpoints,
            stats=self.stats,
        )
        self._introductions = IntroductionService(
            self._point,
            MailboxDesk(
                self.mailboxes,
                turns,
                network=registry.network,
                node_id=NodeId(identity.public),
                collections_per_circuit=config.mailbox.collections_per_circuit,
                max_circuits=config.mailbox.max_mailboxes,
                stats=self.stats,
            ),
            turns,
            circuits,
            stats=self.stats,
            now=_now,
            unix_time=unix_time,
        )
        self._dht = PresenceDht(
            config.dht,
            identity=identity,
            network=registry.network,
            members=Members(registry, NodeId(identity.public), config.dht, unix_time),
            links=links,
            records=self.records,
            parse=self._parse_now,
            stats=self.stats,
            unix_time=unix_time,
            keeper=self._make_keeper(record_file),
        )
        self._gateway = GatewayService(
            config.gateway,
            dht=self._dht,
            circuits=circuits,
            stats=self.stats,
            unix_time=unix_time,
        )
        self.watch = WatchService(
            config.watch,
            node_id=NodeId(identity.public),
            is_relay=lambda node: registry.node(node) is not None,
            tag_status=self._tag_status,
            served=self._point.circuits,
            circuits=circuits,
            links=links,
        )
        self._point.on_tag_changed = self.watch.changed
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def tags_served(self) -> int:
        """Users reachable through this point now."""
        return self._point.tags_served

    @property
    def point(self) -> PresencePoint:
        """What this relay decides as presence point."""
        return self._point

    @property
    def dht(self) -> PresenceDht:
        """This node's part in the DHT."""
        return self._dht

    def start(self) -> None:
        """Serve; call once, inside the loop."""
        self._dht.start()
        serve = self._circuits.serve
        serve(RelayCommand.REGISTER, self._on_register)
        serve(RelayCommand.PUBLISH, self._on_publish)
        self._gateway.start()
        self._introductions.start()
        self.watch.start()
        self._circuits.on_circuit_closed(self._on_circuit_closed)
        self._sweeper = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Stop everything under way."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeper
        await self.watch.close()
        await self._dht.close()

    # ---- presence point

    async def _on_register(self, peer: CircuitPeer, data: bytes) -> bytes:
        try:
            registered = self._point.register(
                peer.key,
                peer.handshake_hash,
                data,
                now=_now(),
                unix_now=self._unix_time(),
            )
        except RegistrationRefusedError as refused:
            is_limit = refused.reason in _LIMITS
            reason = Reason.RESOURCE_LIMIT if is_limit else Reason.REFUSED
            raise RefusedError(reason) from None
        return registered.encode()

    async def _on_publish(self, peer: CircuitPeer, data: bytes) -> bytes:
        refusal = self._point.check_publication(peer.key, data, now=_now())
        if refusal is not None:
            self.stats.publications_refused[refusal] += 1
            raise RefusedError(Reason.REFUSED)
        try:
            outer = self._parse_now(data, None)
        except RecordRefusedError as refused:
            self.stats.publications_refused[refused.reason] += 1
            raise RefusedError(Reason.REFUSED) from None
        self.stats.published += 1
        publication = self._dht.publish(outer.location, data)
        _ = await asyncio.wait({publication.crawl}, timeout=_ANSWER_WITHIN)
        return Published(publication.stored).encode()

    def _on_circuit_closed(self, circuit: int) -> None:
        self._introductions.circuit_closed(circuit)
        self._point.circuit_closed(circuit)

    def _tag_status(self, tag: bytes) -> WatchStatus:
        state = self._point.tag_state(tag, self._unix_time())
        return _WATCH_STATUS[state]

    def _endpoints(self) -> tuple[Endpoint, ...]:
        record = self._registry.node(NodeId(self._identity.public))
        return by_worker(record.endpoints)[0] if record is not None else ()

    # ---- records

    def _make_keeper(self, file: Path | None) -> RecordKeeper | None:
        if file is None:
            return None
        return RecordKeeper(
            file,
            self._registry.network,
            self.records,
            stats=self.stats,
            unix_time=self._unix_time,
        )

    def _parse_now(self, raw: bytes, location: bytes | None) -> OuterRecord:
        return parse(
            raw,
            network=self._registry.network,
            random_value=self._registry.random_value,
            unix_now=self._unix_time(),
            expected_location=location,
        )

    def _parse_stored(
        self, raw: bytes, location: bytes, unix_now: float, certified: bytes
    ) -> OuterRecord:
        return parse(
            raw,
            network=self._registry.network,
            random_value=self._registry.random_value,
            unix_now=unix_now,
            expected_location=location,
            certified=certified,
        )

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_INTERVAL)
            self._point.sweep(self._unix_time())


def _now() -> Monotonic:
    return Monotonic(asyncio.get_running_loop().time())
