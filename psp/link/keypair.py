"""One pair of traffic keys: sealing and opening trains of data packets.

This is where a relay spends its time. Three rules keep it quick:

* one pass over a train with everything in local names;
* `struct.iter_unpack` cuts the train into bytes objects, which cost less than slices;
* the replay window is only asked when a counter is not the expected one.

::

    packet   prefix 8 = type | version | reserved | receiver index
             counter 8
             AES-256-GCM(cell): nonce = zeros 4 | counter, associated data = the 16 above

Source: SPEC.md section 1.
"""

import struct

from psp.crypto.kdf import LinkKeys
from psp.crypto.primitives import InvalidTag, aes_gcm
from psp.crypto.replay import ReplayWindow
from psp.link.config import HARD_PACKET_LIMIT, REPLAY_WINDOW
from psp.link.gaps import Gaps
from psp.link.repair import SentTrains
from psp.link.stats import LinkStats
from psp.units import Monotonic
from psp.wire.packet import pack_data_header

PREFIX_SIZE = 8

_PACKETS = struct.Struct("!8s8s1216s")
_ZEROS = bytes(4)


def data_prefix(receiver_index: int) -> bytes:
    """Return the first 8 bytes of data packets for ``receiver_index``."""
    return pack_data_header(receiver_index, 0)[:PREFIX_SIZE]


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
        "_seal_prefix",
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
        self._seal_prefix = data_prefix(remote_index)
        self._encrypt = aes_gcm(keys.sending).encrypt
        self._decrypt = aes_gcm(keys.receiving).decrypt
        self._stats = stats

    def __repr__(self) -> str:
        return "Keypair([scrubbed])"

    @property
    def room(self) -> int:
        """How many packets these keys may still seal."""
        return HARD_PACKET_LIMIT - self.next_counter

    def seal(self, cells: list[bytes]) -> list[bytes]:
        """Return header and ciphertext of one packet per cell, by turns."""
        encrypt, prefix, zeros = self._encrypt, self._seal_prefix, _ZEROS
        counter = self.next_counter
        parts: list[bytes] = []
        append = parts.append
        for cell in cells:
            count = counter.to_bytes(8)
            header = prefix + count
            append(header)
            append(encrypt(zeros + count, cell, header))
            counter += 1
        self.next_counter = counter
        return parts

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
        decrypt, mine, zeros = self._decrypt, self.prefix, _ZEROS
        from_bytes, append, window = int.from_bytes, cells.append, self.window
        expected = window.highest + 1
        taken = 0
        for prefix, count, sealed in _PACKETS.iter_unpack(packets):
            if prefix != mine:
                break
            taken += 1
            counter = from_bytes(count)
            if counter != expected:
                window.highest = expected - 1
                if not self._is_acceptable(counter):
                    continue
            try:
                cell = decrypt(zeros + count, sealed, prefix + count)
            except InvalidTag:
                self._stats.drop_bad_tag += 1
                continue
            if counter == expected:
                expected += 1
            else:
                self._accept(counter, now)
                expected = window.highest + 1
            if cell[0] or cell[:4] != zeros:
                append(cell)
            else:
                control.append(cell)
        window.highest = expected - 1
        return taken

    def can_open(self, packet: memoryview) -> bool:
        """Tell whether a packet is authentic, without taking note of it."""
        [(prefix, count, sealed)] = _PACKETS.iter_unpack(packet)
        try:
            self._decrypt(_ZEROS + count, sealed, prefix + count)
        except InvalidTag:
            self._stats.drop_bad_tag += 1
            return False
        return True

    def _is_acceptable(self, counter: int) -> bool:
        if counter < HARD_PACKET_LIMIT and self.window.is_fresh(counter):
            return True
        self._stats.drop_replayed += 1
        return False

    def _accept(self, counter: int, now: Monotonic) -> None:
        window = self.window
        if counter > window.highest:
            self.gaps.note(window.highest + 1, counter, now)
        elif self.gaps.fill(counter, now):
            self._stats.repaired += 1
        window.accept(counter)
