"""A worker of a node but the first: forwards, and joins circuits that meet here.

Everything else is asked for at the first worker; here it is refused.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

import relay.metrics
from cli.node_config import NodeConfig
from cli.node_parts import KeptLinks, load_keys
from cli.worker_shares import check_ports, share
from cli.workers.members import Member, Members
from psp.entropy import Entropy
from psp.errors import ConfigError
from psp.ids import NodeId
from psp.runtime.driver import TrainSocket
from psp.runtime.entropy import SystemEntropy
from psp.runtime.logs import logger
from psp.runtime.udp import UdpSocket
from psp.units import Seconds
from psp.wire.endpoint import by_worker
from relay.machine import RelayMachine
from relay.service import RelayService

_SAVE_EVERY = Seconds(60.0)


class WorkerNode:
    """One more process of a node.

    Attributes:
        node_id: The node's.
        port: Where this worker listens.
        relay: The relay service; nothing is served over its circuits.
        collectors: Its metrics.
    """

    def __init__(
        self,
        config: NodeConfig,
        number: int,
        members: Members,
        *,
        udp: TrainSocket | None = None,
        unix_time: Callable[[], float] = time.time,
        entropy: Entropy | None = None,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        """Read keys and bind the socket; call in a running loop.

        Args:
            config: The node's settings.
            number: Which worker, from 1.
            members: Who is a member, as worker 0 verified it.
            udp: A socket to use instead of one of its own.
            unix_time: The wall clock.
            entropy: Random bytes; None for the system's.
            log: Where to log; None for the "relay" logger.

        Raises:
            ConfigError: If anything is missing, damaged or taken.
        """
        self._log = log or logger("relay")
        entropy = entropy or SystemEntropy()
        identity, onion_privates = load_keys(config.keys)
        self.node_id = NodeId(identity.public)
        self._members = members
        own = members.node(self.node_id)
        if own is None:
            raise ConfigError("this relay is not in the registry any more")
        check_ports(own.endpoints, config)
        self.port = by_worker(own.endpoints)[number][0].port
        self._links = KeptLinks(
            config,
            network=config.membership.network(),
            identity=identity,
            port=self.port,
            worker=number,
            entropy=entropy,
            unix_time=unix_time,
        )
        self._links.know(members)
        machine = RelayMachine(
            self._links.machine,
            node_id=self.node_id,
            onion_privates=onion_privates,
            node=self._node,
            entropy=entropy,
            config=replace(share(config), neighbours=0),
        )
        self._udp = udp or UdpSocket(
            (config.listen.host, self.port), setting="the relay's entry in the registry"
        )
        self.relay = RelayService(machine, self._udp, unix_time=unix_time)
        self.collectors = CollectorRegistry()
        relay.metrics.register(machine, self.collectors)
        if isinstance(self._udp, UdpSocket):
            relay.metrics.register_socket(self._udp, self.collectors)
        self._saving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Serve."""
        self.relay.start()
        self._saving = asyncio.create_task(self._save_now_and_then())
        self._log.info("worker_started", port=self.port)

    def take_members(self, members: Members) -> None:
        """Go by a newer membership from now on."""
        self._members = members
        self._links.know(members)

    async def stop(self) -> None:
        """Leave, and write one line with everything this process did."""
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)
        status = self.relay.status()
        await self.relay.stop()
        if isinstance(self._udp, UdpSocket):
            self._udp.close()
        self._links.save()
        self._log.info("worker_stopped", **status)

    def _node(self, node_id: NodeId) -> Member | None:
        return self._members.node(node_id)

    async def _save_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_EVERY)
            self._links.save()
