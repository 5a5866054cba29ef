"""One end of a measured path, in a process of its own: a whole client, without a registry.

Links, circuits, sessions, socket and event loop are those of `psp.client`; what it
lacks is what does not move bytes: the registry, guards, presence. Paths and session
keys come from the benchmark, which has both ends in hand.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import cast

from cli.bench.child import (
    Child,
    answer_calls,
    answers,
    cpu_seconds,
    resident_bytes,
    run_child,
)
from cli.bench.path_traffic import LATEST, Counts, Traffic
from cli.bench.place import LOOPBACK, Place
from cli.bench.processes import NETWORK, Node
from psp.client.calls.session import ClientSession
from psp.client.circuit import Circuit, CircuitError
from psp.client.network import ClientNetwork
from psp.crypto.session import SessionKeys
from psp.endpoint.machine import ClientMachine, EndpointConfig
from psp.endpoint.session import Session
from psp.endpoint.session_events import LegLost, SendingView
from psp.ids import Cookie
from psp.link.config import LinkConfig
from psp.link.machine import LinkMachine
from psp.netdoc.node_record import OPERATOR_SIZE, NodeRecord
from psp.runtime.entropy import SystemEntropy
from psp.runtime.udp import UdpSocket
from psp.sansio import MAX_TRAIN
from psp.wire.onion import BLOCK_SIZE
from psp.wire.relay_message import RelayCommand

_BUILD_WITHIN = 10.0
_JOINED_WITHIN = 10.0
_AT_ONCE = 8
"""Circuits being built at a time when it is their number that matters."""
_MANY = EndpointConfig(max_circuits=100_000)


@dataclass(frozen=True, slots=True)
class EndUsage:
    """What an end used so far.

    Attributes:
        cpu: Seconds, user and system.
        resident: Bytes of memory.
        bulk: What went over its sessions.
        kernel_drops: Lost at its own socket, trains in and datagrams out.
        sending: How its first session sends now; None without one.
        legs_lost: Times that a session heard nothing for more than a second.
    """

    cpu: float
    resident: int
    bulk: Counts
    kernel_drops: int
    sending: SendingView | None
    legs_lost: int


class EndProcess(Child):
    """One end; use as a context manager. Every method raises `ChildError`."""

    def __init__(self, place: Place = LOOPBACK, name: str = "an end") -> None:
        """Start it."""
        super().__init__(_run, place, name=name)
        self.receive()

    def call(
        self,
        method: str,
        *arguments: object,
        within: float = 30.0,
        watched: Sequence[Child] = (),
    ) -> object:
        """Call a method of its `PathEnd`; fail as soon as one of ``watched`` ends."""
        self.send((method, arguments))
        return answers([self], watched=watched, within=within)[0]

    def build(self, path: Sequence[Node], count: int) -> list[float | None]:
        """Build circuits one after another; see `PathEnd.build`."""
        within = 30.0 + count * _BUILD_WITHIN
        return cast(
            "list[float | None]", self.call("build", path, count, within=within)
        )

    def usage(self) -> EndUsage:
        """Ask what it used."""
        return cast("EndUsage", self.call("usage"))

    def voice(self, seconds: float, watched: Sequence[Child]) -> list[float | None]:
        """Send voice for so long; see `Traffic.voice`."""
        within = seconds + LATEST + 30.0
        trips = self.call("voice", seconds, within=within, watched=watched)
        return cast("list[float | None]", trips)


class PathEnd:
    """What an end process does when it is told."""

    def __init__(self, udp: UdpSocket) -> None:
        entropy = SystemEntropy()
        links = LinkMachine(
            LinkConfig(),
            network=NETWORK,
            entropy=entropy,
            identity=None,
            own_port=0,
            peer_of_static=lambda _: None,
            unix_time=time.time,
        )
        self._udp = udp
        self._network = ClientNetwork(ClientMachine(links, entropy, _MANY), udp)
        self._kept: list[Circuit] = []
        self._sessions: list[Traffic] = []
        self._flood: asyncio.Task[None] | None = None
        self._legs_lost = 0

    async def build(self, path: Sequence[Node], count: int) -> list[float | None]:
        """Build and close circuits, one after another, as over a guard's link.

        Returns:
            Seconds that each took, until an app would have it; None for one that failed.
        """
        times: list[float | None] = []
        for _ in range(count):
            began = time.perf_counter()
            try:
                circuit = await self._open(path)
            except (CircuitError, TimeoutError):
                times.append(None)
                continue
            times.append(time.perf_counter() - began)
            circuit.close()
        return times

    async def keep(self, path: Sequence[Node], count: int) -> None:
        """Build circuits and keep them, idle."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def one() -> None:
            async with room:
                self._kept.append(await self._open(path))

        await asyncio.gather(*(one() for _ in range(count)))

    async def meet(
        self, path: Sequence[Node], command: RelayCommand, cookie: Cookie
    ) -> None:
        """Build a circuit and wait under a cookie, or join who waits, at its last hop."""
        self._kept.append(await self._open(path))
        await self._kept[-1].request(command, cookie)

    async def meet_kept(self, command: RelayCommand, cookies: Sequence[Cookie]) -> None:
        """Do the same with the newest circuits that are kept, one cookie each."""
        for circuit, cookie in zip(reversed(self._kept), cookies, strict=False):
            await circuit.request(command, cookie)

    async def call(self, keys: Sequence[SessionKeys]) -> None:
        """Open sessions over the newest circuits, once others have joined them."""
        for circuit, session_keys in zip(reversed(self._kept), keys, strict=False):
            await asyncio.wait_for(circuit.joined.wait(), _JOINED_WITHIN)
            self._open_session(circuit, session_keys, is_caller=True)

    async def accept(self, keys: Sequence[SessionKeys]) -> None:
        """Open sessions over the newest circuits, which have joined others."""
        for circuit, session_keys in zip(reversed(self._kept), keys, strict=False):
            self._open_session(circuit, session_keys, is_caller=False)

    async def start_bulk(self, phase: int, sessions: int) -> None:
        """Send bulk over the first sessions until told to stop."""
        for traffic in self._sessions[:sessions]:
            traffic.start_bulk(phase)

    async def set_phase(self, phase: int) -> None:
        """Count what is sent from now on apart."""
        for traffic in self._sessions:
            traffic.phase = phase

    async def stop_bulk(self) -> None:
        """Send no more."""
        for traffic in self._sessions:
            traffic.stop_bulk()

    async def start_flood(self) -> None:
        """Send blocks over the first session's circuit without heeding anything."""
        self._flood = asyncio.create_task(self._send_flood(self._kept[0]))

    async def stop_flood(self) -> None:
        """Send no more."""
        if self._flood is not None:
            self._flood.cancel()
            self._flood = None

    async def voice(self, seconds: float) -> list[float | None]:
        """Send voice over the first session; see `Traffic.voice`."""
        return await self._sessions[0].voice(seconds)

    async def usage(self) -> EndUsage:
        """Return what this process used."""
        bulk = Counts(time.monotonic(), Counter(), Counter())
        for traffic in self._sessions:
            bulk.sent.update(traffic.sent)
            bulk.received.update(traffic.received)
        sending = self._sessions[0].sending if self._sessions else None
        drops = self._udp.stats.kernel_drops + self._udp.stats.dropped_full
        return EndUsage(
            cpu_seconds(), resident_bytes(), bulk, drops, sending, self._legs_lost
        )

    def close(self) -> None:
        """Destroy every circuit."""
        self._network.close()

    async def _send_flood(self, circuit: Circuit) -> None:
        train = [bytes([number]) * BLOCK_SIZE for number in range(MAX_TRAIN)]
        while circuit.is_open:
            self._network.send_blocks(circuit, train)
            await asyncio.sleep(0)

    def _open_session(
        self, circuit: Circuit, keys: SessionKeys, *, is_caller: bool
    ) -> None:
        session = Session(keys, self._network.now())
        client = ClientSession(self._network, session, peer=None, is_caller=is_caller)
        client.on_leg_event = partial(self._mend, client.key, circuit)
        self._network.add_leg(client.key, 0, circuit)
        self._sessions.append(Traffic(client))

    def _mend(self, session: int, circuit: Circuit, event: object) -> None:
        """Take a leg that was silent again, in place of a call's leg keeper."""
        if isinstance(event, LegLost) and circuit.is_open:
            self._legs_lost += 1
            self._network.add_leg(session, 0, circuit)

    async def _open(self, path: Sequence[Node]) -> Circuit:
        circuit = self._network.open([_record(node) for node in path])
        await asyncio.wait_for(circuit.built, _BUILD_WITHIN)
        return circuit


def _record(node: Node) -> NodeRecord:
    return NodeRecord(
        node.node_id, node.onion_key, node.endpoints, bytes(OPERATOR_SIZE)
    )


def _run(pipe: Connection, place: Place) -> None:
    run_child(pipe, lambda: _serve(pipe, place.host), place)


async def _serve(pipe: Connection, host: str) -> None:
    udp = UdpSocket((host, 0))
    end = PathEnd(udp)
    pipe.send("ready")
    await answer_calls(pipe, end)
    end.close()
    udp.close()
