"""A session as an app sees it: datagrams, messages, a peer connection."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from psp.client.network import ClientNetwork
from psp.endpoint.session import (
    DatagramsReceived,
    LegLost,
    LegMessageReceived,
    MessageReceived,
    RoomMade,
    SendingView,
    Session,
    SessionClosed,
    SessionEvent,
    SessionSilent,
)
from psp.errors import PspError
from psp.ids import UserId
from psp.wire.cell import Reason
from psp.wire.onion import Kind
from psp.wire.session_block import LegMessage

if TYPE_CHECKING:
    from psp.media.peer_connection import PipePeerConnection

MAX_MESSAGES_WAITING = 256
"""Messages nobody has read; with more, the session is closed (an app that does not
read must not fill memory, and a reliable channel must not lose)."""

MAX_EARLY = 64
"""Datagrams kept until the app listens. When full the newest goes."""


class SessionClosedError(PspError, ConnectionError):
    """The session is over. A ConnectionError, as media knows that of any pipe."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"session closed: {reason.name.lower()}")
        self.reason = reason


class ClientSession:
    """An encrypted pipe to one other user, over circuits of both sides.

    Attributes:
        peer: The other's identity; None for an anonymous caller.
        is_caller: Whether this side called.
        closed: Done with the reason when the session is over.
    """

    def __init__(
        self,
        network: ClientNetwork,
        session: Session,
        *,
        peer: UserId | None,
        is_caller: bool,
    ) -> None:
        self.peer = peer
        self.is_caller = is_caller
        self.closed: asyncio.Future[Reason] = asyncio.get_running_loop().create_future()
        self.key = network.add_session(session, self._receive)
        self._network = network
        self._session = session
        self._messages: deque[bytes] = deque()
        self._message_came = asyncio.Event()
        self._room_made = asyncio.Event()
        self._early: list[bytes] = []
        self._on_datagram: Callable[[bytes], None] = self._keep_early
        self._on_close: Callable[[], None] = lambda: None
        self.on_leg_event: Callable[[LegLost | LegMessage | SessionSilent], None] = (
            lambda _: None
        )

    # -- the pipe (psp.media.pipe.DatagramPipe)

    def send(self, data: bytes, flags: Kind = Kind.PASS) -> None:
        """Send one datagram of 1 … 1,080 bytes; it may be lost.

        It goes when the path's rate lets it, at most 0.25 s later; what waits longer is
        dropped, the oldest first, and without flags before ``Kind.KEY_FRAME``.
        ``Kind.AUDIO`` goes at once, and again with the next three such datagrams if
        they are short (267 bytes); it is delivered once. See `ready`.

        Raises:
            SessionClosedError: If the session is over.
        """
        if self._session.is_closed:
            is_told = self.closed.done()
            raise SessionClosedError(
                self.closed.result() if is_told else Reason.REQUESTED
            )
        self._session.send_datagram(data, flags)
        self._network.touch_session(self.key)

    def on_datagram(self, listener: Callable[[bytes], None]) -> None:
        """Call ``listener`` with each datagram that arrives, or came before anybody asked.

        Of those the first 64 are kept: the other end's app may have been faster.
        """
        self._on_datagram = listener
        early, self._early = self._early, []
        for datagram in early:
            listener(datagram)

    def on_close(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` once when the session ends."""
        self._on_close = listener

    # -- how fast it may be used

    @property
    def bitrate(self) -> int:
        """Bits a second, in datagrams of 1,080 bytes, that the path bears at present.

        A short datagram costs as much as a long one. An app that makes its data as it
        goes, such as an encoder, keeps below; others wait for `ready`. It begins at
        2 Mbit/s, rises while it is used, and is never below 64 kbit/s.
        """
        return self._session.bitrate

    @property
    def sending(self) -> SendingView:
        """Rate, queue, marks and losses at this moment."""
        return self._session.sending

    async def ready(self) -> int:
        """Wait for room; return how many datagrams may be sent now, at least 1.

        ::

            while chunks:
                for _ in range(await session.ready()):
                    session.send(next(chunks))

        Raises:
            SessionClosedError: If the session is over.
        """
        while not self.closed.done():
            if room := self._session.room:
                return room
            self._room_made.clear()
            self._session.want_room()
            await self._room_made.wait()
        raise SessionClosedError(self.closed.result())

    # -- messages

    def send_message(self, message: bytes) -> None:
        """Send a reliable message of at most 65,535 bytes.

        Raises:
            SessionClosedError: If the session is over.
        """
        if self.closed.done():
            raise SessionClosedError(self.closed.result())
        self._session.send_message(message)
        self._network.touch_session(self.key)

    async def receive_message(self) -> bytes:
        """Return the next message.

        Raises:
            SessionClosedError: If the session is over and nothing is left.
        """
        while not self._messages:
            if self.closed.done():
                raise SessionClosedError(self.closed.result())
            self._message_came.clear()
            await self._message_came.wait()
        return self._messages.popleft()

    # -- media

    def peer_connection(self) -> "PipePeerConnection":
        """Return an aiortc `RTCPeerConnection` whose only transport is this session."""
        from psp.media.peer_connection import PipePeerConnection  # noqa: PLC0415

        return PipePeerConnection(self)

    # -- the rest

    @property
    def live_legs(self) -> list[int]:
        """The legs in use."""
        return sorted(self._session.legs)

    @property
    def round_trip(self) -> float:
        """Seconds there and back over the present leg; 0 when not measured yet."""
        return self._session.legs.round_trip()

    def send_leg_message(self, message: LegMessage) -> None:
        """Tell the peer about a leg; for `psp.client.calls.leg_keeper`."""
        self._session.send_leg_message(message)
        self._network.touch_session(self.key)

    def close(self) -> None:
        """End the session and its circuits; doing it twice is fine."""
        if not self.closed.done():
            self._session.close()
            self._network.remove_session(self.key)
            self._ended(Reason.REQUESTED)

    def _receive(self, event: SessionEvent) -> None:
        match event:
            case DatagramsReceived():
                for datagram in event.datagrams:
                    self._on_datagram(datagram)
            case MessageReceived():
                self._take_message(event.message)
            case LegMessageReceived():
                self.on_leg_event(event.message)
            case LegLost() | SessionSilent():
                self.on_leg_event(event)
            case RoomMade():
                self._room_made.set()
            case SessionClosed():
                self._network.remove_session(self.key)
                self._ended(event.reason)

    def _keep_early(self, datagram: bytes) -> None:
        if len(self._early) < MAX_EARLY:
            self._early.append(datagram)

    def _take_message(self, message: bytes) -> None:
        if len(self._messages) >= MAX_MESSAGES_WAITING:
            self.close()
            return
        self._messages.append(message)
        self._message_came.set()

    def _ended(self, reason: Reason) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)
            self._message_came.set()
            self._room_made.set()
            self._on_close()
