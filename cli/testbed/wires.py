"""The sockets of a test bed: anything with the shape of one, each behind a switch.

In memory they come from whoever starts the test bed (`psp.testing`), on loopback from
the kernel. The switch is what a power cut is made of: nothing comes in or goes out, and
nobody is told.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn, Protocol

from cli.demo.plan import HOST, free_ports
from psp.errors import ConfigError
from psp.runtime.driver import TrainSocket
from psp.runtime.udp import UdpSocket
from psp.sansio import Address, Train


class WireSocket(TrainSocket, Protocol):
    """A socket that ends."""

    def close(self) -> None:
        """Give the address back; harmless when repeated."""


class Wires(Protocol):
    """Where a test bed gets sockets, ports and the time from."""

    def ports(self, count: int) -> list[int]:
        """Return ports that are free now."""
        ...

    def socket(self, port: int) -> WireSocket:
        """Open a socket on this port; 0 for any free one."""
        ...

    @property
    def weather(self) -> object:
        """How the paths treat datagrams."""
        ...

    @weather.setter
    def weather(self, weather: object) -> None: ...

    def unix_time(self) -> float:
        """Return the wall clock of this network."""
        ...


class LoopbackWires:
    """Real UDP sockets on 127.0.0.1."""

    def ports(self, count: int) -> list[int]:
        """Return ports that are free now."""
        return free_ports(count)

    def socket(self, port: int) -> UdpSocket:
        """Open a socket on this port; 0 for any free one.

        Raises:
            ConfigError: If the port is taken.
        """
        return UdpSocket((HOST, port))

    @property
    def weather(self) -> NoReturn:
        """Refuse: the kernel's loopback has none.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError("real sockets on loopback have no weather; use memory")

    @weather.setter
    def weather(self, weather: object) -> NoReturn:
        del weather
        raise ConfigError("real sockets on loopback have no weather; use memory")

    def unix_time(self) -> float:
        """Return the wall clock."""
        return time.time()


class SwitchedSocket:
    """A socket that can be cut off from the network without a word.

    Attributes:
        is_cut: Whether it is.
        carried: Bytes of datagrams, both ways.
        tap: Called with each datagram's source, size and bytes as they come in; None
            for nobody.
    """

    def __init__(self, inner: WireSocket) -> None:
        self.is_cut = False
        self.carried = 0
        self.tap: Callable[[Address, int, bytes], None] | None = None
        self._inner = inner

    def receive_batch(self) -> tuple[memoryview, int, Address] | None:
        """Return the next train; while cut, drop all there is."""
        batch = self._inner.receive_batch()
        while self.is_cut and batch is not None:
            batch = self._inner.receive_batch()
        if batch is not None:
            self.carried += len(batch[0])
            if self.tap is not None:
                self.tap(batch[2], batch[1], bytes(batch[0]))
        return batch

    def backlog(self) -> float:
        """Return how much of the receive buffer is in use, 0 … 1."""
        return self._inner.backlog()

    def send(self, train: Train) -> int:
        """Send; while cut, claim to have."""
        if self.is_cut:
            return train.packets
        self.carried += sum(map(len, train.parts))
        return self._inner.send(train)

    def start_reading(
        self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]
    ) -> None:
        """Have ``callback`` called whenever there is something to receive."""
        self._inner.start_reading(loop, callback)

    def stop_reading(self) -> None:
        """Undo `start_reading`."""
        self._inner.stop_reading()

    def close(self) -> None:
        """Give the address back; harmless when repeated."""
        self._inner.close()
