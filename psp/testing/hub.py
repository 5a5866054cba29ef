"""A network of simulated sockets, for asyncio code in virtual time.

`SimSocket` has the shape of `psp.runtime.udp.UdpSocket`, so the same driver and whole
services run on it. Use inside `psp.testing.simloop.run_simulation`.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable

from psp.errors import ConfigError
from psp.sansio import MAX_TRAIN, Address, Train
from psp.testing.clock import EPOCH
from psp.testing.weather import Sky, Weather, split_train
from psp.units import Monotonic

RECEIVE_QUEUE = 3_000
"""Datagrams a socket holds before it drops new ones: about what a kernel buffer of
4 MiB holds of 1,232-byte datagrams."""

_FIRST_FREE_PORT = 49_152


class SimSocket:
    """One address on a hub.

    Attributes:
        local_address: Where others reach it; `SimHub.move` changes it.
        received: Datagrams handed out.
        sent: Datagrams put on the network, lost ones included.
        dropped_full: Datagrams that found `RECEIVE_QUEUE` others waiting.
    """

    def __init__(self, hub: "SimHub", address: Address) -> None:
        self.local_address = address
        self.received = 0
        self.sent = 0
        self.dropped_full = 0
        self._hub = hub
        self._queue: deque[tuple[Address, int, bytes]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._callback: Callable[[], None] | None = None
        self._wake: asyncio.Handle | None = None

    def receive_batch(self) -> tuple[memoryview, int, Address] | None:
        """Return the next train, made of neighbours of one source and size."""
        queue = self._queue
        if not queue:
            return None
        source, size, packet = queue.popleft()
        packets = [packet]
        while queue and len(packets) < MAX_TRAIN and queue[0][:2] == (source, size):
            packets.append(queue.popleft()[2])
        self.received += len(packets)
        return memoryview(b"".join(packets)), size or 1, source

    def backlog(self) -> float:
        """Return how much of the queue is in use, 0 … 1."""
        return len(self._queue) / RECEIVE_QUEUE

    def send(self, train: Train) -> int:
        """Put a train on the network."""
        packets = split_train(train.parts, train.packets)
        self.sent += len(packets)
        self._hub.carry(self.local_address, train.destination, packets)
        return len(packets)

    def start_reading(
        self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]
    ) -> None:
        """Call ``callback`` whenever, and as long as, something waits."""
        self._loop = loop
        self._callback = callback
        self._wake_reader()

    def stop_reading(self) -> None:
        """Undo `start_reading`."""
        if self._wake is not None:
            self._wake.cancel()
        self._loop = self._callback = self._wake = None

    def close(self) -> None:
        """Stop reading and leave the hub; harmless when repeated."""
        self.stop_reading()
        self._hub.detach(self)

    def deliver(self, source: Address, packets: list[bytes]) -> None:
        """Take in datagrams; for the hub."""
        room = max(RECEIVE_QUEUE - len(self._queue), 0)
        self.dropped_full += max(len(packets) - room, 0)
        self._queue.extend((source, len(packet), packet) for packet in packets[:room])
        self._wake_reader()

    def _wake_reader(self) -> None:
        if self._queue and self._loop is not None and self._wake is None:
            self._wake = self._loop.call_soon(self._read)

    def _read(self) -> None:
        self._wake = None
        if self._callback is not None:
            self._callback()
        self._wake_reader()


class SimHub:
    """Sockets and the weather between them.

    Attributes:
        sky: The weather, dead addresses and partitions: change it at any time.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        weather: Weather | None = None,
        *,
        seed: int | str = 0,
    ) -> None:
        self.sky = Sky(weather or Weather(), seed)
        self._loop = loop
        self._sockets: dict[Address, SimSocket] = {}
        self._trace = hashlib.sha256()

    def socket(self, address: Address) -> SimSocket:
        """Attach a socket; port 0 takes the next free one.

        Raises:
            ConfigError: If the address is taken.
        """
        if not address[1]:
            address = (address[0], self._free_port(address[0]))
        if address in self._sockets:
            raise ConfigError(f"port {address[1]} on {address[0]} is in use")
        socket = self._sockets[address] = SimSocket(self, address)
        return socket

    def move(self, socket: SimSocket, address: Address) -> None:
        """Give a socket another address, as a NAT that forgot its mapping does."""
        self.detach(socket)
        socket.local_address = address
        self._sockets[address] = socket

    def detach(self, socket: SimSocket) -> None:
        """Let nothing reach the socket any more."""
        if self._sockets.get(socket.local_address) is socket:
            del self._sockets[socket.local_address]

    def addresses(self) -> list[Address]:
        """Return where sockets are attached now."""
        return list(self._sockets)

    def unix_time(self) -> float:
        """Return the virtual wall clock, seconds since 1970."""
        return EPOCH + self._loop.time()

    def carry(
        self, source: Address, destination: Address, packets: list[bytes]
    ) -> None:
        """Send datagrams on their way; for sockets, and for tests that inject."""
        now = Monotonic(self._loop.time())
        for arrival in self.sky.carry(source, destination, packets, now):
            self._loop.call_at(
                arrival.time, self._arrive, source, destination, arrival.packets
            )

    def trace_digest(self) -> str:
        """Return a hash of when what arrived where, so far.

        It covers times, addresses and sizes, not bytes: keys of ML-KEM encapsulation
        cannot be seeded.
        """
        return self._trace.hexdigest()

    def _arrive(
        self, source: Address, destination: Address, packets: list[bytes]
    ) -> None:
        sizes = [len(packet) for packet in packets]
        self._trace.update(
            f"{self._loop.time()!r} {source} {destination} {sizes}\n".encode()
        )
        socket = self._sockets.get(destination)
        if socket is None or not self.sky.reaches(source, destination):
            self.sky.stats.cut_off += len(packets)
            return
        socket.deliver(source, packets)

    def _free_port(self, host: str) -> int:
        port = _FIRST_FREE_PORT
        while (host, port) in self._sockets:
            port += 1
        return port
