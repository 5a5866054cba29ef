"""One pair of traffic keys: sealing and opening trains of data packets.

This is where a relay spends its time. A train in order, as nearly all are, is cut,
opened and sealed by C code alone: `struct.iter_unpack`, `map` over the cipher, one
`join`. Only what is out of order, damaged or of other keys is looked at packet by packet.

::

    packet   head 4 = type | version | reserved
             nonce 12 = receiver index 4 | counter 8
             AES-256-GCM(cell) under that nonce, associated data = the head

Source: SPEC.md section 1.
"""

import struct
from itertools import chain, repeat

from psp.crypto.kdf import LinkKeys
from psp.crypto.primitives import InvalidTag, aes_gcm
from psp.crypto.replay import ReplayWindow
from psp.link.config import HARD_PACKET_LIMIT, REPLAY_WINDOW
from psp.link.gaps import Gaps
from psp.link.repair import SentTrains
from psp.link.stats import LinkStats
from psp.units import Monotonic
from psp.wire.packet import PACKET_SIZE, pack_data_header

PREFIX_SIZE = 8

_FEW = 3 * PACKET_SIZE
"""Bytes of trains that are not worth the preparations of opening them at once."""

_PACKETS = struct.Struct("!4s12s1216s")
_HEAD = pack_data_header(0, 0)[:4]
_FIRST_CIRCUIT = b"\0\0\0\1"
"""Cells below it, as bytes are compared, have circuit id 0."""


def data_prefix(receiver_index: int) -> bytes:
    """Return the first 8 bytes of data packets for ``receiver_index``."""
    return pack_data_header(receiver_index, 0)[:PREFIX_SIZE]


def _nonces(receiver_index: int, counter: int, count: int) -> list[bytes]:
    """Return the nonces of ``count`` packets from ``counter`` on."""
    first = receiver_index << 64 | counter
    return [number.to_bytes(12) for number in range(first, first + count)]


class Keypair:
    """What one handshake agreed on; prints as its class only.

    Attributes:
        prefix: First 8 bytes of the packets that these keys open.
        local_index: Our receiver index, in the packets we get.
        remote_index: The peer's receiver index, in the packets we send.
        created: When the keys were agreed on.
        resume_token: Continues the link in a later handshake, 16 bytes.
        next_counter: Packets sealed so far.
        window: Counters opened so far.
        gaps: Counters overtaken by others.
        sent: Packets that the peer may ask for again.
        is_confirmed: Whether the peer has used these keys.
    """

    __slots__ = (
        "_decrypt",
        "_encrypt",
        "_stats",
        "created",
        "gaps",
        "is_confirmed",
        "local_index",
        "next_counter",
        "prefix",
        "remote_index",
        "resume_token",
        "sent",
        "window",
    )

    def __init__(
        self,
        keys: LinkKeys,
        *,
        local_index: int,
        remote_index: int,
        created: Monotonic,
        stats: LinkStats,
    ) -> None:
        self.local_index = local_index
        self.remote_index = remote_index
        self.prefix = data_prefix(local_index)
        self.created = created
        self.resume_token = keys.resume_token
        self.next_counter = 0
        self.window = ReplayWindow(REPLAY_WINDOW)
        self.gaps = Gaps()
        self.sent = SentTrains()
        self.is_confirmed = False
        self._encrypt = aes_gcm(keys.sending).encrypt
        self._decrypt = aes_gcm(keys.receiving).decrypt
        self._stats = stats

    def __repr__(self) -> str:
        return "Keypair([scrubbed])"

    @property
    def room(self) -> int:
        """How many packets these keys may still seal."""
        return HARD_PACKET_LIMIT - self.next_counter

    def seal(self, cells: list[bytes]) -> bytes:
        """Return one packet per cell, joined to a train."""
        counter = self.next_counter
        if len(cells) == 1:
            self.next_counter = counter + 1
            nonce = (self.remote_index << 64 | counter).to_bytes(12)
            return _HEAD + nonce + self._encrypt(nonce, cells[0], _HEAD)
        nonces = _nonces(self.remote_index, counter, len(cells))
        self.next_counter = counter + len(cells)
        heads = repeat(_HEAD)
        sealed = map(self._encrypt, nonces, cells, heads)
        return b"".join(chain.from_iterable(zip(heads, nonces, sealed, strict=False)))

    def open_run(
        self,
        packets: memoryview,
        cells: list[bytes],
        control: list[bytes],
        now: Monotonic,
    ) -> int:
        """Open the packets at the beginning of ``packets`` that belong to these keys.

        Args:
            packets: Whole packets; the first one has our prefix.
            cells: Cells of circuits are appended here.
            control: Cells with circuit id 0 are appended here.
            now: The time.

        Returns:
            How many packets were looked at, 1 or more.
        """
        if len(packets) <= _FEW:
            return self._open_singly(packets, cells, control, now)
        heads, nonces, sealed = zip(*_PACKETS.iter_unpack(packets), strict=True)
        count = len(nonces)
        window = self.window
        first = window.highest + 1
        if (
            nonces == tuple(_nonces(self.local_index, first, count))
            and heads.count(_HEAD) == count
            and first + count <= HARD_PACKET_LIMIT
        ):
            try:
                opened = list(map(self._decrypt, nonces, sealed, heads))
            except InvalidTag:
                pass  # one of them: found below
            else:
                window.highest += count
                if min(opened) < _FIRST_CIRCUIT:
                    for cell in opened:
                        (control if cell < _FIRST_CIRCUIT else cells).append(cell)
                else:
                    cells += opened
                return count
        return self._open_singly(packets, cells, control, now)

    def can_open(self, packet: memoryview) -> bool:
        """Tell whether a packet is authentic, without taking note of it."""
        [(head, nonce, sealed)] = _PACKETS.iter_unpack(packet)
        try:
            self._decrypt(nonce, sealed, head)
        except InvalidTag:
            self._stats.drop_bad_tag += 1
            return False
        return True

    def _open_singly(
        self,
        packets: memoryview,
        cells: list[bytes],
        control: list[bytes],
        now: Monotonic,
    ) -> int:
        """Do as `open_run`, for packets that need not be in order or intact."""
        decrypt, mine, from_bytes = self._decrypt, self.prefix[4:], int.from_bytes
        window = self.window
        taken = 0
        for head, nonce, sealed in _PACKETS.iter_unpack(packets):
            if head != _HEAD or nonce[:4] != mine:
                break
            taken += 1
            counter = from_bytes(nonce[4:])
            if not self._is_acceptable(counter):
                continue
            try:
                cell = decrypt(nonce, sealed, head)
            except InvalidTag:
                self._stats.drop_bad_tag += 1
                continue
            if counter == window.highest + 1:
                window.highest = counter
            else:
                self._accept(counter, now)
            (control if cell < _FIRST_CIRCUIT else cells).append(cell)
        return taken

    def _is_acceptable(self, counter: int) -> bool:
        if counter < HARD_PACKET_LIMIT and self.window.is_fresh(counter):
            return True
        self._stats.drop_replayed += 1
        return False

    def _accept(self, counter: int, now: Monotonic) -> None:
        window = self.window
        expected = window.highest + 1
        if counter > expected:
            self.gaps.note(expected, counter, now)
        elif counter < expected and self.gaps.fill(counter, now):
            self._stats.repaired += 1
        window.accept(counter)
