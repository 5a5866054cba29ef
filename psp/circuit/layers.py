"""All layers of a circuit, as its origin sees them.

Forward cells are sealed from the last hop inward, backward ones opened from hop 1
outward, so that the origin knows at which hop a cell went bad (R-TAG-4).
"""

from collections.abc import Sequence

from psp.circuit.blocks import BLOCK_HEADER, BLOCK_PADDING
from psp.crypto.circuit_handshake import HopKeys
from psp.crypto.layer import OpeningLayer, SealingLayer
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import CircuitId
from psp.wire.cell import HEADER, CellCommand
from psp.wire.onion import BLOCK_SIZE, Kind, inner_size
from psp.wire.relay_message import RelayMessage

_MESSAGE = int(Kind.MESSAGE)
_PASSED_ON = int(Kind.EARLY | Kind.AUDIO | Kind.KEY_FRAME)
_CONGESTED = int(Kind.CONGESTED)
_NOT_BACKWARD = 0xFF & ~int(Kind.MESSAGE | Kind.AUDIO | Kind.KEY_FRAME | Kind.CONGESTED)


class Layer:
    """Our end of one hop's layer.

    Attributes:
        sealing: Seals what goes to the hop.
        opening: Opens what comes from it; its counters tell what went bad.
        handshake_hash: Names this hop of this circuit to both ends, 32 bytes.
    """

    __slots__ = (
        "_backward_start",
        "_bad_tags_seen",
        "_forward_start",
        "handshake_hash",
        "opening",
        "sealing",
    )

    def __init__(self, keys: HopKeys) -> None:
        self.sealing = SealingLayer(keys.forward)
        self.opening = OpeningLayer(keys.backward)
        self.handshake_hash = keys.handshake_hash
        self._forward_start = keys.forward.start
        self._backward_start = keys.backward.start
        self._bad_tags_seen = 0

    @property
    def sealed(self) -> int:
        """Cells that we sealed for the hop or those behind it."""
        return self.sealing.counter - self._forward_start

    @property
    def sent_by_hop(self) -> int:
        """Cells that the hop sealed for us, up to the newest that arrived."""
        return self.opening.highest + 1 - self._backward_start

    def has_new_bad_tag(self) -> bool:
        """Tell whether a body was bad, rather than late, since last asked."""
        seen, self._bad_tags_seen = self._bad_tags_seen, self.opening.bad_tag
        return self._bad_tags_seen > seen


class Layers:
    """The layers of one circuit, hop 1 first."""

    __slots__ = ("_head", "_layers", "_marked", "_opened")

    def __init__(self, circuit_id: CircuitId) -> None:
        self._head = HEADER.pack(circuit_id, CellCommand.RELAY)
        self._layers: list[Layer] = []
        self._opened = 0
        self._marked = 0

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, hop: int) -> Layer:
        """Return the layer of hop 1 … 4."""
        return self._layers[hop - 1]

    def take_marks(self) -> tuple[int, int]:
        """Return how many cells were opened, and of them marked, since last asked."""
        marks = self._opened, self._marked
        self._opened = self._marked = 0
        return marks

    def add(self, keys: HopKeys) -> None:
        """Add one more hop."""
        self._layers.append(Layer(keys))

    def cut(self, hop: int) -> None:
        """Drop every hop behind ``hop``."""
        del self._layers[hop:]

    def seal(self, hop: int, message: RelayMessage, kind: int) -> bytes:
        """Return the cell that takes a message to ``hop``."""
        return self.seal_padded(
            hop, [message.encode().ljust(inner_size(hop), b"\0")], kind
        )[0]

    def seal_blocks(self, blocks: Sequence[bytes], kind: int) -> list[bytes]:
        """Return the cells that take session blocks of 1,106 bytes to the last hop."""
        hop = len(self._layers)
        padding = BLOCK_PADDING[hop]
        inners: list[bytes] = []
        for block in blocks:
            if len(block) != BLOCK_SIZE:
                raise LocalProtocolError(f"block of {len(block)} bytes")
            inners.append(BLOCK_HEADER + block + padding)
        return self.seal_padded(hop, inners, kind)

    def seal_padded(self, hop: int, inners: Sequence[bytes], kind: int) -> list[bytes]:
        """Return the cells that take messages of exactly ``inner_size(hop)`` to it."""
        message_kind = bytes((kind | _MESSAGE,))
        pass_kind = bytes((kind & _PASSED_ON,))
        seals = [layer.sealing.seal for layer in self._layers[hop - 1 :: -1]]
        innermost, *others = seals
        head = self._head
        cells: list[bytes] = []
        for inner in inners:
            body = innermost(message_kind + inner)
            for seal in others:
                body = seal(pass_kind + body)
            cells.append(head + body)
        return cells

    def open(self, cell: bytes) -> tuple[int, bytes | None]:
        """Open a RELAY cell.

        Returns:
            The hop that sent it and ``kind 1 | message``; or the hop whose layer was
            bad and None. Hop 0 stands for a cell that no hop of ours had a message in.

        Raises:
            DecodeError: If a layer has kind bits that no hop may set.
        """
        body, start = cell, HEADER.size
        kinds = 0
        for hop, layer in enumerate(self._layers, 1):
            plaintext = layer.opening.open(body, start)
            if plaintext is None:
                return hop, None
            kind = plaintext[0]
            if kind & _NOT_BACKWARD:
                raise DecodeError(f"kind {kind} from hop {hop}")
            kinds |= kind
            if kind & _MESSAGE:
                self._opened += 1
                if kinds & _CONGESTED:
                    self._marked += 1
                return hop, plaintext
            body, start = plaintext, 1
        return 0, None
