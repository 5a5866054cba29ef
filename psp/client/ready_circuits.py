"""Circuits for calls, built before anybody calls, all but the last hop.

Building three hops over links of 40 ms takes half a second, adding the last one half of
that, and a call builds three circuits one after the other. So a few of each kind stand
ready. Each serves one call, and is built anew when it was used, has died, or is old.
Those to call with are kept while the client looks users up or calls now and then, those
to be called with while it is announced.

One that cannot have the wanted last hop, by the rules for paths, makes way for another:
who calls the same people again would have nothing but such ones in the end. If none can,
a circuit is built as if none were ready (`CircuitBuilder`). Only the last hop is asked for
bandwidth: most ready circuits never carry a call.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from psp.client.circuit import Circuit
from psp.errors import PspError
from psp.netdoc.node_record import NodeRecord
from psp.path.selection import Purpose
from psp.units import Seconds

COUNT = 2
"""Of each kind: in a small network every other last hop is one of the relays of the
first."""
LONGEST = Seconds(840.0)
"""One that waits for long gives its relays time; each takes some 25 kB to build. Relays
close what carries nothing for 900 s, which is not to be held against anybody."""
LOOK_EVERY = Seconds(2.0)
"""For what is missing, wanted no more, or ended."""
RETRY_AFTER = Seconds(5.0)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a ready circuit is for.

    Attributes:
        purpose: What it will serve.
        length: Hops, with the one that is added when it is known.
    """

    purpose: Purpose
    length: int


TO_CALL = (Kind(Purpose.RENDEZVOUS_CALLER, 3), Kind(Purpose.INTRODUCTION, 3))
TO_BE_CALLED = (
    Kind(Purpose.RENDEZVOUS_CALLEE, 4),
    Kind(Purpose.RENDEZVOUS_CALLEE, 3),
)


class ReadyBuilder(Protocol):
    """What builds them; `CircuitBuilder` is one."""

    async def open_ready(self, kind: Kind) -> Circuit:
        """Return a circuit of this kind, built but for the last hop.

        Raises:
            PspError: If none could be built.
        """
        ...

    def retire_ready(self, circuit: Circuit) -> None:
        """Take note of one that stood ready until it was ended or too old."""


class ReadyCircuits:
    """A few circuits of each kind that is wanted."""

    def __init__(
        self,
        builder: ReadyBuilder,
        kinds: Callable[[], Collection[Kind]],
        take_turn: Callable[[], Awaitable[None]],
    ) -> None:
        """Wire the parts; nothing is built before `start`.

        Args:
            builder: Builds.
            kinds: Tells which are wanted now.
            take_turn: Waits until the guard takes a further circuit.
        """
        self._builder = builder
        self._kinds = kinds
        self._take_turn = take_turn
        self._ready: list[_Ready] = []
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many stand ready."""
        return sum(each.is_good for each in self._ready)

    def start(self) -> None:
        """Keep circuits ready from now on; call once, inside the loop."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop, and close what stands ready."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._keep(())

    def take(
        self, kind: Kind, fits: Callable[[Circuit], NodeRecord | None]
    ) -> tuple[Circuit, NodeRecord] | None:
        """Hand out a circuit, for good, with the last hop that it fits.

        Those that were looked at in vain are closed, to be replaced.

        Args:
            kind: Which.
            fits: Chooses a last hop for a circuit; None if it must not have it.
        """
        for each in list(self._ready):
            if each.kind != kind or not each.is_good:
                continue
            self._ready.remove(each)
            if (last := fits(each.circuit)) is not None:
                return each.circuit, last
            each.circuit.close()
        return None

    async def _run(self) -> None:
        while True:
            kinds = self._kinds()
            self._keep(kinds)
            counts = Counter(each.kind for each in self._ready)
            missing = [kind for kind in kinds for _ in range(COUNT - counts[kind])]
            are_built = await asyncio.gather(*map(self._build, missing))
            await asyncio.sleep(LOOK_EVERY if all(are_built) else RETRY_AFTER)

    async def _build(self, kind: Kind) -> bool:
        await self._take_turn()
        try:
            circuit = await self._builder.open_ready(kind)
        except PspError:
            return False
        self._ready.append(_Ready(kind, circuit, _now()))
        return True

    def _keep(self, kinds: Collection[Kind]) -> None:
        """Close what is of no use, or not of these kinds."""
        kept = [each for each in self._ready if each.is_good and each.kind in kinds]
        for each in self._ready:
            if each in kept:
                continue
            self._builder.retire_ready(each.circuit)
            each.circuit.close()
        self._ready = kept


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    kind: Kind
    circuit: Circuit
    built_at: float

    @property
    def is_good(self) -> bool:
        return self.circuit.is_open and _now() - self.built_at < LONGEST


def _now() -> float:
    return asyncio.get_running_loop().time()
