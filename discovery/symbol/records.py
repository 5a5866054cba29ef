"""Which records count: the rules of EVM's readers, applied to metadata.

Anybody can write anything under our scoped keys, so what is wrong with one entry is
counted by reason and concerns that entry alone.

* A record counts if it is active and its identity has signed it for this network and
  this owner.
* An identity with a revoked record that it signed is dead, under every owner.
* Of several records of one identity, and of several on one account (whose importance
  can be used once), the one with the lowest owner and target counts.

Experimental.
"""

import enum
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from discovery.symbol.answers import Entry
from discovery.symbol.metadata import NodeMetadata, RecordStatus, UserMetadata
from psp.crypto.keys import link_public, verify
from psp.directory.chain.users import user_signing_input
from psp.errors import DecodeError
from psp.ids import NodeId, UserId
from psp.netdoc.node_record import (
    NodeRecord,
    Status,
    UserRecord,
    node_signing_input,
)
from psp.wire.network import Network


class NotCounted(enum.StrEnum):
    """Why an entry is passed over."""

    MALFORMED = "malformed"
    SIGNATURE = "signature"
    IDENTITY = "identity"
    """A node's key that cannot be a link key."""
    RETIRED = "retired"
    REVOKED = "revoked"
    DEAD = "dead"
    """Active, but its identity has been revoked elsewhere."""
    DOUBLE = "double"


@dataclass(frozen=True, slots=True)
class NodeTable:
    """The nodes that count.

    Attributes:
        nodes: By identity.
        targets: The account whose importance each of them stands on.
        refused: How many entries do not count, by reason.
    """

    nodes: Mapping[NodeId, NodeRecord] = field(repr=False)
    targets: Mapping[NodeId, bytes] = field(repr=False)
    refused: Mapping[NotCounted, int]


@dataclass(frozen=True, slots=True)
class UserTable:
    """The users that count.

    Attributes:
        users: By identity, the revoked ones too.
        refused: How many entries do not count, by reason.
    """

    users: Mapping[UserId, UserRecord] = field(repr=False)
    refused: Mapping[NotCounted, int]


def read_nodes(network: Network, entries: Iterable[Entry]) -> NodeTable:
    """Return the nodes among the entries."""
    refused: Counter[NotCounted] = Counter()
    dead: set[NodeId] = set()
    active: list[tuple[Entry, NodeRecord]] = []
    for entry in sorted(entries, key=_rank):
        found = _node(network, entry)
        if isinstance(found, NotCounted):
            refused[found] += 1
            continue
        status, record = found
        if status is RecordStatus.ACTIVE:
            active.append((entry, record))
        else:
            refused[_REASONS[status]] += 1
        if status is RecordStatus.REVOKED:
            dead.add(record.node_id)
    nodes: dict[NodeId, NodeRecord] = {}
    targets: dict[NodeId, bytes] = {}
    taken: set[bytes] = set()
    for entry, record in active:
        if record.node_id in dead:
            refused[NotCounted.DEAD] += 1
        elif record.node_id in nodes or entry.target in taken:
            refused[NotCounted.DOUBLE] += 1
        else:
            nodes[record.node_id] = record
            targets[record.node_id] = entry.target
            taken.add(entry.target)
    return NodeTable(nodes, targets, refused)


def read_users(network: Network, entries: Iterable[Entry]) -> UserTable:
    """Return the users among the entries."""
    refused: Counter[NotCounted] = Counter()
    dead: set[UserId] = set()
    active: list[UserId] = []
    for entry in sorted(entries, key=_rank):
        found = _user(network, entry)
        if isinstance(found, NotCounted):
            refused[found] += 1
            continue
        status, user_id = found
        if status is RecordStatus.ACTIVE:
            active.append(user_id)
        else:
            refused[_REASONS[status]] += 1
        if status is RecordStatus.REVOKED:
            dead.add(user_id)
    users = {user_id: UserRecord(user_id, Status.REVOKED) for user_id in dead}
    for user_id in active:
        if user_id in dead:
            refused[NotCounted.DEAD] += 1
        elif user_id in users:
            refused[NotCounted.DOUBLE] += 1
        else:
            users[user_id] = UserRecord(user_id)
    return UserTable(users, refused)


_REASONS = {
    RecordStatus.RETIRED: NotCounted.RETIRED,
    RecordStatus.REVOKED: NotCounted.REVOKED,
}


def _rank(entry: Entry) -> tuple[bytes, bytes]:
    """Return what orders entries the same for every reader, at every gateway."""
    return entry.owner, entry.target


def _node(
    network: Network, entry: Entry
) -> NotCounted | tuple[RecordStatus, NodeRecord]:
    try:
        data = NodeMetadata.decode(entry.value)
    except DecodeError:
        return NotCounted.MALFORMED
    record = NodeRecord(
        node_id=data.identity,
        onion_key=data.onion_key,
        endpoints=data.endpoints,
        operator=entry.owner,
        version=data.version,
    )
    text = node_signing_input(network, record)
    if not verify(data.identity, text, data.signature):
        return NotCounted.SIGNATURE
    try:
        link_public(data.identity)
    except DecodeError:
        return NotCounted.IDENTITY
    return data.status, record


def _user(network: Network, entry: Entry) -> NotCounted | tuple[RecordStatus, UserId]:
    try:
        data = UserMetadata.decode(entry.value)
    except DecodeError:
        return NotCounted.MALFORMED
    text = user_signing_input(network, entry.owner, data.identity)
    if not verify(data.identity, text, data.signature):
        return NotCounted.SIGNATURE
    return data.status, data.identity
