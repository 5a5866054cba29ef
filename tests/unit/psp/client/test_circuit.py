"""One circuit as something to await (psp/client/circuit.py)."""

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from psp.circuit.events import (
    CircuitBuilt,
    CircuitClosed,
    HopAdded,
    NoticeReceived,
    Pong,
    RequestAnswered,
    RequestFailed,
    RequestReceived,
    Truncated,
)
from psp.circuit.origin import OriginCircuit
from psp.client.circuit import (
    MAX_HANDLERS_AT_ONCE,
    Circuit,
    CircuitError,
    RequestError,
)
from psp.runtime.ports import RefusedError
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.units import Monotonic, Seconds
from psp.wire.cell import Reason
from psp.wire.relay_message import RelayCommand

if TYPE_CHECKING:
    from psp.netdoc.node_record import NodeRecord

LOOKUP = RelayCommand.LOOKUP


class Machine:
    """Owner and machine of one circuit: notes what it is told."""

    def __init__(self) -> None:
        self.is_gone = False
        self.streams = 0
        self.done: list[tuple[object, ...]] = []

    # -- the owner

    def now(self) -> Monotonic:
        return Monotonic(asyncio.get_running_loop().time())

    def origin(self, key: int) -> OriginCircuit:
        if self.is_gone:
            raise CircuitError(Reason.LINK_CLOSED)
        return cast("OriginCircuit", self)

    def touch(self, key: int) -> None:
        pass

    def close_circuit(self, key: int, reason: Reason) -> None:
        self.is_gone = True
        self.done.append(("close", reason))

    # -- the machine

    def request(self, command: RelayCommand, data: bytes, now: float, hop: int) -> int:
        self.streams += 1
        self.done.append(("request", command, data, hop))
        return self.streams

    def answer(self, hop: int, stream_id: int, data: bytes, now: float) -> None:
        self.done.append(("answer", stream_id, data))

    def refuse(self, hop: int, stream_id: int, reason: Reason, now: float) -> None:
        self.done.append(("refuse", stream_id, reason))

    def ping(self, hop: int, now: float) -> None:
        self.done.append(("ping", hop))

    def handshake_hash(self, hop: int) -> bytes:
        return bytes([hop]) * 32


def new_circuit(hops: int = 3) -> tuple[Machine, Circuit]:
    machine = Machine()
    path = cast("list[NodeRecord]", [object()] * hops)
    return machine, Circuit(machine, 7, path)


def simulate(main):
    async def run(_: SimHub):
        return await main()

    return run_simulation(run)


def closed(
    reason: Reason = Reason.LINK_CLOSED, hop: int | None = None
) -> CircuitClosed:
    return CircuitClosed(reason, hop, is_remote=True)


def asked(stream_id: int, command: RelayCommand = LOOKUP) -> RequestReceived:
    return RequestReceived(3, stream_id, command, b"question")


def test_a_circuit_is_built_hop_by_hop():
    async def main():
        _, circuit = new_circuit()
        circuit.receive(HopAdded(2))
        circuit.receive(CircuitBuilt(Seconds(0.7)))
        await circuit.built
        return circuit.hops_added, circuit.build_time, circuit.handshake_hash

    assert simulate(main) == (2, 0.7, b"\3" * 32)


def test_a_build_that_fails_says_where():
    async def main():
        _, circuit = new_circuit()
        circuit.receive(closed(Reason.TIMEOUT, 2))
        with pytest.raises(CircuitError, match="circuit ended at hop 2: timeout"):
            await circuit.built
        assert circuit.failed_hop == 2
        return circuit.closed.result()

    assert simulate(main) is Reason.TIMEOUT


def test_a_circuit_that_lost_its_last_hop_is_closed():
    """A relay on the way says so; nobody waits for a hop that is not there."""

    async def main():
        machine, circuit = new_circuit()
        circuit.receive(CircuitBuilt(Seconds(0.7)))
        circuit.receive(Truncated(2, Reason.LINK_CLOSED))
        return machine.done

    assert simulate(main) == [("close", Reason.LINK_CLOSED)]


def test_answers_find_their_requests_in_any_order():
    async def main():
        _, circuit = new_circuit()
        first = asyncio.create_task(circuit.request(LOOKUP, b"1"))
        second = asyncio.create_task(circuit.request(LOOKUP, b"2", hop=1))
        await asyncio.sleep(0)
        circuit.receive(RequestAnswered(1, 2, LOOKUP, b"two", None))
        circuit.receive(RequestAnswered(3, 1, LOOKUP, b"one", None))
        circuit.receive(RequestAnswered(3, 1, LOOKUP, b"again", None))
        return await first, await second

    assert simulate(main) == (b"one", b"two")


def test_a_refusal_is_an_error_with_its_reason():
    async def main():
        _, circuit = new_circuit()
        request = asyncio.create_task(circuit.request(LOOKUP, b"1"))
        await asyncio.sleep(0)
        circuit.receive(
            RequestFailed(3, 1, LOOKUP, Reason.RESOURCE_LIMIT, is_refused=True)
        )
        with pytest.raises(RequestError, match="lookup: resource_limit") as caught:
            await request
        return caught.value.reason

    assert simulate(main) is Reason.RESOURCE_LIMIT


def test_the_end_of_a_circuit_ends_its_requests():
    async def main():
        _, circuit = new_circuit()
        request = asyncio.create_task(circuit.request(LOOKUP, b"1"))
        await asyncio.sleep(0)
        circuit.receive(closed())
        with pytest.raises(CircuitError):
            await request
        with pytest.raises(CircuitError):
            await circuit.request(LOOKUP, b"2")
        circuit.receive(closed())
        return circuit.is_open

    assert simulate(main) is False


def test_a_request_that_nobody_waits_for_any_more_is_forgotten():
    async def main():
        _, circuit = new_circuit()
        request = asyncio.create_task(circuit.request(LOOKUP, b"1"))
        await asyncio.sleep(0)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        circuit.receive(RequestAnswered(3, 1, LOOKUP, b"late", None))
        circuit.receive(closed())

    simulate(main)


def test_one_pong_answers_everybody_who_asked_that_hop():
    async def main():
        _, circuit = new_circuit()
        pings = [
            asyncio.create_task(circuit.ping(hop, Seconds(1.0))) for hop in (1, 1, 2)
        ]
        await asyncio.sleep(0.1)
        circuit.receive(Pong(1, Seconds(0.05)))
        circuit.receive(Pong(3, Seconds(0.05)))
        return await asyncio.gather(*pings)

    assert simulate(main) == [0.05, 0.05, None]


def test_a_ping_of_a_circuit_that_ends_finds_silence_at_once():
    async def main():
        machine, circuit = new_circuit()
        ping = asyncio.create_task(circuit.ping(1, Seconds(60.0)))
        await asyncio.sleep(0.1)
        machine.is_gone = True
        circuit.receive(closed())
        assert await ping is None
        assert await circuit.ping(2, Seconds(60.0)) is None
        return asyncio.get_running_loop().time()

    assert simulate(main) < 1.0


def test_requests_of_the_relay_get_the_handlers_answer():
    async def main():
        machine, circuit = new_circuit()

        async def handler(data: bytes) -> bytes:
            return data.upper()

        circuit.serve(LOOKUP, handler)
        circuit.receive(asked(4))
        circuit.receive(asked(6, RelayCommand.FETCH))
        await asyncio.sleep(0.1)
        return machine.done

    assert simulate(main) == [
        ("refuse", 6, Reason.REFUSED),
        ("answer", 4, b"QUESTION"),
    ]


def test_a_handler_may_refuse():
    async def main():
        machine, circuit = new_circuit()

        async def handler(_: bytes) -> bytes:
            raise RefusedError(Reason.RESOURCE_LIMIT)

        circuit.serve(LOOKUP, handler)
        circuit.receive(asked(4))
        await asyncio.sleep(0.1)
        return machine.done

    assert simulate(main) == [("refuse", 4, Reason.RESOURCE_LIMIT)]


def test_a_flood_of_requests_makes_no_more_tasks_than_allowed():
    async def main():
        machine, circuit = new_circuit()

        async def handler(_: bytes) -> bytes:
            await asyncio.sleep(1.0)
            return b""

        circuit.serve(LOOKUP, handler)
        for stream_id in range(100):
            circuit.receive(asked(stream_id))
        refused = len(machine.done)
        circuit.receive(closed())
        await asyncio.sleep(2.0)
        return refused, len(machine.done)

    assert simulate(main) == (100 - MAX_HANDLERS_AT_ONCE,) * 2


def test_a_request_that_comes_with_the_end_of_its_circuit_is_survived():
    async def main():
        machine, circuit = new_circuit()
        machine.is_gone = True  # the machine knows, the circuit is told next
        circuit.receive(asked(4))
        assert await circuit.ping(1, Seconds(1.0)) is None
        circuit.receive(closed())
        return machine.done

    assert simulate(main) == []


def test_the_rendezvous_says_that_it_has_joined():
    async def main():
        _, circuit = new_circuit()
        circuit.receive(NoticeReceived(3, RelayCommand.JOINED))
        return circuit.joined.is_set()

    assert simulate(main) is True
