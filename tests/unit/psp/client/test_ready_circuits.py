"""Circuits for calls that stand ready (psp/client/ready_circuits.py)."""

import asyncio
from typing import TYPE_CHECKING, cast

from psp.client.circuit import CircuitError
from psp.client.ready_circuits import (
    COUNT,
    LONGEST,
    LOOK_EVERY,
    TO_BE_CALLED,
    TO_CALL,
    Kind,
    ReadyBuilder,
    ReadyCircuits,
)
from psp.testing.simloop import run_simulation
from psp.wire.cell import Reason

if TYPE_CHECKING:
    from psp.netdoc.node_record import NodeRecord

KIND = TO_CALL[0]
NODE = object()


class Built:
    """A circuit that was built."""

    def __init__(self) -> None:
        self.is_open = True
        self.was_cut = False
        self.path = ()

    def close(self) -> None:
        self.is_open = False


class Works:
    """Builds at once, or fails."""

    def __init__(self, kinds=TO_CALL) -> None:
        self.kinds = kinds
        self.built: list[tuple[Kind, Built]] = []
        self.retired: list[Built] = []
        self.is_down = False
        self.turns = 0
        self.ready = ReadyCircuits(
            cast("ReadyBuilder", self), lambda: self.kinds, self._take_turn
        )

    async def open_ready(self, kind: Kind) -> Built:
        if self.is_down:
            raise CircuitError(Reason.TIMEOUT)
        circuit = Built()
        self.built.append((kind, circuit))
        return circuit

    def retire_ready(self, circuit: Built) -> None:
        self.retired.append(circuit)

    async def _take_turn(self) -> None:
        self.turns += 1

    @property
    def open(self) -> list[Kind]:
        return [kind for kind, circuit in self.built if circuit.is_open]


def while_ready(works: Works, then):
    async def main(_) -> None:
        works.ready.start()
        await asyncio.sleep(1)
        await then()
        await works.ready.close()
        assert works.open == []

    run_simulation(main)


def test_some_of_each_kind_stand_ready_and_each_waits_for_its_turn():
    works = Works((*TO_CALL, *TO_BE_CALLED))

    async def then() -> None:
        assert {kind: works.open.count(kind) for kind in works.kinds} == dict.fromkeys(
            works.kinds, COUNT
        )
        assert len(works.ready) == works.turns == len(works.kinds) * COUNT

    while_ready(works, then)


def test_one_that_is_taken_is_handed_out_once_and_replaced():
    works = Works()

    async def then() -> None:
        taken = [works.ready.take(KIND, lambda _: NODE) for _ in range(COUNT + 1)]
        circuits = [each[0] for each in taken if each is not None]
        assert len({id(circuit) for circuit in circuits}) == COUNT
        assert taken[-1] is None
        await asyncio.sleep(LOOK_EVERY + 1)
        assert works.ready.take(KIND, lambda _: NODE) is not None
        for _, circuit in works.built:
            circuit.close()

    while_ready(works, then)


def test_one_that_does_not_fit_makes_way_for_another():
    works = Works()

    async def then() -> None:
        first, second = [circuit for kind, circuit in works.built if kind == KIND]
        taken = works.ready.take(KIND, lambda each: NODE if each is second else None)
        assert taken == (second, NODE)
        assert not first.is_open
        second.close()
        await asyncio.sleep(LOOK_EVERY + 1)
        assert works.ready.take(KIND, lambda _: None) is None
        await asyncio.sleep(LOOK_EVERY + 1)
        assert works.open.count(KIND) == COUNT

    while_ready(works, then)


def test_what_has_ended_or_is_old_is_built_anew():
    works = Works()

    async def then() -> None:
        first = [circuit for _, circuit in works.built]
        first[0].close()
        assert len(works.ready) == len(first) - 1
        await asyncio.sleep(LONGEST * 1.2)
        assert not any(circuit.is_open for circuit in first)
        assert len(works.ready) == len(first)

    while_ready(works, then)


def test_kinds_that_are_not_wanted_any_more_are_closed():
    works = Works()

    async def then() -> None:
        works.kinds = TO_CALL[:1]
        await asyncio.sleep(LOOK_EVERY)
        assert works.open == [KIND] * COUNT

    while_ready(works, then)


def test_builds_that_fail_are_tried_again():
    works = Works()
    works.is_down = True

    async def then() -> None:
        assert len(works.ready) == 0
        works.is_down = False
        await asyncio.sleep(10)
        assert len(works.ready) == len(TO_CALL) * COUNT

    while_ready(works, then)


def test_the_builder_is_told_of_those_that_served_nothing():
    works = Works()

    async def then() -> None:
        (kind, _), (_, ended), *_ = works.built
        ended.is_open = False
        await asyncio.sleep(2 * LOOK_EVERY)
        assert works.retired == [ended]
        taken = works.ready.take(kind, lambda _: cast("NodeRecord", NODE))
        await asyncio.sleep(LONGEST + LOOK_EVERY)
        assert taken is not None
        assert taken[0] not in works.retired
        taken[0].close()
        assert len(works.retired) == len(works.built) - len(works.ready) - 1

    while_ready(works, then)
