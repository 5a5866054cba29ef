"""A whole network for calls: relays in one process, each of two users in its own.

Everybody has an address of their own if they are given places of their own. As in a
network that is used, relays have links to each other already, and there are so many that
the circuits a client keeps ready mostly fit.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.assembly import RelayNode
from cli.bench.call_user import UserProcess
from cli.bench.child import Child, answer_until_closed, cpu_seconds, run_child
from cli.bench.place import LOOPBACK, Place
from cli.demo.plan import NetworkPlan, free_ports, make_plan
from cli.node_config import NodeConfig
from psp.runtime import keyfiles
from psp.runtime.entropy import SystemEntropy

RELAYS = 20
DISCOVERY_NODES = 4
CALLER, CALLEE = "bob", "alice"


@dataclass(frozen=True, slots=True)
class CallPlaces:
    """Where each runs; the number of relays is the network's."""

    relays: tuple[Place, ...] = (LOOPBACK,) * RELAYS
    caller: Place = LOOPBACK
    callee: Place = LOOPBACK


class RelaysProcess(Child):
    """All relays in one child; use as a context manager."""

    def __init__(self, configs: Sequence[NodeConfig], places: Sequence[Place]) -> None:
        """Start it and wait until all serve."""
        super().__init__(_run_relays, list(configs), list(places), name="the relays")
        self.receive()

    def cpu(self) -> float:
        """Ask for the seconds it used."""
        used = self.ask("cpu")
        assert isinstance(used, float)  # noqa: S101 - our own child's answer
        return used


class CallNetwork:
    """The processes; use as a context manager.

    Attributes:
        relays: All of them.
        caller: Who calls.
        callee: Who is called.
        calls: When each call began, seconds of the monotonic clock.
    """

    relays: RelaysProcess
    caller: UserProcess
    callee: UserProcess

    def __init__(self, folder: Path, places: CallPlaces) -> None:
        """Plan it; entering starts it.

        Args:
            folder: For all files; empty.
            places: Where each runs.
        """
        self.calls: list[float] = []
        self._folder = folder
        self._places = places
        self._stack = contextlib.ExitStack()

    @property
    def children(self) -> list[Child]:
        """All processes."""
        return [self.relays, self.caller, self.callee]

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            places = self._places
            plan = make_plan(
                self._folder,
                free_ports(len(places.relays)),
                [CALLER, CALLEE],
                hosts=[place.host for place in places.relays],
                discovery=DISCOVERY_NODES,
                entropy=SystemEntropy(),
                unix_now=time.time(),
            )
            configs = [_linked(relay.config) for relay in plan.relays]
            self.relays = stack.enter_context(RelaysProcess(configs, places.relays))
            self.caller = stack.enter_context(_user(plan, CALLER, places.caller))
            self.callee = stack.enter_context(_user(plan, CALLEE, places.callee))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


def _linked(config: NodeConfig) -> NodeConfig:
    return replace(config, relay=replace(config.relay, neighbours=RELAYS))


def _user(plan: NetworkPlan, name: str, place: Place) -> UserProcess:
    identity = plan.users[name]
    config = replace(plan.client_config(name), bind=place.host)
    key = plan.folder / name / "identity.key"
    seed = identity.key.seed + identity.discovery_secret
    keyfiles.create(key, seed, entropy=SystemEntropy())
    return UserProcess(name, config, key, place)


def _run_relays(
    pipe: Connection, configs: list[NodeConfig], places: list[Place]
) -> None:
    run_child(pipe, lambda: _serve(pipe, configs, places))


async def _serve(
    pipe: Connection, configs: list[NodeConfig], places: list[Place]
) -> None:
    nodes = []
    for config, place in zip(configs, places, strict=True):
        place.enter()  # a socket stays where it was opened
        node = RelayNode(config)
        await node.start()
        nodes.append(node)
    pipe.send("ready")
    await answer_until_closed(pipe, cpu_seconds)
    for node in nodes:
        await node.stop()
