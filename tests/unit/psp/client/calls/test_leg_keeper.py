"""What the far end can make a callee build and keep (psp/client/calls/leg_keeper.py).

How legs come and go is tested in tests/sim.
"""

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from psp.client.calls.leg_keeper import JOINS_PER_MINUTE, LegKeeper
from psp.endpoint.legs import MAX_LEGS
from psp.testing.simloop import run_simulation
from psp.wire.endpoint import Endpoint
from psp.wire.session_block import LegAction, LegMessage

if TYPE_CHECKING:
    from psp.client.calls.session import ClientSession
    from psp.client.circuit import Circuit
    from psp.client.circuits import CircuitBuilder
    from psp.client.context import ClientContext
    from psp.client.network import ClientNetwork


class Built:
    """A circuit to a rendezvous that answers everything."""

    def __init__(self) -> None:
        self.path = ()
        self.closed = asyncio.get_running_loop().create_future()

    @property
    def is_open(self) -> bool:
        return not self.closed.done()

    async def request(self, _command, _data) -> None:
        pass

    def close(self, reason=None) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)


class Callee:
    """A leg keeper with everything around it made up."""

    def __init__(self) -> None:
        self.built: list[Built] = []
        loop = asyncio.get_running_loop()
        self.session = SimpleNamespace(
            is_caller=False, key=1, closed=loop.create_future(), on_leg_event=None
        )
        log = SimpleNamespace(info=lambda *_, **__: None, warning=lambda *_: None)
        self.keeper = LegKeeper(
            cast("ClientContext", SimpleNamespace(log=log)),
            cast("ClientNetwork", SimpleNamespace(add_leg=lambda *_: None)),
            cast("CircuitBuilder", self),
            cast("ClientSession", self.session),
        )

    async def open(self, *_args, **_options) -> Built:
        circuit = Built()
        self.built.append(circuit)
        await asyncio.sleep(0.1)
        return circuit

    def open_circuits(self) -> int:
        return sum(circuit.is_open for circuit in self.built)


def offer(leg: int) -> LegMessage:
    endpoint = Endpoint("192.0.2.1", 9).encode()
    return LegMessage(LegAction.OFFER, leg, b"n" * 32, endpoint, b"c" * 20)


@pytest.mark.parametrize("legs", [[7] * 12, list(range(1, 13))], ids=["one", "many"])
def test_a_caller_that_offers_legs_again_and_again_leaves_no_circuits_behind(legs):
    async def main(_) -> None:
        callee = Callee()
        first = Built()
        callee.built.append(first)
        callee.keeper.start(cast("Circuit", first))
        for leg in legs:
            callee.session.on_leg_event(offer(leg))
        await asyncio.sleep(1)

        assert len(callee.built) == 1 + JOINS_PER_MINUTE
        assert callee.open_circuits() == len(callee.keeper.legs) <= MAX_LEGS
        callee.session.closed.set_result(None)
        await asyncio.sleep(0)
        assert callee.open_circuits() == 0

    run_simulation(main)
