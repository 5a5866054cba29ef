"""The session handshake over a joined circuit: messages 2 and 3 (SPEC.md section 7).

The callee sends message 2 until message 3 comes; the caller answers every message 2
with message 3. Blocks may be lost, doubled and forged by a rendezvous: a forged one
changes nothing.
"""

import asyncio
from collections.abc import Iterator
from itertools import chain
from typing import Protocol

from psp.client.circuit import Circuit
from psp.client.context import ClientContext
from psp.crypto.session import (
    MESSAGE_2_SIZE,
    MESSAGE_3_SIZE,
    IsCaller,
    SessionKeys,
    SessionResponder,
)
from psp.errors import HandshakeError, ProtocolError
from psp.ids import UserId
from psp.netdoc.presence_keys import is_signed_by_user
from psp.units import Seconds
from psp.wire.session_block import handshake_blocks, unpack_handshake

_SECOND_COPY = Seconds(0.002)
"""The first message 2 goes out right behind JOIN, and a relay that sees both at once
drops it."""
_FIRST_RETRY = Seconds(0.25)
_BACK_OFF = 1.5
_MAX_RETRY = Seconds(0.5)
"""Seven bad links lose half of all blocks at 10 % each; a caller waits for every try."""


def caller_judge(context: ClientContext) -> IsCaller:
    """Return what believes identity keys, and keys that they granted for now."""

    def is_caller(caller: UserId, grant: bytes, text: bytes, signature: bytes) -> bool:
        return is_signed_by_user(
            caller,
            grant,
            text,
            signature,
            network=context.registry.network,
            unix_now=context.unix_time(),
        )

    return is_caller


class _Parts:
    """Collects the parts of one handshake message; a new part replaces an old one."""

    def __init__(self, message: int, size: int) -> None:
        self._message = message
        self._size = size
        self._parts: dict[int, bytes] = {}
        self._count = len(handshake_blocks(message, bytes(size)))

    def take(self, block: bytes) -> bytes | None:
        """Return the whole message once every part is there."""
        unpacked = unpack_handshake(block)
        if unpacked is None or unpacked[0] != self._message:
            return None
        self._parts[unpacked[1]] = unpacked[2]
        if len(self._parts) < self._count:
            return None
        return b"".join(part for _, part in sorted(self._parts.items()))[: self._size]


class BlockSender(Protocol):
    """Sends handshake blocks over a circuit; `ClientNetwork` is one."""

    def send_blocks(self, circuit: Circuit, blocks: list[bytes]) -> None:
        """Send now, unreliably."""


class Initiator(Protocol):
    """What begins a session; `SessionInitiator` is one."""

    def read_2(self, message: bytes) -> None:
        """Take the callee's answer.

        Raises:
            HandshakeError: If the callee did not write it; another may still be read.
        """

    def write_3(self) -> bytes:
        """Return message 3; the keys exist then."""
        ...

    @property
    def keys(self) -> SessionKeys:
        """The session's keys, after `write_3`."""
        ...


class CallerHandshake:
    """The caller's end; stays attached so that a late message 2 gets its answer."""

    def __init__(
        self, initiator: Initiator, circuit: Circuit, sender: BlockSender
    ) -> None:
        self._initiator = initiator
        self._circuit = circuit
        self._sender = sender
        self._parts = _Parts(2, MESSAGE_2_SIZE)
        self._message_3: list[bytes] = []
        self._keys: asyncio.Future[SessionKeys] = (
            asyncio.get_running_loop().create_future()
        )
        circuit.on_handshake_block = self._receive

    async def keys(self, within: Seconds) -> SessionKeys:
        """Wait for message 2 and answer it.

        Raises:
            TimeoutError: If no valid message 2 comes in time.
        """
        return await asyncio.wait_for(asyncio.shield(self._keys), within)

    def _receive(self, block: bytes) -> None:
        self._circuit.joined.set()
        message = self._parts.take(block)
        if message is None:
            return
        if not self._keys.done():
            try:
                self._initiator.read_2(message)
            except HandshakeError:
                return  # not the callee's
            self._message_3 = handshake_blocks(3, self._initiator.write_3())
            self._keys.set_result(self._initiator.keys)
        self._sender.send_blocks(self._circuit, self._message_3)


class CalleeHandshake:
    """The callee's end, after message 1 was read."""

    def __init__(
        self, responder: SessionResponder, circuit: Circuit, sender: BlockSender
    ) -> None:
        """Be ready for message 3 at once, however early a rendezvous sends one.

        Raises:
            HandshakeError: If message 1 cannot be answered.
        """
        self._blocks = handshake_blocks(2, responder.write_2())
        self._responder = responder
        self._circuit = circuit
        self._sender = sender
        self._parts = _Parts(3, MESSAGE_3_SIZE)
        self._done = asyncio.Event()
        self._caller: UserId | None = None
        circuit.on_handshake_block = self._receive

    async def keys(self, within: Seconds) -> tuple[SessionKeys, UserId | None]:
        """Send message 2 until message 3 comes; return the keys and who calls.

        Raises:
            TimeoutError: If no valid message 3 comes in time.
        """
        waits = chain((_SECOND_COPY,), _retries())
        async with asyncio.timeout(within):
            while not self._done.is_set():
                self._sender.send_blocks(self._circuit, self._blocks)
                try:
                    await asyncio.wait_for(self._done.wait(), next(waits))
                except TimeoutError:
                    continue
        return self._responder.keys, self._caller

    def _receive(self, block: bytes) -> None:
        message = self._parts.take(block)
        if message is None or self._done.is_set():
            return
        try:
            self._caller = self._responder.read_3(message)
        except ProtocolError:
            # Not the caller's; or it was, with a wrong signature, and everything after
            # it is out of turn.
            return
        self._done.set()


def _retries() -> Iterator[Seconds]:
    retry = _FIRST_RETRY
    while True:
        yield retry
        retry = Seconds(min(retry * _BACK_OFF, _MAX_RETRY))
