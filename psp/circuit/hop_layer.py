"""A relay's layer of one circuit: cells in, cells out, no objects between.

This is what a relay does millions of times. `HopCircuit` adds everything else.
"""

from psp.circuit.blocks import BLOCK_END, BLOCK_HEADER, BLOCK_PADDING, BLOCK_START
from psp.crypto.circuit_handshake import HopKeys
from psp.crypto.layer import OpeningLayer, SealingLayer
from psp.errors import LocalProtocolError
from psp.ids import CircuitId
from psp.wire.cell import BODY_SIZE, HEADER, CellCommand
from psp.wire.onion import MAX_HOPS, Kind, body_size, inner_size
from psp.wire.relay_message import RelayMessage

_MESSAGE = int(Kind.MESSAGE)
_PASS = bytes([Kind.PASS])
_HEADER_SIZE = HEADER.size

_PADDING = tuple(
    bytes(BODY_SIZE - body_size(max(hop, 1))) for hop in range(MAX_HOPS + 1)
)
_NEXT_PADDING = tuple(
    bytes(BODY_SIZE - inner_size(max(hop, 1))) for hop in range(MAX_HOPS + 1)
)
"""By hop; shared, because there are many circuits."""


class HopLayer:
    """Our layer, and the constant bytes around what it opens and seals.

    Attributes:
        hop: Our index, 1 … 4.
        handshake_hash: Names this hop of this circuit to both ends, 32 bytes.
        opening: Opens cells from the origin's side.
        sealing: Seals cells towards the origin.
        body_end: Where the onion body of a cell from the origin's side ends.
        inner_end: Where the onion body of a cell from the next hop ends.
        head: First 5 bytes of every cell towards the origin.
        padding: Last bytes of every cell towards the origin.
        next_head: First 5 bytes of every cell to the next hop; None without one.
        next_padding: Last bytes of every cell to the next hop.
    """

    __slots__ = (
        "body_end",
        "handshake_hash",
        "head",
        "hop",
        "inner_end",
        "next_head",
        "next_padding",
        "opening",
        "padding",
        "sealing",
    )

    def __init__(self, circuit_id: CircuitId, hop: int, keys: HopKeys) -> None:
        self.hop = hop
        self.handshake_hash = keys.handshake_hash
        self.opening = OpeningLayer(keys.forward)
        self.sealing = SealingLayer(keys.backward)
        self.body_end = _HEADER_SIZE + body_size(hop)
        self.inner_end = _HEADER_SIZE + inner_size(hop)
        self.head = HEADER.pack(circuit_id, CellCommand.RELAY)
        self.padding = _PADDING[hop]
        self.next_head: bytes | None = None
        self.next_padding = _NEXT_PADDING[hop]

    def rest(self) -> None:
        """Put both ciphers away until the next cell: no cell has come for a while."""
        self.opening.rest()
        self.sealing.rest()

    def forward_cell(self, plaintext: bytes) -> bytes:
        """Return the cell to the next hop for ``kind 1 | inner``, opened here.

        Raises:
            LocalProtocolError: If there is no next hop.
        """
        if self.next_head is None:
            raise LocalProtocolError("there is no next hop")
        return self.next_head + plaintext[1:] + self.next_padding

    def backward_cell(self, cell: bytes) -> bytes:
        """Return the cell towards the origin for a whole RELAY cell of the next hop."""
        body = self.sealing.seal(_PASS + cell[_HEADER_SIZE : self.inner_end])
        return self.head + body + self.padding

    def block_of(self, plaintext: bytes) -> bytes:
        """Return the session block, 1,106 bytes, in an opened BLOCK message."""
        return plaintext[BLOCK_START:BLOCK_END]

    def block_cell(self, block: bytes, flags: int = 0) -> bytes:
        """Return the cell that takes a session block of 1,106 bytes to the origin.

        ``flags`` may hold AUDIO and KEY_FRAME; only the origin will see them.
        """
        plaintext = (
            bytes((_MESSAGE | flags,)) + BLOCK_HEADER + block + BLOCK_PADDING[self.hop]
        )
        return self.head + self.sealing.seal(plaintext) + self.padding

    def message_cell(self, message: RelayMessage, mark: int = 0) -> bytes:
        """Return the cell that takes a message of ours to the origin.

        ``mark`` may be CONGESTED.
        """
        inner = message.encode().ljust(inner_size(self.hop), b"\0")
        body = self.sealing.seal(bytes((_MESSAGE | mark,)) + inner)
        return self.head + body + self.padding
