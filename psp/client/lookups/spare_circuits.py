"""Circuits for look-ups, built before anybody asks for one.

Building a circuit takes several round trips, asking over it takes one. So a few stand
ready, each to another discovery node; each serves one look-up and is closed. They are
built anew when they were used, have died, or are five minutes old: a circuit that waits
for long gives its relays time, and its gateway may have left the list. When nobody has
looked anything up for some time, nothing is built any more until somebody does.

All circuits for look-ups go through here, those on demand as well, and keep a pace: the
guard takes three new circuits a second from one client (`relay.config`), and calls need
some, too.
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from psp.client.circuit import Circuit
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.client.directory import Directory
from psp.client.spare_config import SpareConfig
from psp.errors import PspError
from psp.ids import NodeId
from psp.path.selection import Purpose

__all__ = ["SpareCircuits", "SpareConfig"]


@dataclass(slots=True)
class _Spare:
    circuit: Circuit
    built_at: float


class SpareCircuits:
    """Circuits to discovery nodes, one look-up each."""

    def __init__(
        self,
        context: ClientContext,
        circuits: CircuitBuilder,
        directory: Directory,
        config: SpareConfig | None = None,
    ) -> None:
        """Wire the parts; without `start`, circuits are built on demand only."""
        self._context = context
        self._circuits = circuits
        self._directory = directory
        self._config = config or SpareConfig()
        self._ready: dict[NodeId, _Spare] = {}
        self._building: set[NodeId] = set()
        self._promised: set[NodeId] = set()
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._used_at = float("-inf")
        self._tokens = float(self._config.burst)
        self._counted_at = float("-inf")
        self._waiting = 0

    def __len__(self) -> int:
        """How many stand ready."""
        return sum(self._is_good(spare) for spare in self._ready.values())

    @property
    def is_idle(self) -> bool:
        """Whether nobody has looked anything up for so long that nothing is built."""
        return _now() - self._used_at >= self._config.idle_after

    @property
    def is_pacing(self) -> bool:
        """Whether somebody waits for a turn: more circuits would only wait longer."""
        return self._waiting > 0

    def start(self) -> None:
        """Keep circuits ready from now on; call once, inside the loop."""
        self._used_at = _now()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop, and close what stands ready."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for spare in self._ready.values():
            spare.circuit.close()
        self._ready.clear()

    async def wait_until_ready(self, count: int | None = None) -> None:
        """Return once so many circuits stand ready; all of them by default."""
        wanted = self._config.count if count is None else count
        self._used_at = _now()
        self._wake.set()
        async with self._changed:
            await self._changed.wait_for(lambda: len(self) >= wanted)

    def pick(self, besides: Collection[NodeId]) -> NodeId | None:
        """Return a gateway to `open`: one with a circuit ready if there is one.

        Args:
            besides: Who has been asked already.
        """
        self._used_at = _now()
        for gateway, spare in self._ready.items():
            is_free = gateway not in self._promised and gateway not in besides
            if is_free and self._is_good(spare):
                self._promised.add(gateway)
                return gateway
        sources = self._directory.sources(1, [*besides, *self._building])
        sources = sources or self._directory.sources(1, besides)
        return sources[0] if sources else None

    async def open(self, gateway: NodeId) -> Circuit:
        """Return a circuit to a gateway, which the caller closes; at once if one is ready.

        Raises:
            PspError: As `CircuitBuilder.open` does.
        """
        spare = self._ready.pop(gateway, None)
        self._promised.discard(gateway)
        self._wake.set()
        if spare is not None and self._is_good(spare):
            return spare.circuit
        if spare is not None:
            spare.circuit.close()
        await self.take_turn()
        return await self._circuits.open(Purpose.LOOKUP, last=gateway)

    # ---- in the background

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            self._drop_bad()
            pause = self._config.longest / 4
            if not self.is_idle:
                missing = self._config.count - len(self._ready)
                gateways = self._directory.sources(missing, self._ready)
                built = await asyncio.gather(*map(self._build, gateways))
                if missing and not all(built):
                    pause = self._config.retry_after
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
                    await asyncio.sleep(self._config.refill_after)

    async def _build(self, gateway: NodeId) -> bool:
        self._building.add(gateway)
        try:
            await self.take_turn()
            circuit = await self._circuits.open(Purpose.LOOKUP, last=gateway)
        except PspError as error:
            self._context.log.info("spare_circuit_failed", error=str(error))
            self._directory.record(gateway, is_good=False)
            return False
        finally:
            self._building.discard(gateway)
        self._ready[gateway] = _Spare(circuit, _now())
        async with self._changed:
            self._changed.notify_all()
        return True

    def _drop_bad(self) -> None:
        for gateway in [g for g, s in self._ready.items() if not self._is_good(s)]:
            self._ready.pop(gateway).circuit.close()
        # Whoever was promised one may have been cancelled; it then ends by its age.
        self._promised &= self._ready.keys()

    def _is_good(self, spare: _Spare) -> bool:
        registry = self._context.registry
        age = _now() - spare.built_at
        is_listed = registry.node(spare.circuit.path[-1].node_id) is not None
        return spare.circuit.is_open and age < self._config.longest and is_listed

    async def take_turn(self) -> None:
        """Wait until a further circuit may be begun."""
        now = _now()
        rate, burst = self._config.per_second, self._config.burst
        gained = (now - self._counted_at) * rate
        self._tokens = min(float(burst), self._tokens + gained) - 1.0
        self._counted_at = now
        if self._tokens < 0:
            self._waiting += 1
            try:
                await asyncio.sleep(-self._tokens / rate)
            finally:
                self._waiting -= 1


def _now() -> float:
    return asyncio.get_running_loop().time()
