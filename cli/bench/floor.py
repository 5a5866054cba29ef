"""What forwarding a cell must cost on this machine, whatever the program.

The floor of a relay is three AES-256-GCM passes over a cell (open the link packet, open
the onion layer, seal the link packet) and its share of two system calls per train. It
is measured in the same run as the relay: absolute figures drift with the machine's mood,
the ratio does not.
"""

import socket
import statistics
import struct
import time
from collections.abc import Callable

from psp.crypto.primitives import aes_gcm
from psp.runtime.udp import SOL_UDP, UDP_GRO, UDP_SEGMENT
from psp.sansio import MAX_TRAIN
from psp.wire.cell import CELL_SIZE
from psp.wire.packet import HEADER_SIZE, PACKET_SIZE

_ROUNDS = 5
_CELLS = 10_000
_TRAINS = 400
_SINGLES = 5_000


def run(*, rounds: int = _ROUNDS) -> dict[str, float]:
    """Return the floor in CPU microseconds; medians over ``rounds``.

    Keys: ``gcm_us`` (one pass), ``train_us_per_packet``, ``single_us`` (both calls),
    ``floor_us_per_cell`` (batched) and ``unbatched_floor_us_per_cell``.
    """
    gcm = _median(_gcm_pass, rounds)
    train = _median(_trains, rounds)
    single = _median(_singles, rounds)
    return {
        "gcm_us": gcm,
        "train_us_per_packet": train,
        "single_us": single,
        "floor_us_per_cell": 3 * gcm + train,
        "unbatched_floor_us_per_cell": 3 * gcm + single,
    }


def _median(measure: Callable[[], float], rounds: int) -> float:
    return statistics.median(measure() for _ in range(rounds))


def _gcm_pass() -> float:
    """Return microseconds per pass, opens and seals as a relay mixes them."""
    cipher = aes_gcm(bytes(32))
    nonce, aad = bytes(12), bytes(HEADER_SIZE)
    sealed = cipher.encrypt(nonce, bytes(CELL_SIZE), aad)
    plain = bytes(CELL_SIZE)
    encrypt, decrypt = cipher.encrypt, cipher.decrypt
    started = time.process_time()
    for _ in range(_CELLS):
        decrypt(nonce, sealed, aad)
        decrypt(nonce, sealed, aad)
        encrypt(nonce, plain, aad)
    return (time.process_time() - started) / (3 * _CELLS) * 1e6


def _trains() -> float:
    """Return microseconds per packet for sending and receiving full trains."""
    sender, receiver = _pair()
    control = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", PACKET_SIZE))]
    train = [bytes(PACKET_SIZE * MAX_TRAIN)]
    buffers = [memoryview(bytearray(65_536))]
    where = receiver.getsockname()
    packets = 0
    with sender, receiver:
        started = time.process_time()
        for _ in range(_TRAINS):
            sender.sendmsg(train, control, 0, where)
            packets += receiver.recvmsg_into(buffers, 64)[0] // PACKET_SIZE
        return (time.process_time() - started) / packets * 1e6


def _singles() -> float:
    """Return microseconds for sending and receiving one packet."""
    sender, receiver = _pair()
    packet = [bytes(PACKET_SIZE)]
    buffers = [memoryview(bytearray(65_536))]
    where = receiver.getsockname()
    with sender, receiver:
        started = time.process_time()
        for _ in range(_SINGLES):
            sender.sendmsg(packet, (), 0, where)
            receiver.recvmsg_into(buffers, 64)
        return (time.process_time() - started) / _SINGLES * 1e6


def _pair() -> tuple[socket.socket, socket.socket]:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(5.0)
    receiver.setsockopt(SOL_UDP, UDP_GRO, 1)
    return sender, receiver
