"""Applications at the two ends of Tor: a source of bytes and an echo, and who asks them.

::

    Downloads, talk --socks--> client - guard - middle - exit --TCP--> Behind

A connection to the source gets bytes without end; one to the echo gets back what it
sends, at once. A circuit is named by its SOCKS user name.
"""

import asyncio
import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from cli.bench.child import Child, answer_until_closed, run_child
from cli.bench.place import Place
from tests.bench.peers.figures import VOICE_BYTES, VOICE_EVERY, VOICE_GIVE_UP, PeerError

_BLOCK = bytes(65_536)
_CONNECTS_WITHIN = 15.0
_TRIES = 3
_BOUND_ADDRESS = {1: 4, 4: 16}
"""Bytes of an address, by its type (RFC 1928 section 5)."""


class Behind(Child):
    """A process behind the exit that serves both.

    Attributes:
        source: Address that gives bytes.
        echo: Address that gives them back.
    """

    def __init__(self, place: Place) -> None:
        """Start it."""
        super().__init__(_behind, place, name="what is behind tor's exit")
        self.source, self.echo = cast(
            "tuple[tuple[str, int], tuple[str, int]]", self.receive()
        )


def _behind(pipe, place):
    run_child(pipe, lambda: _serve(pipe, place.host), place)


async def _serve(pipe, host):
    addresses = []
    for answer in (_give, _echo):
        server = socket.create_server((host, 0), backlog=64)
        threading.Thread(target=_accept, args=(server, answer), daemon=True).start()
        addresses.append(server.getsockname())
    pipe.send(tuple(addresses))
    await answer_until_closed(pipe, lambda: None)


def _accept(server, answer):
    while True:
        connection, _ = server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def _give(connection):
    with connection, contextlib.suppress(OSError):
        while True:
            connection.sendall(_BLOCK)


def _echo(connection):
    with connection, contextlib.suppress(OSError):
        while data := connection.recv(65_536):
            connection.sendall(data)


def connect(socks: Path, circuit: str, host: str, port: int) -> socket.socket:
    """Open a stream on a circuit (RFC 1928, RFC 1929); tor gets a few tries.

    Raises:
        PeerError: If it is refused or takes too long.
    """
    for left in reversed(range(_TRIES)):
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(_CONNECTS_WITHIN)
        try:
            _ask(stream, socks, circuit, host, port)
        except (OSError, PeerError) as error:
            stream.close()
            if not left:
                raise PeerError(f"no stream through tor: {error}") from error
        else:
            return stream
    raise AssertionError


def _ask(
    stream: socket.socket, socks: Path, circuit: str, host: str, port: int
) -> None:
    user = circuit.encode()
    stream.connect(str(socks))
    stream.sendall(b"\x05\x01\x02")
    _read(stream, 2)
    stream.sendall(bytes((1, len(user))) + user + b"\x01x")
    _read(stream, 2)
    address = socket.inet_aton(host)
    stream.sendall(b"\x05\x01\x00\x01" + address + struct.pack("!H", port))
    answer = _read(stream, 4)
    if answer[1]:
        raise PeerError(f"SOCKS error {answer[1]}")
    _read(stream, _BOUND_ADDRESS[answer[3]] + 2)


def _read(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = stream.recv(size - len(data))
        if not more:
            raise PeerError("tor closed a stream that was to be opened")
        data += more
    return data


class Downloads(Child):
    """A process that reads as fast as it can from the source, over several circuits."""

    def __init__(
        self, socks: Path, circuits: Sequence[str], source: tuple[str, int]
    ) -> None:
        """Open a stream on each circuit and begin."""
        super().__init__(
            _download, socks, list(circuits), source, name="the downloading application"
        )
        self.receive()

    def received(self) -> int:
        """Return the bytes of all streams so far."""
        return cast("int", self.ask("received"))


def _download(pipe, socks, circuits, source):
    run_child(pipe, lambda: _read_all(pipe, socks, circuits, source))


async def _read_all(pipe: Connection, socks, circuits, source):
    loop = asyncio.get_running_loop()
    buffer = bytearray(262_144)
    total = 0

    def read(stream):
        nonlocal total
        with contextlib.suppress(BlockingIOError):
            size = stream.recv_into(buffer)
            total += size
            if not size:
                loop.remove_reader(stream)

    for circuit in circuits:
        stream = connect(socks, circuit, *source)
        stream.settimeout(0.0)
        loop.add_reader(stream, read, stream)
    pipe.send("begun")
    await answer_until_closed(pipe, lambda: total)


def talk(stream: socket.socket, seconds: float) -> tuple[int, list[float]]:
    """Send voice to the echo; return how many packets, and the round trips in seconds.

    A round trip counts from when its packet was due.
    """
    packets = int(seconds / VOICE_EVERY)
    started = time.perf_counter()
    sent, buffered = 0, b""
    round_trips: list[float] = []
    give_up = started + seconds + VOICE_GIVE_UP
    while len(round_trips) < packets:
        now = time.perf_counter()
        if now > give_up:
            break
        due = started + sent * VOICE_EVERY
        if sent < packets and now >= due:
            stream.sendall(struct.pack("!d", due).ljust(VOICE_BYTES, b"\0"))
            sent += 1
            continue
        wait = (due if sent < packets else give_up) - now
        if not select.select([stream], [], [], max(wait, 0))[0]:
            continue
        buffered += stream.recv(65_536)
        now = time.perf_counter()
        while len(buffered) >= VOICE_BYTES:
            (due,) = struct.unpack_from("!d", buffered)
            round_trips.append(now - due)
            buffered = buffered[VOICE_BYTES:]
    return packets, round_trips
