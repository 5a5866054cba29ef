"""Puts one relay process together: relay, presence and discovery on one socket.

Of a relay with several workers (`cli.workers`), this is the first.

The services meet here and nowhere else, through the ports of `psp.runtime.ports`.
"""

import asyncio
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

import discovery.epochs.metrics
import discovery.handover.metrics
import discovery.metrics
import presence.metrics
import relay.metrics
from cli.chain_node import (
    make_epochs,
    make_hand_overs,
    open_relay_membership,
    own_key_is_foreign,
)
from cli.node_config import NodeConfig
from cli.node_parts import KeptLinks, load_keys
from cli.worker_shares import check_ports, share
from discovery.service import DiscoveryService
from presence.service import PresenceService
from psp.crypto.primitives import x25519_public
from psp.entropy import Entropy
from psp.errors import ConfigError
from psp.ids import NodeId
from psp.runtime.driver import TrainSocket
from psp.runtime.entropy import SystemEntropy
from psp.runtime.logs import logger
from psp.runtime.membership import FileMembership, Membership
from psp.runtime.metrics import MetricsServer
from psp.runtime.udp import UdpSocket
from psp.units import Seconds
from relay.machine import RelayMachine
from relay.service import RelayService

_SAVE_EVERY = Seconds(60.0)


class RelayNode:
    """One relay process: start it, wait, stop it.

    Attributes:
        node_id: Who it is.
        relay: The relay service.
        presence: The presence service.
        discovery: The discovery service.
        epochs: The epoch driver; None without a chain.
        hand_overs: What vouches for the chain's list; None without a chain.
        metrics: The metrics server, None when switched off.
        collectors: The metrics themselves.
        on_members: Called whenever the membership has changed.
    """

    @classmethod
    async def open(
        cls, config: NodeConfig, log: FilteringBoundLogger | None = None
    ) -> "RelayNode":
        """Read the registry, from a chain if the settings name one, and set up a relay.

        Raises:
            ConfigError: If anything is missing, damaged or taken.
        """
        log = log or logger("relay")
        entropy = SystemEntropy()
        identity, onion_privates = load_keys(config.keys)
        membership = await open_relay_membership(
            config,
            identity,
            onion_privates,
            unix_time=time.time,
            entropy=entropy,
            log=log,
        )
        try:
            return cls(config, membership=membership, entropy=entropy, log=log)
        except BaseException:
            await membership.close()
            raise

    def __init__(
        self,
        config: NodeConfig,
        *,
        membership: Membership | None = None,
        udp: TrainSocket | None = None,
        unix_time: Callable[[], float] = time.time,
        entropy: Entropy | None = None,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        """Read keys and bind the socket; call in a running loop.

        Args:
            config: Settings.
            membership: Who is a member; None reads the trusted partners' file.
            udp: A socket to use instead of one of its own.
            unix_time: The wall clock.
            entropy: Random bytes; None for the system's.
            log: Where to log; None for the "relay" logger.

        Raises:
            ConfigError: If anything is missing, damaged or taken.
        """
        self._config = config
        self._unix_time = unix_time
        self._log = log or logger("relay")
        entropy = entropy or SystemEntropy()
        identity, onion_privates = load_keys(config.keys)
        self.node_id = NodeId(identity.public)
        self.membership = membership or FileMembership(
            config.membership, unix_time, self._log
        )
        self.registry = self.membership.registry
        self._check_record(onion_privates)
        self.on_members: Callable[[], None] = lambda: None
        self._links = KeptLinks(
            config,
            network=self.registry.network,
            identity=identity,
            port=config.listen.port,
            entropy=entropy,
            unix_time=unix_time,
        )
        self._know_members()
        machine = RelayMachine(
            self._links.machine,
            node_id=self.node_id,
            onion_privates=onion_privates,
            node=self.registry.node,
            entropy=entropy,
            config=share(config),
        )
        self._udp = udp or UdpSocket((config.listen.host, config.listen.port))
        self.relay = RelayService(
            machine, self._udp, registry=self.registry, unix_time=unix_time
        )
        self.presence = PresenceService(
            config.presence,
            identity=identity,
            registry=self.registry,
            circuits=self.relay.circuits,
            links=self.relay.links,
            unix_time=unix_time,
            record_file=config.state_dir / "records",
        )
        self.hand_overs = make_hand_overs(
            config,
            self.membership,
            identity,
            self.relay.links,
            entropy=entropy,
            log=self._log,
        )
        desk = None if self.hand_overs is None else self.hand_overs.desk
        self.discovery = DiscoveryService(
            config.discovery,
            identity=identity,
            registry=self.registry,
            circuits=self.relay.circuits,
            links=self.relay.links,
            entropy=entropy,
            unix_time=unix_time,
            registry_file=self.membership.file,
            on_registry_file=self._take_registry_file,
            hand_overs=desk,
        )
        self.epochs = make_epochs(
            config, self.membership, self.node_id, entropy=entropy, log=self._log
        )
        self._foreign_key = asyncio.Event()
        self.collectors = CollectorRegistry()
        self._show(machine)
        self.metrics: MetricsServer | None = None
        if config.metrics.enabled:
            clock = asyncio.get_running_loop().time
            self.metrics = MetricsServer(self.collectors, self.checks, clock)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Serve.

        Raises:
            ConfigError: If the metrics port is taken.
        """
        if self.metrics is not None:
            address = (self._config.metrics.host, self._config.metrics.port)
            await self.metrics.start(address)
        self.relay.start()
        self.presence.start()
        self.discovery.start()
        for service in (self.epochs, self.hand_overs):
            if service is not None:
                service.start()
        self._tasks = [
            asyncio.create_task(self.membership.follow(self._on_membership)),
            asyncio.create_task(self._save_now_and_then()),
        ]
        self._log.info("relay_started", discovery=self.is_discovery_node)

    async def stop(self) -> None:
        """Leave, and write one line with everything this process did."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        status = self.relay.status()
        for service in (self.epochs, self.hand_overs):
            if service is not None:
                await service.close()
        await self.discovery.close()
        await self.presence.close()
        await self.relay.stop()
        await self.membership.close()
        if self.metrics is not None:
            await self.metrics.close()
        if isinstance(self._udp, UdpSocket):
            self._udp.close()
        self._links.save()
        self._log.info("relay_stopped", **status)

    async def watch_own_key(self) -> None:
        """Wait until the registry shows a key for this relay that it does not have.

        Raises:
            ConfigError: Then: somebody else changes this relay's record (R-KEY-1).
        """
        await self._foreign_key.wait()
        record = self.registry.node(self.node_id)
        _, onion_privates = await asyncio.to_thread(load_keys, self._config.keys)
        if record is not None and record.onion_key in map(
            x25519_public, onion_privates
        ):
            raise ConfigError(
                "the onion key was changed (keys.onion): start this relay again, with "
                "the old one as keys.previous_onion"
            )
        raise ConfigError(
            "the registry shows an onion key for this relay that it does not have: "
            "somebody else can change its record; revoke it (psp relay retire --revoke)"
        )

    def checks(self) -> dict[str, bool]:
        """Return what healthy means, by name."""
        return {"in_registry": self.registry.node(self.node_id) is not None}

    @property
    def is_discovery_node(self) -> bool:
        """Whether the registry lists this node as a discovery node."""
        return self.node_id in self.registry.discovery_nodes()

    def metric_names(self) -> list[str]:
        """Return the names of all metrics, as they are served."""
        return sorted(
            family.name + ("_total" if family.type == "counter" else "")
            for family in self.collectors.collect()
        )

    def _check_record(self, onion_privates: list[bytes]) -> None:
        record = self.registry.node(self.node_id)
        if record is None:
            raise ConfigError(
                f"node {self.node_id.hex()} is not in the registry; have a trusted "
                "partner add it, or register it on the chain (psp relay register)"
            )
        if record.onion_key != x25519_public(onion_privates[0]):
            raise ConfigError(
                "keys.onion is not the onion key in the registry; publish the new one "
                "or go back to the old file"
            )
        check_ports(record.endpoints, self._config)

    def _on_membership(self) -> None:
        self._know_members()
        record = self.registry.node(self.node_id)
        if record is not None:
            try:
                check_ports(record.endpoints, self._config)
            except ConfigError as error:
                self._log.warning("restart_needed", error=str(error))
        if own_key_is_foreign(self.membership):
            self._foreign_key.set()

    def _know_members(self) -> None:
        self._links.know(self.registry.nodes())
        self.on_members()

    def _take_registry_file(self, data: bytes) -> bool:
        """Take over a newer registry that another node served; it verifies itself."""
        is_newer = self.membership.take_file(data)
        if is_newer:
            self._know_members()
        return is_newer

    async def _save_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_EVERY)
            self._links.save()

    def _show(self, machine: RelayMachine) -> None:
        registry = self.collectors
        relay.metrics.register(machine, registry)
        if isinstance(self._udp, UdpSocket):
            relay.metrics.register_socket(self._udp, registry)
        presence.metrics.register_metrics(self.presence, registry)
        discovery.metrics.register_metrics(self.discovery, registry)
        if self.epochs is not None:
            discovery.epochs.metrics.register_metrics(self.epochs, registry)
        if self.hand_overs is not None:
            discovery.handover.metrics.register_metrics(self.hand_overs, registry)
