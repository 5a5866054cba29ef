"""Handshake messages over a bad rendezvous (psp/client/calls/handshake.py)."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from psp.client.calls.handshake import CalleeHandshake, CallerHandshake
from psp.client.circuit import Circuit
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.crypto.session import SessionInitiator, SessionResponder
from psp.endpoint.session import DatagramsReceived, Session
from psp.ids import COOKIE_SIZE, Cookie, UserId
from psp.netdoc.presence_keys import UserSigner
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.units import Monotonic, Seconds
from psp.wire.onion import BLOCK_SIZE
from psp.wire.session_block import HANDSHAKE_MAGIC

CALLER = SigningKey.generate(SeededEntropy("caller"))
CALLEE = UserId(SigningKey.generate(SeededEntropy("callee")).public)


@dataclass(eq=False)
class End:
    """The circuit of one side, as the handshake uses it."""

    joined: asyncio.Event = field(default_factory=asyncio.Event)
    on_handshake_block: Callable[[bytes], None] = lambda _: None


class Rendezvous:
    """Copies blocks from end to end: late, twice, never, and some of its own."""

    def __init__(
        self, *, loss: float = 0.0, double: float = 0.0, forged: float = 0.0
    ) -> None:
        self.ends = (End(), End())
        self.dice = random.Random(4)
        self.loss, self.double, self.forged = loss, double, forged
        self.sent: list[bytes] = []

    def send_blocks(self, circuit: Circuit, blocks: list[bytes]) -> None:
        end = cast("End", circuit)
        other = self.ends[1 - self.ends.index(end)]
        for block in blocks:
            self.sent.append(block)
            assert len(block) == BLOCK_SIZE
            copies = [block]
            if self.dice.random() < self.double:
                copies.append(block)
            if self.dice.random() < self.forged:
                copies.insert(0, block[:6] + self.dice.randbytes(BLOCK_SIZE - 6))
            for copy in copies:
                if self.dice.random() >= self.loss:
                    delay = 0.05 + 0.1 * self.dice.random()
                    asyncio.get_running_loop().call_later(
                        delay, self._arrive, other, copy
                    )

    @staticmethod
    def _arrive(end: End, block: bytes) -> None:
        end.on_handshake_block(block)

    def inject(self, block: bytes) -> None:
        for end in self.ends:
            end.on_handshake_block(block)


def handshakes(
    rendezvous: Rendezvous, caller: SigningKey | None = CALLER
) -> tuple[CallerHandshake, CalleeHandshake]:
    contact = x25519_generate(SeededEntropy("contact"))
    cookie = Cookie(bytes(COOKIE_SIZE))
    initiator = SessionInitiator(
        network=bytes(28),
        cookie=cookie,
        callee=CALLEE,
        contact_key=x25519_public(contact),
        caller=None if caller is None else UserSigner.by_identity(caller),
        entropy=SeededEntropy("initiator"),
    )
    responder = SessionResponder(
        network=bytes(28),
        cookie=cookie,
        callee=CALLEE,
        contact_private=contact,
        entropy=SeededEntropy("responder"),
    )
    responder.read_1(initiator.message_1)
    calling, called = (cast("Circuit", end) for end in rendezvous.ends)
    return (
        CallerHandshake(initiator, calling, rendezvous),
        CalleeHandshake(responder, called, rendezvous),
    )


def agree(
    make: Callable[[], Rendezvous],
    caller: SigningKey | None = CALLER,
    within: float = 30.0,
):
    async def main(_: SimHub):
        rendezvous = make()
        calling, called = handshakes(rendezvous, caller)
        keys, (callee_keys, who) = await asyncio.gather(
            calling.keys(Seconds(within)), called.keys(Seconds(within))
        )
        now = Monotonic(asyncio.get_running_loop().time())
        return Session(keys, now), Session(callee_keys, now), who, rendezvous

    return run_simulation(main)


def assert_they_talk(one: Session, other: Session) -> None:
    for sender, receiver in ((one, other), (other, one)):
        sender.add_leg(0, Monotonic(0.0))
        sender.send_datagram(b"hello")
        for batch in sender.blocks_to_send(Monotonic(0.0)):
            receiver.receive_blocks(0, batch.blocks, Monotonic(0.0))
        told = [receiver.next_event() for _ in range(2)]
        assert DatagramsReceived([b"hello"]) in told


def test_both_ends_agree_on_keys_and_the_callee_learns_who_calls():
    caller, callee, who, _ = agree(Rendezvous)

    assert_they_talk(caller, callee)
    assert who == UserId(CALLER.public)


def test_an_anonymous_caller_stays_unknown():
    caller, callee, who, _ = agree(Rendezvous, caller=None)

    assert_they_talk(caller, callee)
    assert who is None


def test_lost_and_doubled_blocks_are_made_up_for():
    caller, callee, _, _ = agree(lambda: Rendezvous(loss=0.5, double=0.3))

    assert_they_talk(caller, callee)


def test_forged_blocks_among_good_ones_change_nothing():
    caller, callee, who, _ = agree(lambda: Rendezvous(loss=0.1, forged=0.5))

    assert_they_talk(caller, callee)
    assert who == UserId(CALLER.public)


def test_a_caller_that_has_its_keys_still_answers_a_late_message_2():
    async def main(_: SimHub) -> int:
        rendezvous = Rendezvous()
        calling, called = handshakes(rendezvous)
        rendezvous.ends[1].on_handshake_block = lambda _: None
        waiting = asyncio.create_task(called.keys(Seconds(3.0)))
        await calling.keys(Seconds(3.0))
        with pytest.raises(TimeoutError):
            await waiting
        return sum(1 for block in rendezvous.sent if block[4] == 3)

    assert run_simulation(main) > 5


def test_a_callee_that_is_not_there_is_given_up():
    async def main(_: SimHub) -> float:
        calling, _called = handshakes(Rendezvous())
        with pytest.raises(TimeoutError):
            await calling.keys(Seconds(2.0))
        return asyncio.get_running_loop().time()

    assert run_simulation(main) == 2.0


def test_blocks_that_are_none_are_ignored():
    async def main(_: SimHub) -> None:
        rendezvous = Rendezvous()
        calling, called = handshakes(rendezvous)
        for block in (
            b"",
            bytes(BLOCK_SIZE),
            HANDSHAKE_MAGIC,
            (HANDSHAKE_MAGIC + b"\2\7").ljust(BLOCK_SIZE, b"\0"),
            (HANDSHAKE_MAGIC + b"\3\0").ljust(BLOCK_SIZE, b"\0"),
            (HANDSHAKE_MAGIC + b"\2\0").ljust(BLOCK_SIZE, b"\0"),
        ):
            rendezvous.inject(block)
        await asyncio.gather(calling.keys(Seconds(9)), called.keys(Seconds(9)))

    run_simulation(main)


def test_a_caller_with_a_wrong_signature_gets_no_session_however_often_it_asks():
    class Liar(SigningKey):
        def sign(self, message: bytes) -> bytes:
            return super().sign(message + b"not what was asked")

    async def main(_: SimHub) -> None:
        rendezvous = Rendezvous(double=0.9)
        calling, called = handshakes(rendezvous, Liar.from_seed(b"l" * 32))
        with pytest.raises(TimeoutError):
            await asyncio.gather(calling.keys(Seconds(3)), called.keys(Seconds(3)))

    run_simulation(main)


def test_the_first_block_says_that_the_circuits_are_joined():
    async def main(_: SimHub) -> bool:
        rendezvous = Rendezvous()
        calling, called = handshakes(rendezvous)
        assert not rendezvous.ends[0].joined.is_set()
        await asyncio.gather(calling.keys(Seconds(9)), called.keys(Seconds(9)))
        return rendezvous.ends[0].joined.is_set()

    assert run_simulation(main)
