"""A node of py-ipv8's tunnel community, as a process: relay, exit or client.

Its data plane is py-ipv8's own in Python, or that of ipv8-rust-tunnels; the community is
the same. Peers are told, not discovered, so that the path is the one we want. There is no
flow control in it: what it carries in life brings its own. Here the client asks a source
behind the exit for bursts of datagrams, a bounded number of them at a time.
"""

import asyncio
import contextlib
import logging
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from cli.bench.child import answer_calls, run_child
from cli.bench.place import Place
from tests.bench.peers.figures import (
    HOPS,
    VOICE_BYTES,
    VOICE_EVERY,
    VOICE_GIVE_UP,
    PeerError,
)

PAYLOAD = 1_200
"""Bytes of an application's datagram: with three hops' overhead it fits an Ethernet
frame."""

_BURST = 8
_WINDOW = 96
"""Datagrams on their way at a time, over all circuits: few enough for socket buffers."""

_STALLED = 0.25
"""Seconds without a datagram after which what is on its way is taken for lost."""

_UTP = b"\x01\x00"
"""Exits carry BitTorrent only: so begins a packet of uTP (BEP 29)."""

_REQUEST = struct.Struct("!2sH")
_VOICE = struct.Struct("!2sd")
_BUILDS_WITHIN = 10.0
_FOREVER = 1e9


@dataclass(frozen=True, slots=True)
class KnownPeer:
    """What a node is told of another.

    Attributes:
        key: Its public key.
        address: Where it listens.
        flags: Of the tunnel community.
    """

    key: bytes
    address: tuple[str, int]
    flags: tuple[int, ...]


def run_node(pipe: Connection, place: Place, is_rust: bool, role: str) -> None:  # noqa: FBT001
    """Be a node until the pipe closes; says its `KnownPeer` first."""
    logging.disable(logging.CRITICAL)  # it has no DHT, and says so at every extend
    run_child(pipe, lambda: _serve(pipe, place.host, is_rust=is_rust, role=role), place)


async def _serve(pipe, host, *, is_rust, role):
    node = await Node.start(host, is_rust=is_rust, role=role)
    pipe.send(node.known)
    await answer_calls(pipe, node)
    await node.close()


class Node:
    """What the parent can ask of a node, by name.

    Attributes:
        known: What others are told of it.
    """

    def __init__(self, community, endpoint, known, community_id) -> None:
        self.known = known
        self._community = community
        self._endpoint = endpoint
        self._community_id = community_id
        self._exit = None
        self._received = 0
        self._asked: dict[int, list] = {}
        self._last = 0.0
        self._round_trips: list[float] = []
        self._awaited = 0
        self._all_back = asyncio.Event()
        self._pumping: asyncio.Task[None] | None = None
        community.on_raw_data = self._on_datagram

    @classmethod
    async def start(cls, host, *, is_rust, role):
        from ipv8.keyvault.crypto import default_eccrypto  # noqa: PLC0415
        from ipv8.messaging.anonymization.community import (  # noqa: PLC0415
            TunnelCommunity,
            TunnelSettings,
        )
        from ipv8.messaging.anonymization.tunnel import (  # noqa: PLC0415
            PEER_FLAG_EXIT_BT,
            PEER_FLAG_RELAY,
        )
        from ipv8.peer import Peer  # noqa: PLC0415
        from ipv8.peerdiscovery.network import Network  # noqa: PLC0415

        endpoint = await _open_endpoint(host, is_rust=is_rust)
        flags = {PEER_FLAG_RELAY} | ({PEER_FLAG_EXIT_BT} if role == "exit" else set())
        me = Peer(default_eccrypto.generate_key("curve25519"), endpoint.get_address())
        settings = TunnelSettings(my_peer=me, endpoint=endpoint, network=Network())
        settings.peer_flags = flags
        settings.max_joined_circuits = int(_FOREVER)
        settings.max_traffic = settings.max_time = settings.max_time_inactive = _FOREVER
        settings.remove_tunnel_delay = 0
        community = TunnelCommunity(settings)
        known = KnownPeer(
            me.public_key.key_to_bin(), tuple(endpoint.get_address()), tuple(flags)
        )
        return cls(community, endpoint, known, TunnelCommunity.community_id)

    async def meet(self, peers: Sequence[KnownPeer]) -> None:
        """Know these peers; the last is the exit of our circuits."""
        from ipv8.messaging.interfaces.udp.endpoint import UDPv4Address  # noqa: PLC0415
        from ipv8.peer import Peer  # noqa: PLC0415

        for known in peers:
            peer = Peer(known.key, UDPv4Address(*known.address))
            peer.last_response = time.time() + _FOREVER
            self._community.network.add_verified_peer(peer)
            self._community.network.discover_services(peer, [self._community_id])
            self._community.candidates[peer] = list(known.flags)
            self._exit = peer

    async def build(self, count: int) -> tuple[list[float], int]:
        """Build circuits one by one; return seconds of each, and failures."""
        times, circuits, failures = [], [], 0
        for _ in range(count):
            started = time.perf_counter()
            try:
                circuits.append(await self._circuit())
            except PeerError:
                failures += 1
            else:
                times.append(time.perf_counter() - started)
        self._remove(circuits)
        return times, failures

    async def stream(self, streams: int, source: tuple[str, int]) -> list[int]:
        """Begin to stream over as many circuits; return which."""
        circuits = [await self._circuit() for _ in range(streams)]
        self._asked = {circuit.circuit_id: [circuit, 0] for circuit in circuits}
        self._pumping = asyncio.create_task(self._pump(source))
        return list(self._asked)

    async def stop(self) -> None:
        """Stop streaming, and wait for what is still on its way."""
        assert self._pumping is not None
        self._pumping.cancel()
        circuits = [circuit for circuit, _ in self._asked.values()]
        self._asked = {}
        await asyncio.sleep(2 * _STALLED)
        self._remove(circuits)

    async def received(self) -> int:
        """Return the bytes streamed to us so far."""
        return self._received

    async def talk(
        self, echo: tuple[str, int], seconds: float, circuit_id: int | None
    ) -> tuple[int, list[float]]:
        """Send voice on a circuit, or on one of its own; as `traffic.talk`."""
        own = None if circuit_id else await self._circuit()
        circuit = own or self._community.circuits[circuit_id]
        packets = int(seconds / VOICE_EVERY)
        self._round_trips, self._awaited = [], packets
        self._all_back.clear()
        started = time.perf_counter()
        for number in range(packets):
            due = started + number * VOICE_EVERY
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._send(circuit, echo, _VOICE.pack(_UTP, due).ljust(VOICE_BYTES, b"\0"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(VOICE_GIVE_UP):
                await self._all_back.wait()
        if own:
            self._remove([own])
        return packets, self._round_trips

    async def close(self) -> None:
        """End it."""
        await self._community.unload()
        closing = self._endpoint.close()
        if closing is not None:
            await closing

    async def _circuit(self):
        circuit = self._community.create_circuit(HOPS, required_exit=self._exit)
        if circuit is None:
            raise PeerError("ipv8 knows no first hop")
        try:
            async with asyncio.timeout(_BUILDS_WITHIN):
                await circuit.ready
        except TimeoutError:
            self._remove([circuit])
            raise PeerError(f"no circuit of ipv8 in {_BUILDS_WITHIN:.0f} s") from None
        return circuit

    def _remove(self, circuits):
        for circuit in circuits:
            self._community.remove_circuit(circuit.circuit_id, "done", destroy=True)

    async def _pump(self, source):
        """Ask for bursts; what stalls is asked for anew."""
        self._last = time.perf_counter()
        self._source = source
        while True:
            if time.perf_counter() - self._last > _STALLED:
                for entry in self._asked.values():
                    entry[1] = 0
            for entry in self._asked.values():
                self._ask(entry)
            await asyncio.sleep(_STALLED / 5)

    def _ask(self, entry):
        window = max(_BURST, _WINDOW // len(self._asked))
        while entry[1] + _BURST <= window:
            entry[1] += _BURST
            self._send(
                entry[0], self._source, _REQUEST.pack(_UTP, _BURST).ljust(20, b"\0")
            )

    def _send(self, circuit, destination, data):
        from ipv8.messaging.interfaces.udp.endpoint import UDPv4Address  # noqa: PLC0415

        self._community.send_data(
            circuit.hop.address,
            circuit.circuit_id,
            UDPv4Address(*destination),
            UDPv4Address("0.0.0.0", 0),
            data,
        )

    def _on_datagram(self, circuit, _origin, data):
        if len(data) == VOICE_BYTES:
            _, due = _VOICE.unpack_from(data)
            self._round_trips.append(time.perf_counter() - due)
            if len(self._round_trips) == self._awaited:
                self._all_back.set()
            return
        entry = self._asked.get(circuit.circuit_id)
        if entry is None:
            return
        self._received += len(data)
        self._last = time.perf_counter()
        entry[1] -= 1
        self._ask(entry)


async def _open_endpoint(host, *, is_rust):
    if is_rust:
        from ipv8_rust_tunnels import Endpoint  # noqa: PLC0415

        endpoint = Endpoint(0, host)
        await endpoint.open()
        endpoint.set_exit_address((host, 0))
        return endpoint
    from ipv8.messaging.interfaces.udp.endpoint import UDPEndpoint  # noqa: PLC0415

    endpoint = UDPEndpoint(0, host)
    if not await endpoint.open():
        raise PeerError(f"ipv8 cannot bind {host}")
    return endpoint


class _Behind(asyncio.DatagramProtocol):
    """The source and the echo behind the exit, on one socket."""

    def connection_made(self, transport):
        self._transport = transport

    def datagram_received(self, data, address):
        if len(data) == VOICE_BYTES:
            self._transport.sendto(data, address)
            return
        _, count = _REQUEST.unpack_from(data)
        datagram = _UTP.ljust(PAYLOAD, b"\0")
        for _ in range(count):
            self._transport.sendto(datagram, address)


def run_behind(pipe: Connection, place: Place) -> None:
    """Be the applications behind the exit; says their address first."""
    run_child(pipe, lambda: _answer(pipe, place.host), place)


async def _answer(pipe, host):
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as own:
        own.bind((host, 0))
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            _Behind, sock=own
        )
        pipe.send(own.getsockname())
        await answer_calls(pipe, None)
        transport.close()
