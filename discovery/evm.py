"""`ChainBackend` on an EVM chain: a thin composition, no logic of its own.

What is read is a verified view of the contracts (`psp.directory.chain`), made by
`psp.runtime.chain_reader`; what is written goes through `discovery.transactions`. Before
anything is paid for, the record's signature is checked as its readers will check it.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from discovery.backend import (
    BackendUnavailableError,
    ElectedList,
    ReadOnlyBackendError,
    Standing,
    UnknownRecordError,
    Written,
)
from discovery.transactions.abi import decode_log
from discovery.transactions.call import Call
from discovery.transactions.calls import Relays, Users
from discovery.transactions.costs import Outcome
from psp.crypto.keys import verify
from psp.directory.chain.users import user_signing_input
from psp.directory.chain.view import ChainView
from psp.errors import LocalProtocolError
from psp.ids import NodeId, UserId
from psp.netdoc.node_entry import SignedNode
from psp.netdoc.node_record import (
    NodeRecord,
    Status,
    UserRecord,
    node_signing_input,
)
from psp.runtime.chain_reader import Reading
from psp.runtime.quorum import ChainReadError
from psp.wire.network import Network

MAX_NOMINATIONS = 64
"""In one transaction (``nominate_many`` of `Relays.vy`)."""


class Reader(Protocol):
    """Reads the contracts; `psp.runtime.chain_reader.ChainReader` is one."""

    async def read(self, previous: ChainView | None = None) -> Reading:
        """Return the registry at the newest agreed block; raises ChainReadError."""
        ...


class Payer(Protocol):
    """Sends transactions; `discovery.transactions.sender.Sender` is one."""

    address: bytes

    async def send(self, call: Call) -> Outcome:
        """Have a call mined and confirmed; raises ChainError."""
        ...


class EvmBackend:
    """One overlay network on one EVM chain."""

    def __init__(
        self, network: Network, reader: Reader, sender: Payer | None = None
    ) -> None:
        """Nothing is read yet.

        Args:
            network: The chain, and the registry contract on it.
            reader: Reads it, users included.
            sender: Pays for changes; None for a backend that only reads.
        """
        self._network = network
        self._reader = reader
        self._sender = sender
        self._view: ChainView | None = None

    @property
    def network(self) -> Network:
        """Which network the records are signed for."""
        return self._network

    @property
    def is_read_only(self) -> bool:
        """Whether there is nobody to pay."""
        return self._sender is None

    async def view(self) -> ChainView:
        """Return the registry at the newest agreed block.

        Raises:
            BackendUnavailableError: If it cannot be read now.
        """
        try:
            self._view = (await self._reader.read(self._view)).view
        except ChainReadError as error:
            raise BackendUnavailableError(str(error)) from error
        return self._view

    async def users(self) -> Mapping[UserId, UserRecord]:
        """Return every user with a valid record, the revoked ones too."""
        users = (await self.view()).users
        if users is None:
            raise BackendUnavailableError("this reader leaves out the users")
        active = {user_id: UserRecord(user_id) for user_id in users.users}
        revoked = {
            user_id: UserRecord(user_id, Status.REVOKED) for user_id in users.revoked
        }
        return active | revoked

    async def nodes(self) -> Mapping[NodeId, NodeRecord]:
        """Return every active node with a valid record."""
        return (await self.view()).nodes.nodes

    async def trusted(self) -> tuple[NodeId, ...]:
        """Return the nodes of trusted partners, sorted."""
        return (await self.view()).trusted()

    async def elected(self, epoch: int | None = None) -> ElectedList:
        """Return the list in force, or the one before it; others are unknown."""
        view = await self.view()
        state = view.state
        if not state.list_epoch or epoch not in {
            None,
            state.list_epoch,
            state.retiring_epoch,
        }:
            wanted = state.epoch if epoch is None else epoch
            return ElectedList(wanted, (), Standing.UNKNOWN)
        if epoch in {None, state.list_epoch}:
            epoch, nodes = state.list_epoch, view.elected()
        else:
            epoch, nodes = state.retiring_epoch, _ids(view, state.retiring)
        return ElectedList(epoch, nodes, Standing.PROVEN, published=nodes)

    async def publish(
        self, record: NodeRecord | UserRecord, signature: bytes, stake: int = 0
    ) -> Written:
        """Register a node with its stake in wei, or a user, owned by who pays.

        Raises:
            LocalProtocolError: If readers would not count the record.
        """
        sender = self._payer("publish")
        if isinstance(record, NodeRecord):
            if record.operator != sender.address:
                raise LocalProtocolError("a node is registered by its own operator")
            self._check_node(record, signature)
            relays = Relays(self.network.registry)
            call = relays.register_node(SignedNode(record, signature), stake=stake)
            return _node_written(await sender.send(call))
        if stake or record.status is not Status.ACTIVE:
            raise LocalProtocolError("a user is registered active and without stake")
        text = user_signing_input(self.network, sender.address, record.user_id)
        if not verify(record.user_id, text, signature):
            raise LocalProtocolError("the user has not signed this for this account")
        users = Users((await self.view()).state.users)
        outcome = await sender.send(users.register(record.user_id, signature))
        return _written(outcome, "Users", "UserSet")

    async def rotate(self, record: NodeRecord, signature: bytes) -> Written:
        """Put new keys and endpoints into the record of the same identity.

        If nothing but the onion key changes, the operator's hot account may pay.

        Raises:
            UnknownRecordError: If there is no active record of it.
            LocalProtocolError: If readers would not count the record.
        """
        sender = self._payer("rotate")
        self._check_node(record, signature)
        view = await self.view()
        (number,) = _numbers(view, [record.node_id])
        present = view.nodes.nodes[record.node_id]
        if record.operator != present.operator:
            raise LocalProtocolError("a record stays with its operator")
        relays = Relays(self.network.registry)
        if record.endpoints == present.endpoints:
            call = relays.rotate_onion(number, record.onion_key, signature)
        else:
            call = relays.update_node(number, SignedNode(record, signature))
        return _node_written(await sender.send(call))

    async def nominate(self, nodes: Sequence[NodeId]) -> Written:
        """Propose nodes for the next epoch's list, 64 in a transaction.

        The contract passes over those that cannot be nominated.

        Raises:
            UnknownRecordError: If one of them has no active record.
            LocalProtocolError: If there are none.
        """
        sender = self._payer("nominate")
        if not nodes:
            raise LocalProtocolError("nobody to nominate")
        numbers = _numbers(await self.view(), nodes)
        relays = Relays(self.network.registry)
        reference, cost = b"", 0
        for start in range(0, len(numbers), MAX_NOMINATIONS):
            some = numbers[start : start + MAX_NOMINATIONS]
            receipt = (await sender.send(relays.nominate_many(some))).receipt
            reference, cost = receipt.hash, cost + receipt.cost
        return Written(reference, cost)

    def _payer(self, operation: str) -> Payer:
        if self._sender is None:
            raise ReadOnlyBackendError(operation, "EVM", "give it a wallet that pays")
        return self._sender

    def _check_node(self, record: NodeRecord, signature: bytes) -> None:
        text = node_signing_input(self.network, record)
        if not verify(record.node_id, text, signature):
            raise LocalProtocolError("the node has not signed this record")


def _ids(view: ChainView, numbers: Sequence[int]) -> tuple[NodeId, ...]:
    known = view.nodes.numbers
    return tuple(sorted({known[number] for number in numbers if number in known}))


def _numbers(view: ChainView, nodes: Sequence[NodeId]) -> list[int]:
    wanted = set(nodes)
    known = {
        node_id: number
        for number, node_id in view.nodes.numbers.items()
        if node_id in wanted
    }
    if wanted - known.keys():
        raise UnknownRecordError("the chain has no active record of this node")
    return [known[node_id] for node_id in dict.fromkeys(nodes)]


def _node_written(outcome: Outcome) -> Written:
    return _written(outcome, "Relays", "NodeSet")


def _written(outcome: Outcome, contract: str, event: str) -> Written:
    receipt = outcome.receipt
    for log in receipt.logs:
        if log.address != outcome.call.to:
            continue
        found = decode_log(contract, log.topics, log.data)
        if found is not None and found.name == event:
            return Written(receipt.hash, receipt.cost, found.fields["number"])
    return Written(receipt.hash, receipt.cost)
