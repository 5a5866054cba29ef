"""One UDP socket that moves trains of datagrams.

::

    receive   recvmsg_into --- UDP_GRO cmsg: size of each datagram in the buffer
    send      sendmsg(parts) - UDP_SEGMENT cmsg: where the kernel cuts the train

Both are Linux socket options (udp(7)); one system call then moves up to `MAX_TRAIN`
datagrams. Where the kernel or a route refuses them, datagrams travel one by one:
`UdpStats.gso_refused`, `UdpSocket.is_gso` and ``is_gro`` tell.

Nothing is ever queued here: what the kernel does not take at once is dropped and
counted (R-LNK-11). Errors are counted by name and logged at most every 10 seconds each.
"""

import asyncio
import errno
import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from psp.errors import ConfigError, LocalProtocolError
from psp.runtime.logs import RateLimit, logger
from psp.sansio import MAX_TRAIN, Address, Train

SOL_UDP = 17
UDP_SEGMENT = 103
UDP_GRO = 104
SO_RXQ_OVFL = 40
SO_MEMINFO = 55
"""Numbers from linux/udp.h and asm-generic/socket.h; Python 3.11 names none of them."""

_log = logger("udp")

_SEGMENT_SIZE = struct.Struct("=H")
_GRO_SIZE = struct.Struct("=i")
_DROP_COUNT = struct.Struct("=I")
_MEMORY = struct.Struct("=II")
"""What received datagrams hold, and may hold, in bytes (linux/sock_diag.h)."""

_BUFFER_SIZE = 65_536
"""The kernel never merges more than fits one IP packet of 65,535 bytes."""

_ANCILLARY_SIZE = socket.CMSG_SPACE(4) * 2
"""Room for both control messages we asked for."""

_DEFAULT_BUFFER = 4 * 1024 * 1024
"""Socket buffer asked for where /proc does not tell the largest allowed, bytes."""

_MAX_REFUSALS = 16
"""Trains refused in a row, whose datagrams went out singly, before GSO is given up.

Fewer would let one route with a small MTU end it for all; our choice."""

_GSO_REFUSALS = frozenset(
    {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT}
)
"""EINVAL: segment above the route's MTU. EIO: no checksum offload, IPsec route. EMSGSIZE:
more than 64 KiB. The rest: not known to this kernel (net/ipv4/udp.c, udp_send_skb)."""


@dataclass(slots=True)
class UdpStats:
    """What one socket did.

    Attributes:
        received: Datagrams taken from the kernel.
        receive_calls: Times the kernel gave a train; with ``received``, the batching.
        sent: Datagrams the kernel took.
        send_calls: Times the kernel took a train or a single datagram.
        dropped_full: Datagrams dropped because the send buffer was full.
        dropped_destination: Datagrams to what is not an address of our family.
        dropped_error: Datagrams the kernel refused with an error.
        kernel_drops: Datagrams the kernel dropped before we read them.
        gso_refused: Trains that had to go out datagram by datagram.
        errors: Errors by name (``EPERM``), receiving and sending.
    """

    received: int = 0
    receive_calls: int = 0
    sent: int = 0
    send_calls: int = 0
    dropped_full: int = 0
    dropped_destination: int = 0
    dropped_error: int = 0
    kernel_drops: int = 0
    gso_refused: int = 0
    errors: Counter[str] = field(default_factory=Counter)


class UdpSocket:
    """A bound, non-blocking UDP socket of one address family.

    Attributes:
        local_address: Where it is bound, with the port the kernel chose for port 0.
        stats: Counters, kept up to date.
        is_gso: Trains leave in one call; turns False for good when refused too often.
        is_gro: Trains arrive in one call.
    """

    def __init__(
        self,
        address: Address,
        *,
        gso: bool = True,
        gro: bool = True,
        setting: str = "the listen setting",
    ) -> None:
        """Bind to ``address``; port 0 lets the kernel choose.

        Args:
            address: Numeric host and port of this machine.
            gso: Whether to try UDP_SEGMENT.
            gro: Whether to try UDP_GRO.
            setting: What the operator changes to choose another address, for errors.

        Raises:
            ConfigError: If the address cannot be bound.
        """
        self._socket, self._family = _bind(address, setting)
        self.local_address: Address = self._socket.getsockname()[:2]
        self.stats = UdpStats()
        self.is_gso = gso and _takes_option(self._socket, UDP_SEGMENT, 0)
        self.is_gro = gro and _takes_option(self._socket, UDP_GRO, 1)
        _enlarge_buffers(self._socket)
        self._view = memoryview(bytearray(_BUFFER_SIZE))
        self._buffers = [self._view]
        self._refusals = 0
        self._log_limit = RateLimit()
        self._loop: asyncio.AbstractEventLoop | None = None

    def receive_batch(self) -> tuple[memoryview, int, Address] | None:
        """Return the next train (buffer, datagram size, source), or None for no more.

        The buffer is overwritten by the next call. An empty datagram is an empty
        buffer with size 1, so that nobody divides by zero.
        """
        try:
            size, ancillary, _, source = self._socket.recvmsg_into(
                self._buffers, _ANCILLARY_SIZE
            )
        except BlockingIOError:
            return None
        except OSError as error:
            self._count(error)
            return None
        segment_size = size or 1
        for _, kind, data in ancillary:
            if kind == UDP_GRO:
                segment_size = _GRO_SIZE.unpack(data)[0]
            elif kind == SO_RXQ_OVFL:
                self.stats.kernel_drops = _DROP_COUNT.unpack(data)[0]
        stats = self.stats
        stats.receive_calls += 1
        stats.received += -(-size // segment_size)
        return self._view[:size], segment_size, (source[0], source[1])

    def backlog(self) -> float:
        """Return how much of the receive buffer is in use, 0 … 1.

        The kernel gives room back in portions, so that up to twice what really waits may
        be told. 0 where it does not tell (before Linux 4.12).
        """
        try:
            memory = self._socket.getsockopt(
                socket.SOL_SOCKET, SO_MEMINFO, _MEMORY.size
            )
            used, room = _MEMORY.unpack(memory)
        except (OSError, struct.error):
            return 0.0
        return min(1.0, used / room) if room else 0.0

    def send(self, train: Train) -> int:
        """Send one train now or never; return how many datagrams the kernel took.

        Raises:
            LocalProtocolError: If the train is empty, too long or not of equal sizes.
        """
        destination, parts, packets = train
        try:
            socket.inet_pton(self._family, destination[0])
        except OSError:
            self.stats.dropped_destination += packets
            return 0
        if packets == 1:
            return self._send_one(parts, destination)
        total = sum(map(len, parts))
        if not 0 < packets <= MAX_TRAIN or total % packets:
            raise LocalProtocolError(f"{total} bytes do not make {packets} datagrams")
        if not self.is_gso:
            return self._send_singly(parts, total // packets, destination)
        return self._send_train(train, total // packets)

    def start_reading(
        self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]
    ) -> None:
        """Have the loop call ``callback`` whenever there is something to receive."""
        loop.add_reader(self._socket.fileno(), callback)
        self._loop = loop

    def stop_reading(self) -> None:
        """Undo `start_reading`; harmless without it."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop = None

    def fileno(self) -> int:
        """Return the file descriptor, for pollers and socket options."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop reading and give the port back; harmless when repeated."""
        self.stop_reading()
        self._socket.close()

    def _send_train(self, train: Train, segment_size: int) -> int:
        destination, parts, packets = train
        control = [(SOL_UDP, UDP_SEGMENT, _SEGMENT_SIZE.pack(segment_size))]
        try:
            self._socket.sendmsg(parts, control, 0, destination)
        except BlockingIOError:
            self.stats.dropped_full += packets
            return 0
        except OSError as error:
            if error.errno not in _GSO_REFUSALS:
                self._count(error)
                self.stats.dropped_error += packets
                return 0
            sent = self._send_singly(parts, segment_size, destination)
            self._note_refusal(was_cause=sent > 0)
            return sent
        self._refusals = 0
        self.stats.sent += packets
        self.stats.send_calls += 1
        return packets

    def _note_refusal(self, *, was_cause: bool) -> None:
        """Give GSO up when it alone keeps being refused, not when the address is bad."""
        self.stats.gso_refused += 1
        self._refusals += was_cause
        if self._refusals >= _MAX_REFUSALS:
            self.is_gso = False
            _log.warning("trains_given_up", what="UDP_SEGMENT", refused=self._refusals)

    def _send_singly(
        self, parts: list[bytes], segment_size: int, destination: Address
    ) -> int:
        whole = memoryview(b"".join(parts))
        return sum(
            self._send_one([whole[start : start + segment_size]], destination)
            for start in range(0, len(whole), segment_size)
        )

    def _send_one(
        self, parts: list[bytes] | list[memoryview], destination: Address
    ) -> int:
        try:
            self._socket.sendmsg(parts, (), 0, destination)
        except BlockingIOError:
            self.stats.dropped_full += 1
            return 0
        except OSError as error:
            self._count(error)
            self.stats.dropped_error += 1
            return 0
        self.stats.sent += 1
        self.stats.send_calls += 1
        return 1

    def _count(self, error: OSError) -> None:
        name = errno.errorcode.get(error.errno or 0, "unknown")
        self.stats.errors[name] += 1
        # Asked here too, since a flood of errors must not cost a log call each.
        if self._log_limit.admit(name) is not None:
            _log.warning("udp_error", kind=name, count=self.stats.errors[name])


def _bind(address: Address, setting: str) -> tuple[socket.socket, int]:
    host, port = address
    try:
        is_v6 = ipaddress.ip_address(host).version == 6
    except ValueError:
        raise ConfigError(
            f"{host!r} is not a numeric IP address; correct {setting}"
        ) from None
    if not 0 <= port <= 65_535:
        raise ConfigError(f"port {port} is not within 0 … 65535; correct {setting}")
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    try:
        udp = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        raise ConfigError(f"no socket for {host}: {error.strerror}") from error
    try:
        if is_v6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        udp.bind(address)
    except OSError as error:
        udp.close()
        raise ConfigError(_explain(error, address, setting)) from error
    return udp, family


def _explain(error: OSError, address: Address, setting: str) -> str:
    host, port = address
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; choose another with {setting}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; correct {setting}"
    if error.errno == errno.EACCES:
        return (
            f"port {port} on {host} needs a privilege this process lacks; "
            f"choose one above 1023 with {setting}"
        )
    return f"cannot listen on port {port} of {host}: {error.strerror}; see {setting}"


def _takes_option(udp: socket.socket, option: int, value: int) -> bool:
    try:
        udp.setsockopt(SOL_UDP, option, value)
    except OSError:
        return False
    return True


def _enlarge_buffers(udp: socket.socket) -> None:
    """Ask for the largest buffers; 208 KiB, the default, lose bursts (R-LNK-11)."""
    for option, name in (
        (socket.SO_RCVBUF, "rmem_max"),
        (socket.SO_SNDBUF, "wmem_max"),
    ):
        try:
            size = int(Path("/proc/sys/net/core", name).read_text("ascii"))
        except (OSError, ValueError):
            size = _DEFAULT_BUFFER
        udp.setsockopt(socket.SOL_SOCKET, option, size)
    try:
        udp.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    except OSError:
        return  # kernel_drops then stays 0
