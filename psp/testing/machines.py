"""Small machines for tests of whatever drives machines."""

from psp.sansio import Address, Train
from psp.units import Monotonic, Seconds

PACKET_SIZE = 1_232


class Pinger:
    """Sends trains of pings until one comes back, or answers them.

    Attributes:
        sent: Trains sent.
        received: Datagrams received.
        trains: Sizes of the trains received.
        timeouts: Times told with ``handle_timeout``.
    """

    def __init__(
        self,
        peer: Address | None = None,
        *,
        interval: Seconds = Seconds(1.0),
        train: int = 1,
    ) -> None:
        """Ping ``peer`` every ``interval``; None only answers."""
        self.sent = 0
        self.received = 0
        self.trains: list[int] = []
        self.timeouts: list[Monotonic] = []
        self._peer = peer
        self._interval = interval
        self._train = train
        self._due = None if peer is None else Monotonic(0.0)
        self._out: list[Train] = []
        self._events: list[str] = []

    def receive(
        self, buffer: memoryview, segment_size: int, source: Address, now: Monotonic
    ) -> None:
        """Answer pings; end with an event on the first pong."""
        packets = -(-len(buffer) // segment_size)
        self.received += packets
        self.trains.append(packets)
        if bytes(buffer[:4]) == b"ping":
            pong = b"pong".ljust(segment_size, b"\0")
            self._out.append(Train(source, [pong] * packets, packets))
        elif self._due is not None:
            self._due = None
            self._events.append(f"pong at {now:.3f}")

    def trains_to_send(self, now: Monotonic) -> list[Train]:  # noqa: ARG002
        """Return what is due."""
        out, self._out = self._out, []
        return out

    def next_event(self) -> str | None:
        """Return ``pong at TIME`` once."""
        return self._events.pop(0) if self._events else None

    def next_timeout(self) -> Monotonic | None:
        """Return when the next ping is due."""
        return self._due

    def handle_timeout(self, now: Monotonic) -> None:
        """Ping if it is time."""
        self.timeouts.append(now)
        if self._due is not None and self._peer is not None and now >= self._due:
            ping = b"ping".ljust(PACKET_SIZE, b"\0")
            self._out.append(Train(self._peer, [ping] * self._train, self._train))
            self.sent += 1
            self._due = Monotonic(now + self._interval)
