"""What comes over circuits about mailboxes: notices left, and notices collected.

Pure. Sees to it that who leaves a notice had a turn, and that who collects is the user,
over the very circuit that was signed for.
"""

from collections.abc import Callable

from presence.mailboxes import Mailboxes
from presence.stats import PresenceStats
from presence.turns import Turns
from psp.crypto.primitives import equal
from psp.errors import DecodeError
from psp.ids import NodeId
from psp.netdoc.collection import Collection
from psp.units import Monotonic
from psp.wire.mailboxes import Collected, MissedRequest, Noted, NotedStatus
from psp.wire.network import Network

OwnerListener = Callable[[bytes, int], None]
"""Takes a tag and the sequence of the absence."""


class MailboxDesk:
    """Serves the mailboxes of one presence point.

    Attributes:
        on_owner_back: Told of a tag whose mailbox its user collects, and the sequence
            of the absence, once.
    """

    def __init__(
        self,
        mailboxes: Mailboxes,
        turns: Turns,
        *,
        network: Network,
        node_id: NodeId,
        collections_per_circuit: int,
        max_circuits: int,
        stats: PresenceStats,
    ) -> None:
        """Start with nobody at the desk.

        Args:
            mailboxes: What is served.
            turns: Of circuits that bring introductions or notices.
            network: Which network.
            node_id: This relay.
            collections_per_circuit: Further ones are refused.
            max_circuits: That collect at the same time; further ones are refused.
            stats: Counted into.
        """
        self.on_owner_back: OwnerListener = lambda _tag, _sequence: None
        self._mailboxes = mailboxes
        self._turns = turns
        self._network = network
        self._node_id = node_id
        self._limit = collections_per_circuit
        self._max_circuits = max_circuits
        self._stats = stats
        self._collections: dict[int, int] = {}

    def leave(
        self, circuit: int, data: bytes, *, now: Monotonic, unix_now: float
    ) -> Noted:
        """Take a MISSED that came over a circuit.

        Args:
            circuit: One notice each, and another one after a demand of work.
            data: The 449 bytes.
            now: For rates.
            unix_now: For the life of mailboxes.
        """
        try:
            request = MissedRequest.decode(data)
        except DecodeError:
            return self._refused()
        if self._turns.is_spent(circuit) or self._turns.is_full(circuit):
            return self._refused()
        self._turns.take(circuit)
        noted = self._mailboxes.leave(request, now=now, unix_now=unix_now)
        if noted.status is NotedStatus.WORK_NEEDED:
            self._turns.work_demanded(circuit)
        return noted

    def collect(
        self, circuit: int, channel: bytes, data: bytes, *, unix_now: float
    ) -> Collected | None:
        """Take a COLLECT that came over a circuit; None to refuse it.

        Args:
            circuit: Its key.
            channel: Hash of its handshake.
            data: The 297 bytes.
            unix_now: For everything signed.
        """
        collected = self._collect(circuit, channel, data, unix_now)
        outcome = "refused" if collected is None else "served"
        self._stats.collections[outcome] += 1
        return collected

    def _collect(
        self, circuit: int, channel: bytes, data: bytes, unix_now: float
    ) -> Collected | None:
        try:
            collection = Collection.decode(data)
        except DecodeError:
            return None
        if collection.presence_point != self._node_id:
            return None
        if not equal(collection.channel, channel) or not self._admit(circuit):
            return None
        tag, identity = collection.tag, collection.identity
        if self._mailboxes.owner(tag, unix_now) != identity:
            return None
        if not collection.is_signed(self._network, unix_now):
            return None
        is_first = self._mailboxes.is_first_collection(tag)
        sequence = self._mailboxes.sequence(tag)
        collected = self._mailboxes.collect(tag, identity, collection.first, unix_now)
        if collected is not None and is_first:
            self.on_owner_back(tag, sequence)
        return collected

    def circuit_closed(self, circuit: int) -> None:
        """Forget a circuit; any key is fine."""
        self._collections.pop(circuit, None)

    def _admit(self, circuit: int) -> bool:
        count = self._collections.get(circuit, 0)
        is_new = circuit not in self._collections
        if count >= self._limit or (
            is_new and len(self._collections) >= self._max_circuits
        ):
            return False
        self._collections[circuit] = count + 1
        return True

    def _refused(self) -> Noted:
        self._stats.notices["refused"] += 1
        return Noted(NotedStatus.REFUSED)
