"""A session as an app sees it (psp/client/calls/session.py)."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pytest

from psp.client.calls.session import (
    MAX_MESSAGES_WAITING,
    ClientSession,
    SessionClosedError,
)
from psp.crypto.kdf import LayerKeys
from psp.crypto.session import SessionKeys
from psp.endpoint.session import (
    DatagramsReceived,
    LegLost,
    LegMessageReceived,
    MessageReceived,
    RoomMade,
    Session,
    SessionClosed,
    SessionEvent,
    SessionSilent,
)
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.units import Monotonic
from psp.wire.cell import Reason
from psp.wire.session_block import LegAction, LegMessage

if TYPE_CHECKING:
    from psp.client.network import ClientNetwork

KEYS = SessionKeys(LayerKeys(b"a" * 32, 1, b""), LayerKeys(b"b" * 32, 1, b""), b"")


class Network:
    """Holds one session."""

    def __init__(self) -> None:
        self.tell: Callable[[SessionEvent], None] = lambda _: None
        self.touched = 0
        self.removed: list[int] = []

    def add_session(
        self, session: Session, listener: Callable[[SessionEvent], None]
    ) -> int:
        self.tell = listener
        return 3

    def touch_session(self, key: int) -> None:
        self.touched += 1

    def remove_session(self, key: int) -> None:
        self.removed.append(key)


def simulate(main):
    async def run(_: SimHub):
        network = Network()
        session = ClientSession(
            cast("ClientNetwork", network),
            Session(KEYS, Monotonic(0.0)),
            peer=None,
            is_caller=True,
        )
        return await main(network, session)

    return run_simulation(run)


def test_datagrams_go_to_the_listener_one_by_one_and_early_ones_wait_for_it():
    async def main(network, session):
        heard: list[bytes] = []
        network.tell(DatagramsReceived([b"0"]))
        session.on_datagram(heard.append)
        network.tell(DatagramsReceived([b"1", b"2"]))
        session.send(b"3")
        assert network.touched == 1
        return heard

    assert simulate(main) == [b"0", b"1", b"2"]


def test_messages_wait_for_the_app_in_order_even_past_the_end():
    async def main(network, session):
        network.tell(MessageReceived(b"1"))
        network.tell(MessageReceived(b"2"))
        network.tell(SessionClosed(Reason.TIMEOUT))
        read = [await session.receive_message(), await session.receive_message()]
        with pytest.raises(SessionClosedError, match="session closed: timeout"):
            await session.receive_message()
        return read, network.removed

    assert simulate(main) == ([b"1", b"2"], [3])


def test_who_waits_for_a_message_learns_of_the_end():
    async def main(network, session):
        waiting = asyncio.create_task(session.receive_message())
        await asyncio.sleep(1.0)
        session.close()
        with pytest.raises(SessionClosedError) as caught:
            await waiting
        return caught.value.reason

    assert simulate(main) is Reason.REQUESTED


def test_an_app_that_does_not_read_loses_the_session_not_the_memory():
    async def main(network, session):
        for number in range(MAX_MESSAGES_WAITING + 1):
            network.tell(MessageReceived(b"%d" % number))
        return session.closed.done(), network.removed

    assert simulate(main) == (True, [3])


def test_the_end_is_told_once_and_nothing_can_be_sent_after():
    async def main(network, session):
        told: list[str] = []
        session.on_close(lambda: told.append("closed"))
        session.close()
        session.close()
        network.tell(SessionClosed(Reason.REQUESTED))
        for send in (session.send, session.send_message):
            with pytest.raises(SessionClosedError, match="requested") as raised:
                send(b"x")
            assert isinstance(raised.value, ConnectionError)
        return told, session.closed.result()

    assert simulate(main) == (["closed"], Reason.REQUESTED)


def test_leg_events_go_to_who_keeps_the_legs():
    async def main(network, session):
        events: list[object] = []
        session.on_leg_event = events.append
        message = LegMessage(LegAction.OFFER, 1, bytes(32), bytes(24), bytes(20))
        network.tell(LegMessageReceived(message))
        network.tell(LegLost(1))
        network.tell(SessionSilent())
        session.send_leg_message(message)
        return events == [message, LegLost(1), SessionSilent()], session.live_legs

    assert simulate(main) == (True, [])


def test_who_has_much_to_send_waits_for_room():
    async def main(network, session):
        room = await session.ready()
        for _ in range(room):
            session.send(b"x")
        waiting = asyncio.create_task(session.ready())
        await asyncio.sleep(1.0)
        assert not waiting.done()
        assert session.sending.queued == room
        network.tell(RoomMade())  # of before; there is none left
        await asyncio.sleep(1.0)
        assert not waiting.done()

        waiting.cancel()
        return room, session.bitrate, session.sending.dropped

    room, bitrate, dropped = simulate(main)
    assert room >= 1
    assert (bitrate, dropped) == (2_000_000, 0)


def test_who_waits_for_room_learns_of_the_end():
    async def main(network, session):
        for _ in range(await session.ready()):
            session.send(b"x")
        waiting = asyncio.create_task(session.ready())
        await asyncio.sleep(1.0)
        session.close()
        with pytest.raises(SessionClosedError):
            await waiting
        with pytest.raises(SessionClosedError):
            await session.ready()

    simulate(main)
