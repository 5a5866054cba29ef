"""The list of users: their identity keys, and which of them count.

Four words each, by number: head | identity | signature (2). Revoked records stay. The
same rules as for nodes (`psp.directory.chain.records`): a record counts if it is active
and its identity has signed::

    "psp-user-v1" | chain id 8 | registry 20 | owner 20 | identity 32

The lowest number wins, and a revocation that the identity signed for is for ever. What
a storage root proves of the book of nodes it cannot of this list, because its contract
also counts the transactions of accounts that nobody has listed; readers take the list
that several endpoints agree on.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from psp.crypto.kdf import Label
from psp.directory.chain import counted
from psp.directory.chain.layout import USER_WORDS, WORD
from psp.directory.chain.listed import (
    REVOKED,
    SIGNATURE_SIZE,
    ListedRecord,
    NotCounted,
    changed_numbers,
    cut,
    flags_of,
    joined,
    merged,
)
from psp.ids import UserId
from psp.units import UnixTime
from psp.wire.network import Network

__all__ = [
    "MAX_USERS",
    "ListedUser",
    "NotCounted",
    "UserList",
    "UserStatus",
    "changed_users",
    "join_users",
    "merged",
    "read_users",
    "recall_users",
    "split_users",
    "user_signing_input",
]

MAX_USERS = 262_144
"""Numbers given, 34 MB. Our choice, at what one client can reasonably read; beyond it
users would have to be proven one by one."""

changed_users = changed_numbers


class UserStatus(enum.IntEnum):
    """What the contract says of a record."""

    ACTIVE = 1
    REVOKED = REVOKED


class ListedUser(ListedRecord):
    """One user's record."""

    __slots__ = ()

    @property
    def status(self) -> UserStatus:
        """What the contract says of it."""
        return UserStatus(self.raw[11])

    @property
    def changed(self) -> UnixTime:
        """When the record was last written."""
        return UnixTime(int.from_bytes(self.raw[0:8]))

    @property
    def signature(self) -> bytes:
        """The user's own, 64 bytes."""
        return self.raw[2 * WORD : 2 * WORD + SIGNATURE_SIZE]


Verdict = UserId | NotCounted
"""Whose record it is, or why that cannot be believed."""


@dataclass(frozen=True, slots=True)
class UserList:
    """All users, read.

    Attributes:
        network: Which network.
        listed: Every record, the i-th with number i + 1.
        users: Identities that count.
        revoked: Identities that are dead.
        numbers: Identity by number of those that count, read-only.
        refused: How many records do not count, by reason.
        verdicts: On each record by itself.
    """

    network: Network
    listed: tuple[ListedUser, ...] = field(repr=False)
    users: frozenset[UserId] = field(repr=False, compare=False)
    revoked: frozenset[UserId] = field(repr=False, compare=False)
    numbers: Mapping[int, UserId] = field(repr=False, compare=False)
    refused: Mapping[NotCounted, int] = field(compare=False)
    verdicts: tuple[Verdict, ...] = field(repr=False, compare=False)

    @property
    def listing(self) -> bytes:
        """The whole listing."""
        return joined(self.listed)

    @property
    def flags(self) -> bytes:
        """The verdicts, a byte each, for `recall_users`."""
        return flags_of(self.verdicts)


def user_signing_input(network: Network, owner: bytes, user_id: UserId) -> bytes:
    """Return the text a user signs to be entered under an account of 20 bytes."""
    return b"".join((Label.USER, network.encode(), owner, user_id))


def split_users(data: bytes, *, first: int = 1) -> tuple[ListedUser, ...]:
    """Cut a listing, or a page of one, into records.

    Raises:
        DecodeError: If it is not one, or has more than 262,144 records.
    """
    return cut(
        ListedUser,
        data,
        first=first,
        words=USER_WORDS,
        most=MAX_USERS,
        statuses=frozenset(UserStatus),
        what="users",
    )


def join_users(listed: Sequence[ListedUser]) -> bytes:
    """Return the listing of some records, in their order."""
    return joined(listed)


def read_users(
    network: Network, listed: Sequence[ListedUser], previous: UserList | None = None
) -> UserList:
    """Verify all records and take those that count.

    Takes 0.13 ms for each record that is not, byte for byte, one of ``previous``.

    Args:
        network: Which network; its name is in what users sign.
        listed: Every record, by number.
        previous: What was verified earlier.
    """
    verdicts = counted.judge(network, listed, previous, _verdict)
    return _counted(network, tuple(listed), verdicts)


def recall_users(
    network: Network, listed: Sequence[ListedUser], flags: bytes
) -> UserList:
    """Take those records that counted earlier, without verifying them again.

    Args:
        network: Which network.
        listed: Every record, by number.
        flags: `UserList.flags` of the same records, from where nobody else writes.

    Raises:
        DecodeError: If these cannot be their flags.
    """
    return _counted(network, tuple(listed), counted.recall(listed, flags, _user_id))


def _counted(
    network: Network, listed: tuple[ListedUser, ...], verdicts: tuple[Verdict, ...]
) -> UserList:
    total = counted.count(listed, verdicts)
    return UserList(
        network,
        listed,
        frozenset(total.counting.values()),
        frozenset(UserId(identity) for identity in total.dead),
        MappingProxyType(total.counting),
        MappingProxyType(total.refused),
        verdicts,
    )


def _user_id(user: ListedUser) -> UserId:
    return UserId(user.identity)


def _verdict(network: Network, user: ListedUser) -> Verdict:
    user_id = _user_id(user)
    text = user_signing_input(network, user.owner, user_id)
    return counted.doubt(user_id, text, user.signature) or user_id
