"""All layers of a circuit, as its origin sees them.

Forward cells are sealed from the last hop inward, backward ones opened from hop 1
outward, so that the origin knows at which hop a cell went bad (R-TAG-4).
"""

from collections.abc import Iterator, Sequence
from operator import itemgetter

from psp.circuit.blocks import BLOCK_HEADER, BLOCK_PADDING
from psp.crypto.circuit_handshake import HopKeys
from psp.crypto.layer import OpeningLayer, SealingLayer, body_cutter
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import CircuitId
from psp.wire.cell import HEADER, CellCommand
from psp.wire.onion import BLOCK_SIZE, MAX_HOPS, Kind, body_size, inner_size
from psp.wire.relay_message import RelayMessage

_MESSAGE = int(Kind.MESSAGE)
_PASSED_ON = int(Kind.EARLY | Kind.AUDIO | Kind.KEY_FRAME)
_CONGESTED = int(Kind.CONGESTED)
_NOT_BACKWARD = 0xFF & ~int(Kind.MESSAGE | Kind.AUDIO | Kind.KEY_FRAME | Kind.CONGESTED)

_FEW = 3
"""Cells that are not worth the preparations of opening them at once."""

_CUTS = tuple(
    body_cutter(body_size(depth + 1), 1 if depth else HEADER.size)
    for depth in range(MAX_HOPS)
)
"""By the layers before it, takes a body apart: low half of the counter, sealed part."""

_kind_of = itemgetter(0)


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
        pass_kind = bytes((kind & _PASSED_ON,))
        message_kind = bytes((kind | _MESSAGE,))
        outermost, *others = [layer.sealing for layer in self._layers[:hop]]
        plaintexts = [message_kind + inner for inner in inners]
        for sealing in reversed(others):
            plaintexts = sealing.seal_run(plaintexts, pass_kind)
        return outermost.seal_run(plaintexts, self._head)

    def open_each(self, cells: Sequence[bytes]) -> Iterator[tuple[int, bytes | None]]:
        """Open RELAY cells, one by one for the caller: each as `open` does.

        Layers that all cells only pass through are opened for all at once.
        """
        depth = 0
        opened = list(cells)
        while len(cells) > _FEW and depth < len(self._layers):
            lows, bodies = zip(*map(_CUTS[depth], opened), strict=True)
            run = self._layers[depth].opening.open_run(lows, bodies)
            if run is None:
                break
            depth, opened = depth + 1, run
            if any(map(_kind_of, run)):
                break
        for plaintext in opened:
            if depth > len(self._layers):
                yield 0, None  # cut off by what came before
            else:
                yield self._open_rest(plaintext, depth)

    def open(self, cell: bytes) -> tuple[int, bytes | None]:
        """Open a RELAY cell.

        Returns:
            The hop that sent it and ``kind 1 | message``; or the hop whose layer was
            bad and None. Hop 0 stands for a cell that no hop of ours had a message in.

        Raises:
            DecodeError: If a layer has kind bits that no hop may set.
        """
        return self._open_rest(cell, 0)

    def _open_rest(self, opened: bytes, depth: int) -> tuple[int, bytes | None]:
        """Open the layers behind ``depth`` of what those before have given.

        None has given what begins with 5 bytes of a cell; the others one of kind.
        """
        kinds = 0
        if depth and (kinds := self._check(opened, depth)) & _MESSAGE:
            return self._count(opened, depth, kinds)
        body, start = opened, 1 if depth else HEADER.size
        for hop in range(depth + 1, len(self._layers) + 1):
            plaintext = self._layers[hop - 1].opening.open(body, start)
            if plaintext is None:
                return hop, None
            kinds |= self._check(plaintext, hop)
            if kinds & _MESSAGE:
                return self._count(plaintext, hop, kinds)
            body, start = plaintext, 1
        return 0, None

    def _check(self, plaintext: bytes, hop: int) -> int:
        kind = plaintext[0]
        if kind & _NOT_BACKWARD:
            raise DecodeError(f"kind {kind} from hop {hop}")
        return kind

    def _count(self, plaintext: bytes, hop: int, kinds: int) -> tuple[int, bytes]:
        self._opened += 1
        if kinds & _CONGESTED:
            self._marked += 1
        return hop, plaintext
