"""What a gateway says, whichever of the two kinds it is. Experimental."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from discovery.symbol.addresses import AddressFormat


@dataclass(frozen=True, slots=True)
class Entry:
    """One metadata entry of an account.

    Attributes:
        cursor: The gateway's own id of the entry, rising; empty if it gives none.
        owner: The account that wrote it, 20 bytes.
        target: The account it is attached to: its 20 bytes on Symbol, its public key
            on Sirius.
        key: The scoped key, 64 bits.
        value: At most 1,024 bytes.
    """

    cursor: str
    owner: bytes
    target: bytes
    key: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """One page of entries.

    Attributes:
        entries: In the gateway's order.
        number: Which page this is, from 1.
        size: The most entries that a page of this answer holds.
        total: Entries on all pages; None where the gateway does not say.
    """

    entries: tuple[Entry, ...]
    number: int
    size: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain is.

    Attributes:
        height: Of the newest block.
        final_height: Of the newest block that will not be taken back.
        final_hash: Of that block; None where the gateway does not say.
    """

    height: int
    final_height: int
    final_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Block:
    """One block.

    Attributes:
        height: Its number.
        hash: 32 bytes.
        generation_hash: 32 bytes that its harvester could not choose.
    """

    height: int
    hash: bytes
    generation_hash: bytes


@dataclass(frozen=True, slots=True)
class Importance:
    """An account's weight, as the chain last computed it.

    Attributes:
        value: 0 if the account did not qualify.
        height: After which block it was computed; 0 if it did not qualify.
    """

    value: int
    height: int


@dataclass(frozen=True, slots=True)
class Multisig:
    """Who acts for a multisig account.

    Attributes:
        min_approval: Cosignatories that must sign a transaction; 0 if it is none.
        cosignatories: How many there are.
    """

    min_approval: int
    cosignatories: int


class Dialect(Protocol):
    """How to ask one kind of gateway, and how to read its answers.

    Paths and parameters go to `discovery.symbol.rest.Rest`; every reader of an answer
    raises `DecodeError` for anything it does not expect, an address of another network
    included.
    """

    name: str
    addresses: AddressFormat
    is_paged_by_cursor: bool
    """Whether a page is asked for by the last entry seen (``offset``) or by number."""

    def identity(self) -> str:
        """Return the path of what tells the network from others."""
        ...

    def read_identity(self, body: bytes) -> bytes:
        """Return the network's generation hash seed, 32 bytes."""
        ...

    def entries(self) -> str:
        """Return the path of the metadata entries."""
        ...

    def of_account(self, owner: bytes, target: bytes) -> Mapping[str, str]:
        """Return the parameters that select the entries of one account."""
        ...

    def read_page(self, body: bytes) -> Page:
        """Return a page of account metadata."""
        ...

    def head(self) -> str:
        """Return the path of the chain's height."""
        ...

    def read_head(self, body: bytes) -> Head:
        """Return where the chain is."""
        ...

    def block(self, height: int) -> str:
        """Return the path of a block."""
        ...

    def read_block(self, body: bytes, height: int) -> Block:
        """Return the block that was asked for."""
        ...

    def account(self, target: bytes) -> str:
        """Return the path of an account."""
        ...

    def read_importance(self, body: bytes, target: bytes) -> Importance | None:
        """Return the account's importance; None where the chain has no such thing."""
        ...

    def multisig(self, account: bytes) -> str:
        """Return the path of a multisig account."""
        ...

    def read_multisig(self, body: bytes, account: bytes) -> Multisig:
        """Return who acts for the account that was asked for."""
        ...
