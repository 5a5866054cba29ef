"""A chain as this project uses it, whichever chain that is.

Two implementations: `discovery.evm`, which proves what it says, and the read-only and
experimental `discovery.symbol`, which shows that nothing in the interface is bound to
contracts. Both return records that have passed the same checks: their own signature,
made for this network and this account (`psp.netdoc.node_record`).

Amounts are in the smallest unit of the chain's currency.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from psp.errors import PspError
from psp.ids import NodeId, UserId
from psp.netdoc.node_record import NodeRecord, UserRecord
from psp.wire.network import Network

__all__ = [
    "BackendUnavailableError",
    "ChainBackend",
    "ElectedList",
    "NodeRecord",
    "ReadOnlyBackendError",
    "Standing",
    "UnknownRecordError",
    "UserRecord",
    "Written",
]


class BackendUnavailableError(PspError):
    """The chain cannot be read now, or has never been read; ask again later."""


class ReadOnlyBackendError(PspError):
    """This backend cannot write.

    Attributes:
        operation: The method that was called.
    """

    def __init__(self, operation: str, backend: str, cure: str) -> None:
        super().__init__(f"{operation}: the {backend} backend only reads; {cure}")
        self.operation = operation


class UnknownRecordError(PspError):
    """The chain has no record of this node, so it cannot be changed or nominated."""


class Standing(enum.StrEnum):
    """What an elected list rests on; the best comes first."""

    PROVEN = "proven"
    """Proofs lead from a block that several endpoints agree on to the list."""

    RECOMPUTED = "recomputed"
    """The reader's own draw gives the list that was published."""

    COMPUTED = "computed"
    """The reader's own draw; nobody has published a list for this epoch yet."""

    PUBLISHED = "published"
    """The publishers' word: what the draw was made from can no longer be read."""

    DISPUTED = "disputed"
    """The reader's own draw gives another list than was published. Only who is in both
    may be used: neither late records nor bad publishers can put anybody there."""

    UNKNOWN = "unknown"
    """There is no list for this epoch, or none that can still be read."""


@dataclass(frozen=True, slots=True)
class ElectedList:
    """The discovery nodes of one epoch.

    Attributes:
        epoch: Which one; epochs are counted by the chain.
        nodes: Who may be used as a discovery node, sorted; empty when nobody may.
        standing: Why they may be believed.
        published: What was published, sorted, for whoever wants to see a difference.
        computed: What the reader's own draw gives, sorted; empty if it made none.
    """

    epoch: int
    nodes: tuple[NodeId, ...]
    standing: Standing
    published: tuple[NodeId, ...] = ()
    computed: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """A change that is on the chain.

    Attributes:
        reference: What the chain calls it, such as a transaction's hash.
        cost: What was paid for it, without what it deposits.
        number: The record's number where the chain gives it one; else None.
    """

    reference: bytes
    cost: int
    number: int | None = None


class ChainBackend(Protocol):
    """Who is a member, who was elected, and how to become one.

    Readers raise `BackendUnavailableError` when the chain does not answer and
    `psp.errors.DecodeError` when it answers nonsense; neither changes anything. Writers
    raise `ReadOnlyBackendError` where the backend cannot write, and otherwise the
    errors of `discovery.transactions.errors`, each a sentence for a person.
    """

    @property
    def network(self) -> Network:
        """Which network the records are signed for."""
        ...

    @property
    def is_read_only(self) -> bool:
        """Whether every writer raises `ReadOnlyBackendError`."""
        ...

    async def users(self) -> Mapping[UserId, UserRecord]:
        """Return every user with a valid record, the revoked ones too."""
        ...

    async def nodes(self) -> Mapping[NodeId, NodeRecord]:
        """Return every active node with a valid record."""
        ...

    async def elected(self, epoch: int | None = None) -> ElectedList:
        """Return the list of an epoch; None for the one in force."""
        ...

    async def trusted(self) -> tuple[NodeId, ...]:
        """Return the nodes of trusted partners, sorted."""
        ...

    async def publish(
        self, record: NodeRecord | UserRecord, signature: bytes, stake: int = 0
    ) -> Written:
        """Register a node with its stake, or a user.

        Args:
            record: Whose operator, for a node, is the account that writes.
            signature: By the identity's key, 64 bytes.
            stake: Deposited for a node; users have none.
        """
        ...

    async def rotate(self, record: NodeRecord, signature: bytes) -> Written:
        """Put new keys and endpoints into the record of the same identity.

        Raises:
            UnknownRecordError: If there is no active record of it.
        """
        ...

    async def nominate(self, nodes: Sequence[NodeId]) -> Written:
        """Propose nodes for the next epoch's list.

        Raises:
            UnknownRecordError: If one of them has no active record.
        """
        ...
