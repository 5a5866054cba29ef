"""The fast path: RELAY cells of known circuits, a batch at a time.

A forward cell loses one layer and goes on, or is for this hop; a backward cell gains
one. Blocks of joined circuits are for this hop but never leave this file: they are
sealed as a message of the partner and go back on its circuit. Everything else is left
to the machine: other cells are returned, circuits with something to say are `touched`.

What is here runs per cell: local variables, one dictionary look-up, no objects, no
events. Measure (``psp bench relay``) before touching it.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from operator import is_not, itemgetter

from psp.ids import LinkId
from psp.units import Monotonic
from psp.wire.cell import HEADER
from psp.wire.onion import BLOCK_SIZE, MESSAGE_HEADER_SIZE, Kind
from relay.circuit_table import CircuitTable, Lane, RelayCircuit
from relay.congestion import MARKED, UNMARKED, Congestion
from relay.scheduler import Scheduler
from relay.stats import RelayStats

_HEAD = HEADER.size
_KIND = _HEAD - 1
"""Where a RELAY cell has its command, which is that of a plain kind byte: what is opened
with its kind in front needs a circuit id only, and what came needs no kind."""

_PASS = bytes((Kind.PASS,))
_MESSAGE = int(Kind.MESSAGE)
_UNCOMMON = 0xFF & ~int(Kind.AUDIO | Kind.KEY_FRAME)
"""Any of these bits: not simply to be passed on."""

_COMMON = frozenset(kind for kind in range(256) if not kind & _UNCOMMON)
_kind_of = itemgetter(0)

_EARLY = int(Kind.EARLY)
_FEW = 4
"""Runs that are shorter on the average are not worth their preparations."""

_LaneOf = Callable[[bytes], Lane | None]

_head_of = itemgetter(slice(_HEAD))
_BLOCK_END = 1 + MESSAGE_HEADER_SIZE + BLOCK_SIZE


class Forwarding:
    """Moves cells between lanes.

    Attributes:
        touched: Circuits whose hop may have cells or events, by key.
    """

    def __init__(
        self,
        table: CircuitTable,
        scheduler: Scheduler,
        congestion: Congestion,
        stats: RelayStats,
    ) -> None:
        self.touched: dict[int, RelayCircuit] = {}
        self._table = table
        self._scheduler = scheduler
        self._is_limited = scheduler.is_limited
        self._congestion = congestion
        self._stats = stats
        self._outs: dict[LinkId, list[bytes]] = {}
        self._dirty: list[LinkId | None] = []

    def out(self, link: LinkId) -> list[bytes]:
        """Return the list of cells that leave over a link at the next flush."""
        out = self._outs.get(link)
        if out is None:
            out = self._outs[link] = []
        return out

    def forget_link(self, link: LinkId) -> None:
        """Throw away what would leave over a link that ended."""
        out = self._outs.pop(link, None)
        if out:
            out.clear()

    def send(self, link: LinkId, cells: Sequence[bytes]) -> None:
        """Let cells of our own leave at the next flush; they are never held back."""
        out = self.out(link)
        if not out:
            self._dirty.append(link)
        out.extend(cells)
        if self._is_limited:
            self._scheduler.spend(len(cells))

    def take(
        self, link: LinkId, cells: Sequence[bytes], now: Monotonic
    ) -> Sequence[bytes]:
        """Move the RELAY cells that came over a link; return all other cells."""
        get = self._table.lanes(link).get
        if self._congestion.is_active:
            return self._take_some(get, cells, now)
        return self._move(get, cells, now)

    def flush(self, now: Monotonic) -> list[tuple[LinkId, list[bytes]]]:
        """Return what must leave now, by link, and forget it."""
        if self._is_limited:
            for destination, cell in self._scheduler.pop(now):
                self._append(destination, cell)
        if not self._dirty:
            return []
        leaving = []
        for link in self._dirty:
            if link is None:
                continue
            cells = self._outs.get(link)
            if cells:
                leaving.append((link, cells[:]))
                cells.clear()
        self._dirty.clear()
        return leaving

    def _take_some(
        self, get: _LaneOf, cells: Sequence[bytes], now: Monotonic
    ) -> list[bytes]:
        """Do as `take` with what may pass while this relay is behind."""
        stats, congestion = self._stats, self._congestion
        plain, marked = congestion.admit(cells, get, now)
        others = self._move(get, plain, now) if plain else []
        if not marked:
            return others
        before = stats.cells_backward + stats.cells_spliced
        congestion.pass_kind = MARKED
        others += self._move(get, marked, now)
        congestion.pass_kind = UNMARKED
        stats.cells_marked += stats.cells_backward + stats.cells_spliced - before
        return others

    def _move(
        self, get: _LaneOf, cells: Sequence[bytes], now: Monotonic
    ) -> list[bytes]:
        """Move cells, in runs where that pays; return those without a lane."""
        lanes = list(map(get, map(_head_of, cells)))
        if self._is_limited or len(lanes) < _FEW:
            return self._move_each(lanes, cells, now)
        changes = map(is_not, lanes, lanes[1:])
        ends = [end for end, is_end in enumerate(changes, 1) if is_end]
        if len(ends) * _FEW > len(lanes):
            return self._move_each(lanes, cells, now)
        others: list[bytes] = []
        for start, end in pairwise((0, *ends, len(lanes))):
            lane, run = lanes[start], cells[start:end]
            if lane is None:
                others += run
            else:
                self._move_run(lane, run, now)
        return others

    def _move_each(
        self, lanes: Sequence[Lane | None], cells: Sequence[bytes], now: Monotonic
    ) -> list[bytes]:
        """Move cells one by one; return those without a lane."""
        others: list[bytes] = []
        passed, is_limited = self._congestion.pass_kind, self._is_limited
        forward = backward = 0
        for lane, cell in zip(lanes, cells, strict=True):
            if lane is None:
                others.append(cell)
                continue
            opening = lane.opening
            if opening is not None:
                plaintext = opening.open(cell, _HEAD, lane.end)
                if plaintext is None or plaintext[0] & _UNCOMMON or lane.out is None:
                    plaintext = self._judge(lane.circuit, plaintext, now)
                    if plaintext is None:
                        continue
                kind = plaintext[0]
                leaving = lane.head + plaintext[1:] + lane.pad
                forward += 1
            else:
                kind = 0
                sealed = lane.sealing.seal(passed + cell[_HEAD : lane.end])
                leaving = lane.head + sealed + lane.pad
                backward += 1
            out = lane.out
            if out and not is_limited:
                out.append(leaving)
            else:
                self._leave(lane, kind, leaving, now)
        self._stats.cells_forward += forward
        self._stats.cells_backward += backward
        return others

    def _move_run(self, lane: Lane, cells: Sequence[bytes], now: Monotonic) -> None:
        """Move cells of one lane, one behind the other, in less time."""
        head, pad, out = lane.head, lane.pad, lane.out
        if lane.opening is None:
            passed, end = self._congestion.pass_kind, lane.end
            if passed == _PASS:
                plaintexts = [cell[_KIND:end] for cell in cells]
            else:
                plaintexts = [passed + cell[_HEAD:end] for cell in cells]
            leaving = lane.sealing.seal_run(plaintexts, head, pad)
            self._stats.cells_backward += len(leaving)
        else:
            opened = lane.open_run(cells)
            if opened is None:
                self._move_each([lane] * len(cells), cells, now)
                return
            if out is None or not _COMMON.issuperset(map(_kind_of, opened)):
                judged = [self._judge(lane.circuit, plain, now) for plain in opened]
                opened = [plain for plain in judged if plain is not None]
            if any(map(_kind_of, opened)):
                leaving = [head + plaintext[1:] + pad for plaintext in opened]
            else:
                circuit_id = head[:_KIND]
                leaving = [circuit_id + plaintext + pad for plaintext in opened]
            self._stats.cells_forward += len(leaving)
        if leaving and out is not None:
            if not out:
                self._dirty.append(lane.link)
            out += leaving

    def _leave(self, lane: Lane, kind: int, cell: bytes, now: Monotonic) -> None:
        """Let one cell leave over the link of its lane."""
        out = lane.out
        if self._is_limited:
            self._scheduler.push(lane, kind, cell, now)
        elif out is not None:
            if not out:
                self._dirty.append(lane.link)
            out.append(cell)

    def _append(self, link: LinkId, cell: bytes) -> None:
        out = self.out(link)
        if not out:
            self._dirty.append(link)
        out.append(cell)

    def _judge(
        self, circuit: RelayCircuit, plaintext: bytes | None, now: Monotonic
    ) -> bytes | None:
        """Let the hop look at a cell; return it if it is to be passed on after all."""
        judged = circuit.hop.judge(plaintext, now)
        if judged is None:
            self.touched[circuit.key] = circuit
        elif judged[0] & _MESSAGE:
            self._splice(circuit, judged, now)
            return None
        return judged

    def _splice(self, circuit: RelayCircuit, plaintext: bytes, now: Monotonic) -> None:
        """Give a block, whose shape the hop has checked, to the joined circuit."""
        partner = circuit.partner
        if partner is None:
            self._stats.blocks_unjoined += 1
            return
        kind = plaintext[0]
        passed = self._congestion.pass_kind
        if kind & _EARLY or passed is MARKED:
            kind = kind & ~_EARLY | passed[0]
            plaintext = bytes((kind,)) + plaintext[1:]
        lane = partner.backward
        sealed = lane.sealing.seal(plaintext[:_BLOCK_END] + partner.block_pad)
        leaving = lane.head + sealed + lane.pad
        self._stats.cells_spliced += 1
        self._leave(lane, kind, leaving, now)

    def audit(self) -> bool:
        """Whether every list that holds cells will be flushed."""
        return all(link in self._dirty for link, out in self._outs.items() if out)
