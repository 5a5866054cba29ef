"""Three real relays and both ends of a call, each a process at its place.

::

    client --> relay 1 --> relay 2 --> relay 3 <-- server
               guard       middle      rendezvous   (one hop)

Three relays lie between the two ends, as between a Tor client and a server behind its
exit. The session through them is the real one, end to end; its keys are agreed here, as
both ends are in our hand.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from cli.bench.child import Child
from cli.bench.path_end import EndProcess
from cli.bench.place import LOOPBACK, Place
from cli.bench.processes import Node, RelayProcess
from cli.bench.relay import CONFIG
from psp.crypto.kdf import Direction, Label, layer_keys
from psp.crypto.primitives import KEY_SIZE
from psp.crypto.session import SessionKeys
from psp.ids import COOKIE_SIZE, Cookie
from psp.runtime.entropy import SystemEntropy
from psp.wire.relay_message import RelayCommand

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Places:
    """Where each process runs."""

    relays: tuple[Place, Place, Place] = (LOOPBACK, LOOPBACK, LOOPBACK)
    client: Place = LOOPBACK
    server: Place = LOOPBACK
    other_client: Place = LOOPBACK
    other_server: Place = LOOPBACK


@dataclass(slots=True)
class Pair:
    """Two ends, and how many sessions they have with each other."""

    client: EndProcess
    server: EndProcess
    sessions: int = 0

    def sender(self, direction: str) -> EndProcess:
        """Return who sends: the client ``up``, the server ``down``."""
        return self.client if direction == "up" else self.server

    def receiver(self, direction: str) -> EndProcess:
        """Return who receives."""
        return self.server if direction == "up" else self.client


class PathRig:
    """The processes of one measurement; use as a context manager.

    Attributes:
        relays: In the order of the path.
        pair: The two ends.
        children: Everybody.
        say: Told how things go.
    """

    def __init__(self, places: Places, say: Say) -> None:
        self.say = say
        self.children: list[Child] = []
        self._places = places
        self._entropy = SystemEntropy()
        self._other: Pair | None = None
        self._phase = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def path(self) -> list[Node]:
        """The client's path."""
        return [relay.node for relay in self.relays]

    def connect(self, pair: Pair, sessions: int = 1) -> None:
        """See that two ends have so many sessions, each over circuits of its own."""
        while pair.sessions < sessions:
            cookie = Cookie(self._entropy.token(COOKIE_SIZE))
            pair.client.call("meet", self.path, RelayCommand.ESTABLISH, cookie)
            pair.server.call("meet", self.path[-1:], RelayCommand.JOIN, cookie)
            self._open_sessions(pair, 1)

    def connect_kept(self, pair: Pair, count: int) -> None:
        """Open sessions over as many idle circuits of both ends."""
        cookies = [Cookie(self._entropy.token(COOKIE_SIZE)) for _ in range(count)]
        pair.client.call("meet_kept", RelayCommand.ESTABLISH, cookies, within=120.0)
        pair.server.call("meet_kept", RelayCommand.JOIN, cookies, within=120.0)
        self._open_sessions(pair, count)

    def next_phase(self) -> int:
        """Return a number for a new phase of bulk."""
        self._phase = (self._phase + 1) % 256
        return self._phase

    def other_pair(self) -> Pair:
        """Return another client and another server, with a session of their own."""
        if self._other is None:
            places = self._places
            client = EndProcess(places.other_client, "the other client")
            self._add(client)
            server = EndProcess(places.other_server, "the other server")
            self._add(server)
            self._other = Pair(client, server)
            self.connect(self._other)
        return self._other

    def _start(self) -> None:
        self.say("starting three relays and two ends")
        self.relays: list[RelayProcess] = []
        for number, place in enumerate(self._places.relays, 1):
            relay = RelayProcess(CONFIG, place=place, name=f"relay {number}")
            self.relays.append(relay)
            self._add(relay)
        for relay in self.relays:
            relay.introduce(self.path)
        client = EndProcess(self._places.client, "the client")
        self._add(client)
        server = EndProcess(self._places.server, "the server")
        self._add(server)
        self.pair = Pair(client, server)

    def _add(self, child: Child) -> None:
        self._stack.enter_context(child)
        self.children.append(child)

    def _open_sessions(self, pair: Pair, count: int) -> None:
        """Agree on keys; the circuits have been joined."""
        keys = [self._session_keys() for _ in range(count)]
        callers, callees = zip(*keys, strict=True)
        pair.client.call("call", callers)
        pair.server.call("accept", callees)
        pair.sessions += count

    def _session_keys(self) -> tuple[SessionKeys, SessionKeys]:
        """Return the caller's and the callee's."""
        shared = self._entropy.token(KEY_SIZE)
        forward, backward = (
            layer_keys(
                self._entropy.token(KEY_SIZE),
                self._entropy.token(4),
                label=Label.SESSION,
                direction=direction,
                handshake_hash=shared,
            )
            for direction in (Direction.FORWARD, Direction.BACKWARD)
        )
        return (
            SessionKeys(forward, backward, shared),
            SessionKeys(backward, forward, shared),
        )
