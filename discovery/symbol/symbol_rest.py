"""Answers of a Symbol gateway (catapult-rest 2.x). Experimental.

From its sources (``symbol/symbol``, ``client/rest`` and ``openapi``): numbers of 64 bits
are decimal strings, ids and scoped keys 16 hexadecimal digits, addresses 24 bytes in
hexadecimal. An account answers with the newest importance only, so an election can be
recomputed while it is the newest.

Pages are asked for by ``offset``, the id of the last entry seen: by page number,
entries would be missed whenever an earlier one is removed while pages are read.
"""

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from discovery.symbol.addresses import AddressFormat
from discovery.symbol.answers import Block, Entry, Head, Importance, Multisig, Page
from discovery.symbol.shapes import (
    MAX_COSIGNATORIES,
    AccountType,
    Approvals,
    BlockMeta,
    Hex32,
    HexValue,
    ObjectId,
    PageNumber,
    PageSize,
)
from psp.errors import DecodeError
from psp.netdoc.strict_json import decode_json

MAIN_NETWORK: Final = 0x68
TEST_NETWORK: Final = 0x98

_CHECKSUM_SIZE: Final = 3

_U64 = Annotated[
    str, msgspec.Meta(pattern=r"\A(?:0|[1-9][0-9]{0,19})\Z", max_length=20)
]
_Key = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-F]{16}\Z", max_length=16)]
_Address = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-F]{48}\Z", max_length=48)]


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    source_address: _Address
    target_address: _Address
    scoped_metadata_key: _Key
    target_id: _Key
    metadata_type: AccountType
    value: HexValue


class _Item(msgspec.Struct, frozen=True, rename="camel"):
    metadata_entry: _Entry
    id: ObjectId


class _Pagination(msgspec.Struct, frozen=True, rename="camel"):
    page_number: PageNumber
    page_size: PageSize


class _Page(msgspec.Struct, frozen=True):
    data: list[_Item]
    pagination: _Pagination


class _Final(msgspec.Struct, frozen=True):
    height: _U64
    hash: Hex32


class _Chain(msgspec.Struct, frozen=True, rename="camel"):
    height: _U64
    latest_finalized_block: _Final


class _BlockBody(msgspec.Struct, frozen=True):
    height: _U64
    network: int


class _Block(msgspec.Struct, frozen=True):
    meta: BlockMeta
    block: _BlockBody


class _AccountBody(msgspec.Struct, frozen=True, rename="camel"):
    address: _Address
    importance: _U64
    importance_height: _U64


class _Account(msgspec.Struct, frozen=True):
    account: _AccountBody


class _MultisigBody(msgspec.Struct, frozen=True, rename="camel"):
    account_address: _Address
    min_approval: Approvals
    cosignatory_addresses: Annotated[
        list[_Address], msgspec.Meta(max_length=MAX_COSIGNATORIES)
    ]


class _Multisig(msgspec.Struct, frozen=True):
    multisig: _MultisigBody


class _Node(msgspec.Struct, frozen=True, rename="camel"):
    network_generation_hash_seed: Hex32
    network_identifier: int


class SymbolRest:
    """The dialect of Symbol gateways.

    Attributes:
        addresses: How this network writes addresses.
    """

    name = "Symbol"
    is_paged_by_cursor = True

    def __init__(self, network: int) -> None:
        self.addresses = AddressFormat(network, _CHECKSUM_SIZE)

    def identity(self) -> str:
        """Return the path of what tells the network from others."""
        return "/node/info"

    def read_identity(self, body: bytes) -> bytes:
        """Return the network's generation hash seed, 32 bytes."""
        node = decode_json(body, _Node)
        self._check_network(node.network_identifier)
        return bytes.fromhex(node.network_generation_hash_seed)

    def entries(self) -> str:
        """Return the path of the metadata entries."""
        return "/metadata"

    def of_account(self, owner: bytes, target: bytes) -> Mapping[str, str]:
        """Return the parameters that select the entries of one account."""
        return {
            "sourceAddress": self.addresses.text(owner),
            "targetAddress": self.addresses.text(target),
        }

    def read_page(self, body: bytes) -> Page:
        """Return a page of account metadata."""
        page = decode_json(body, _Page)
        entries = tuple(self._entry(item) for item in page.data)
        return Page(
            entries, page.pagination.page_number, page.pagination.page_size, None
        )

    def head(self) -> str:
        """Return the path of the chain's height."""
        return "/chain/info"

    def read_head(self, body: bytes) -> Head:
        """Return where the chain is."""
        chain = decode_json(body, _Chain)
        final = chain.latest_finalized_block
        return Head(
            _number(chain.height), _number(final.height), bytes.fromhex(final.hash)
        )

    def block(self, height: int) -> str:
        """Return the path of a block."""
        return f"/blocks/{height}"

    def read_block(self, body: bytes, height: int) -> Block:
        """Return the block that was asked for."""
        block = decode_json(body, _Block)
        self._check_network(block.block.network)
        if _number(block.block.height) != height:
            raise DecodeError(f"block {block.block.height} instead of {height}")
        return block.meta.block(height)

    def account(self, target: bytes) -> str:
        """Return the path of an account."""
        return f"/accounts/{self.addresses.text(target)}"

    def read_importance(self, body: bytes, target: bytes) -> Importance | None:
        """Return the account's importance."""
        account = decode_json(body, _Account).account
        if self._account(account.address) != target:
            raise DecodeError("another account than was asked for")
        return Importance(
            _number(account.importance), _number(account.importance_height)
        )

    def multisig(self, account: bytes) -> str:
        """Return the path of a multisig account."""
        return f"/account/{self.addresses.text(account)}/multisig"

    def read_multisig(self, body: bytes, account: bytes) -> Multisig:
        """Return who acts for the account that was asked for."""
        multisig = decode_json(body, _Multisig).multisig
        if self._account(multisig.account_address) != account:
            raise DecodeError("another multisig account than was asked for")
        signers = {self._account(text) for text in multisig.cosignatory_addresses}
        return Multisig(multisig.min_approval, len(signers))

    def _entry(self, item: _Item) -> Entry:
        entry = item.metadata_entry
        if int(entry.target_id, 16):
            raise DecodeError("account metadata with a target id")
        return Entry(
            item.id,
            self._account(entry.source_address),
            self._account(entry.target_address),
            int(entry.scoped_metadata_key, 16),
            bytes.fromhex(entry.value),
        )

    def _account(self, address: str) -> bytes:
        return self.addresses.account(bytes.fromhex(address))

    def _check_network(self, found: int) -> None:
        if found != self.addresses.network:
            raise DecodeError(
                f"a gateway of network {found}, not of {self.addresses.network}"
            )


def _number(text: str) -> int:
    number = int(text)
    if number >= 1 << 64:
        raise DecodeError("a number of more than 64 bits")
    return number
