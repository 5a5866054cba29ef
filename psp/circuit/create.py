"""CREATE and CREATED between two neighbours, over links that lose cells.

`Creation` asks: the origin for hop 1, and a relay for the hop behind it. It repeats its
halves on its own schedule (`psp.circuit.retry`), so that a handshake with hop 3 does
not have to cross three lossy links in one go; an EXTEND that the origin repeats
meanwhile starts nothing.

`CreateTable` answers. It keeps each answer for 30 s under circuit id and transcript: the
same half again brings back the same half of the answer (twice), never a second circuit
(R-CIR-3). One table per link; it holds at most 4 half handshakes of 672 bytes for 2 s and
64 answers of 1,184 bytes, the oldest going first.
"""

from dataclasses import dataclass, field

from psp.circuit.halves import HalfTable
from psp.circuit.retry import ANSWER_COPIES, Retry
from psp.circuit.stats import CreateStats
from psp.crypto.primitives import sha256
from psp.errors import DecodeError
from psp.ids import CircuitId
from psp.units import Monotonic, Seconds
from psp.wire.cell import Cell, CellCommand
from psp.wire.create import CreatedHalf, CreateHalf

CREATE_GIVE_UP_AFTER = Seconds(2.7)
"""Before the origin's EXTEND does, so that a relay's refusal comes in time."""

CREATED_LIFETIME = Seconds(30.0)
MAX_CREATED = 64


class Creation:
    """A handshake that we send to the next relay.

    Attributes:
        circuit_id: On the link to that relay.
        reply: The relay handshake, 1,184 bytes, once both halves are here.
    """

    __slots__ = ("_parts", "_requests", "_retry", "circuit_id", "reply")

    def __init__(
        self, circuit_id: CircuitId, hop: int, client_handshake: bytes, now: Monotonic
    ) -> None:
        """Begin.

        Args:
            circuit_id: New on the link to the next relay.
            hop: Index of the next relay.
            client_handshake: 1,344 bytes.
            now: When the first cells go out.
        """
        self.circuit_id = circuit_id
        self.reply: bytes | None = None
        middle = len(client_handshake) // 2
        self._requests = tuple(
            Cell(
                circuit_id, CellCommand.CREATE, CreateHalf(part, hop, half).encode()
            ).encode()
            for part, half in (
                (1, client_handshake[:middle]),
                (2, client_handshake[middle:]),
            )
        )
        self._retry = Retry(now, give_up_after=CREATE_GIVE_UP_AFTER)
        self._parts: dict[int, bytes] = {}

    def cells_to_send(self, now: Monotonic) -> list[bytes]:
        """Return the CREATE cells that are due: those whose answer is missing."""
        if self.reply is not None or not self._retry.take(now):
            return []
        return [
            cell
            for part, cell in enumerate(self._requests, 1)
            if part not in self._parts
        ]

    def receive(self, body: bytes) -> bytes | None:
        """Take in the body of a CREATED cell.

        Returns:
            The relay handshake when this half completed it. Later halves give None:
            they are repetitions, and a neighbour needs no hidden channel to us.

        Raises:
            DecodeError: If it is malformed.
        """
        half = CreatedHalf.decode(body)
        if self.reply is not None:
            return None
        self._parts[half.part] = half.data
        if len(self._parts) < 2:
            return None
        self.reply = self._parts[1] + self._parts[2]
        self._requests = ()
        self._parts.clear()
        return self.reply

    def next_timeout(self) -> Monotonic | None:
        """Return when to ask for cells again, or None once answered."""
        return None if self.reply is not None else self._retry.next_due

    def has_failed(self, now: Monotonic) -> bool:
        """Tell whether every repetition was in vain."""
        return self.reply is None and self._retry.is_over(now)


@dataclass(frozen=True, slots=True)
class CreateReceived:
    """A neighbour wants a circuit.

    Attributes:
        circuit_id: On this link.
        hop: The index that the neighbour says we get; `accept` checks it.
        client_handshake: 1,344 bytes.
    """

    circuit_id: CircuitId
    hop: int
    client_handshake: bytes = field(repr=False)


class _Created:
    """A handshake seen whole, and its answer once there is one."""

    __slots__ = ("answer", "digests", "expires")

    def __init__(self, digests: tuple[bytes, bytes], expires: Monotonic) -> None:
        self.digests = digests
        self.answer: tuple[bytes, ...] = ()
        self.expires = expires


class CreateTable:
    """The CREATE cells of one link."""

    __slots__ = ("_created", "_halves", "_outgoing", "_stats")

    def __init__(self, stats: CreateStats) -> None:
        self._halves: HalfTable[tuple[CircuitId, int]] = HalfTable()
        self._created: dict[CircuitId, _Created] = {}
        self._outgoing: list[bytes] = []
        self._stats = stats

    def receive(
        self, circuit_id: CircuitId, body: bytes, now: Monotonic
    ) -> CreateReceived | None:
        """Take in the body of a CREATE cell; never raises.

        Returns:
            A new handshake, to be met with `answer` or `forget`; None for a first half,
            a repetition (answered by `cells_to_send`) or nonsense (counted).
        """
        try:
            half = CreateHalf.decode(body)
        except DecodeError:
            self._stats.malformed += 1
            return None
        created = self._created.get(circuit_id)
        if created is not None and created.expires > now:
            self._repeat(created, half)
            return None
        whole = self._halves.add((circuit_id, half.hop), half.part, half.data, now)
        if whole is None:
            return None
        self._stats.created += 1
        self._remember(circuit_id, whole, now)
        return CreateReceived(circuit_id, half.hop, whole)

    def answer(
        self, circuit_id: CircuitId, relay_handshake: bytes, now: Monotonic
    ) -> None:
        """Send a relay handshake (1,184 bytes) back, now and whenever asked again."""
        created = self._created.get(circuit_id)
        if created is None:
            return
        middle = len(relay_handshake) // 2
        created.answer = (
            _created_cell(circuit_id, 1, relay_handshake[:middle]),
            _created_cell(circuit_id, 2, relay_handshake[middle:]),
        )
        created.expires = Monotonic(now + CREATED_LIFETIME)
        self._outgoing += created.answer

    def forget(self, circuit_id: CircuitId) -> None:
        """Drop what is known of a circuit: it was refused or destroyed."""
        self._created.pop(circuit_id, None)

    def cells_to_send(self) -> list[bytes]:
        """Return the CREATED cells that must go out now."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def expire(self, now: Monotonic) -> None:
        """Drop old halves and answers; call every second or so."""
        self._halves.expire(now)
        for circuit_id, created in list(self._created.items()):
            if created.expires <= now:
                del self._created[circuit_id]

    def _repeat(self, created: _Created, half: CreateHalf) -> None:
        if sha256(half.data) != created.digests[half.part - 1]:
            self._stats.conflicting += 1
        elif created.answer:
            self._stats.repeated += 1
            self._outgoing += [created.answer[half.part - 1]] * ANSWER_COPIES

    def _remember(self, circuit_id: CircuitId, whole: bytes, now: Monotonic) -> None:
        self._created.pop(circuit_id, None)
        if len(self._created) >= MAX_CREATED:
            del self._created[next(iter(self._created))]
        middle = len(whole) // 2
        self._created[circuit_id] = _Created(
            (sha256(whole[:middle]), sha256(whole[middle:])),
            Monotonic(now + CREATED_LIFETIME),
        )


def _created_cell(circuit_id: CircuitId, part: int, half: bytes) -> bytes:
    body = CreatedHalf(part, half).encode()
    return Cell(circuit_id, CellCommand.CREATED, body).encode()
