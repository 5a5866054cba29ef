"""The builds that run for one wish: the first that is built wins (R-PATH-6)."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from psp.bandwidth import Bandwidth
from psp.client.circuit import Circuit, CircuitError
from psp.ids import NodeId
from psp.path.selection import Path, Purpose
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint


class BandwidthError(CircuitError):
    """Relays on every path tried have promised their bandwidth to others."""

    def __init__(self, least: int) -> None:
        """Say how much was needed, in kbit/s."""
        super().__init__(Reason.BANDWIDTH)
        self._least = least

    def __str__(self) -> str:
        return (
            f"no relay on the path grants {self._least} kbit/s; try again in a minute, "
            "or ask for less (min_kbit_per_s in [call])"
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """What a circuit is wanted for; see `CircuitBuilder.open`."""

    purpose: Purpose
    last: NodeId | None
    avoid: frozenset[NodeId]
    second_guard: bool = False
    length: int | None = None
    endpoint: Endpoint | None = None


class Builder(Protocol):
    """What starts builds, and learns from them; `CircuitBuilder` is one."""

    call_bandwidth: Bandwidth

    @property
    def race_after(self) -> float:
        """Seconds after which a build counts as slow."""
        ...

    @property
    def most(self) -> tuple[int, int]:
        """How many builds at the same time, and in all."""
        ...

    def choose(self, wish: Wish, besides: Collection[NodeId]) -> Path:
        """Choose a path, without ``besides`` if possible."""
        ...

    def start(self, path: Path, asked: Sequence[Bandwidth]) -> Circuit:
        """Start one build; ``asked`` is for each relay, if for any."""
        ...

    def asked(self, wish: Wish, path: Path) -> list[Bandwidth]:
        """Return what each relay is asked for."""
        ...

    def learn(self, circuit: Circuit, *, is_for_later: bool = False) -> None:
        """Take note of how a build ended."""


class Race:
    """Builds for one wish, the first of them perhaps nearly done.

    Attributes:
        is_for_later: Whether the last hop can wait, and no bandwidth is wanted.
    """

    is_for_later = False

    def __init__(
        self, builder: Builder, wish: Wish, begun: Circuit | None = None
    ) -> None:
        self._builder = builder
        self._wish = wish
        self._running = [begun] if begun else []
        self._started = 0
        self._last_error = CircuitError(Reason.TIMEOUT)

    async def run(self) -> Circuit:
        """Return the first circuit that is built."""
        is_begun = bool(self._running)
        while True:
            if not is_begun and self._may_start():
                self._start()
            is_begun = False
            if not self._running:
                raise self._last_error
            await asyncio.wait(
                [circuit.built for circuit in self._running],
                timeout=self._builder.race_after if self._may_start() else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for circuit in list(self._running):
                if circuit.built.done():
                    self._running.remove(circuit)
                    self._builder.learn(circuit, is_for_later=self.is_for_later)
                    error = circuit.built.exception()
                    if error is None:
                        return circuit
                    if isinstance(error, CircuitError):
                        self._last_error = self._explain(error)

    def close(self) -> None:
        """Give up the builds that lost."""
        for circuit in self._running:
            circuit.close()
        self._running.clear()

    def _may_start(self) -> bool:
        at_once, in_all = self._builder.most
        return len(self._running) < at_once and self._started < in_all

    def _start(self) -> None:
        # The guard stays: a slow build must not move the client to another one.
        besides = {
            node.node_id for circuit in self._running for node in circuit.path[1:-1]
        }
        path = self._builder.choose(self._wish, besides)
        asked = self._builder.asked(self._wish, path)
        if self.is_for_later:
            # A grant would be held for nothing, and lost after a minute of silence.
            path, asked = replace(path, hops=path.hops[:-1]), []
        self._running.append(self._builder.start(path, asked))
        self._started += 1

    def _explain(self, error: CircuitError) -> CircuitError:
        if error.reason is not Reason.BANDWIDTH:
            return error
        return BandwidthError(self._builder.call_bandwidth.min_kbit_per_s)
