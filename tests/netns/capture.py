"""Runs a command in a fresh network namespace and records every packet in it.

::

    python tests/netns/capture.py RECORDING COMMAND…

A packet socket listens on all interfaces before the loopback interface comes up, so
nothing escapes it. Loopback shows each packet twice, going out and coming in; only the
first is kept, and on any other interface everything is. A recording is a row of::

    time 8 (unix seconds) | interface 4 | protocol 2 | to us 1 | length 4 | packet

big-endian, each packet from its network header on; after them the kernel's count of
packets that it could not record stands in ``RECORDING.lost``. It needs root and nothing
but Python: it exits with `NOT_ALLOWED` when the kernel refuses a namespace.
"""

import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

NOT_ALLOWED = 77
HEADER = struct.Struct("!dIHBI")
"""Before each packet of a recording."""

_CLONE_NEWNET = 0x4000_0000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_TIMESPEC = struct.Struct("@qq")
_BUFFER_BYTES = 128 << 20
"""So much that even seconds without a turn on a busy machine lose nothing."""
_MAX_PACKET = 1 << 17


def enter_namespace() -> None:
    """Leave the machine's network for an empty one of our own.

    Raises:
        PermissionError: If the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise PermissionError(ctypes.get_errno(), "no network namespace for us")


def raise_loopback() -> None:
    """Switch the loopback interface on, as ``ip link set lo up`` does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
        (flags,) = struct.unpack_from("h", answer, 16)
        request = struct.pack("16sh14x", b"lo", flags | _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


def listen() -> socket.socket:
    """Open a socket that gets every packet of every interface, present and future."""
    listener = socket.socket(
        socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL)
    )
    listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    listener.settimeout(0.0)
    return listener


def drain(listener: socket.socket, recording: BinaryIO) -> None:
    """Record what waits."""
    buffer = bytearray(_MAX_PACKET)
    loopback = socket.if_nametoindex("lo")
    while True:
        try:
            size, ancillary, _, address = listener.recvmsg_into([buffer], 64)
        except BlockingIOError:
            return
        _, protocol, direction, *_ = address
        interface = socket.if_nametoindex(address[0])
        if interface == loopback and direction != _PACKET_OUTGOING:
            continue
        seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
        time = seconds + nanoseconds / 1e9
        to_us = direction != _PACKET_OUTGOING
        recording.write(HEADER.pack(time, interface, protocol, to_us, size))
        recording.write(memoryview(buffer)[:size])


def record(listener: socket.socket, path: Path, command: list[str]) -> int:
    """Run the command, record until it ends, and return its exit code."""
    with path.open("wb", buffering=1 << 20) as recording:
        child = subprocess.Popen(command)
        ended = os.pidfd_open(child.pid)
        sources = [listener.fileno(), ended]
        try:
            while ended not in select.select(sources, [], [])[0]:
                drain(listener, recording)
        finally:
            if child.poll() is None:
                child.terminate()
            child.wait()
            drain(listener, recording)
    statistics = listener.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
    _, lost = struct.unpack("@II", statistics)
    path.with_suffix(".lost").write_text(str(lost))
    return child.returncode


def main(arguments: list[str]) -> int:
    """Do what the module says."""
    path, *command = arguments
    try:
        enter_namespace()
    except PermissionError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the tests show it
        return NOT_ALLOWED
    with listen() as listener:
        raise_loopback()
        return record(listener, Path(path), command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
