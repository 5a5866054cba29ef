"""Answers of a ProximaX Sirius gateway (js-xpx-chain-rest). Experimental.

From its sources and its SDKs' recorded answers. What differs from Symbol:

* Numbers of 64 bits are pairs ``[low, high]`` of 32 bits, scoped keys too; request
  parameters write them in hexadecimal all the same.
* Addresses have 25 bytes; metadata hangs on a public key (``targetKey``), under
  ``/metadata_v2``, in pages that say how many entries there are but give them no ids.
* Paths are ``/account/{id}`` and ``/block/{height}``, the height is ``/chain/height``.
* No finalised block: a block counts as final when the network can no longer take it
  back (``maxRollbackBlocks``, 360).
* The network is known by the generation hash of its first block.
* **No importance**: the chain weighs by effective balance, which its gateways do not
  show. (Early ones did.) The draw then cannot be recomputed, and an elected list is
  the partners' word only.
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
    PageNumber,
    PageSize,
    Total,
)
from psp.errors import DecodeError
from psp.netdoc.strict_json import decode_json

MAIN_NETWORK: Final = 0xB8
TEST_NETWORK: Final = 0xA8
ROLLBACK_BLOCKS: Final = 360
"""``maxRollbackBlocks`` in ``config-network.properties``: an hour and a half."""

_CHECKSUM_SIZE: Final = 4

_U32 = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
_U64 = tuple[_U32, _U32]
_Address = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-F]{50}\Z", max_length=50)]


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    source_address: _Address
    target_key: Hex32
    scoped_metadata_key: _U64
    target_id: _U64
    metadata_type: AccountType
    value: HexValue


class _Item(msgspec.Struct, frozen=True, rename="camel"):
    metadata_entry: _Entry


class _Pagination(msgspec.Struct, frozen=True, rename="camel"):
    total_entries: Total
    page_number: PageNumber
    page_size: PageSize


class _Page(msgspec.Struct, frozen=True):
    data: list[_Item]
    pagination: _Pagination


class _Chain(msgspec.Struct, frozen=True):
    height: _U64


class _BlockBody(msgspec.Struct, frozen=True):
    height: _U64


class _Block(msgspec.Struct, frozen=True):
    meta: BlockMeta
    block: _BlockBody


class _AccountBody(msgspec.Struct, frozen=True, rename="camel"):
    address: _Address
    public_key: Hex32
    importance: _U64 | None = None
    importance_height: _U64 | None = None


class _Account(msgspec.Struct, frozen=True):
    account: _AccountBody


class _MultisigBody(msgspec.Struct, frozen=True, rename="camel"):
    account_address: _Address
    min_approval: Approvals
    cosignatories: Annotated[list[Hex32], msgspec.Meta(max_length=MAX_COSIGNATORIES)]


class _Multisig(msgspec.Struct, frozen=True):
    multisig: _MultisigBody


class SiriusRest:
    """The dialect of Sirius gateways.

    Attributes:
        addresses: How this network writes addresses.
    """

    name = "Sirius"
    is_paged_by_cursor = False

    def __init__(self, network: int) -> None:
        self.addresses = AddressFormat(network, _CHECKSUM_SIZE)

    def identity(self) -> str:
        """Return the path of what tells the network from others."""
        return self.block(1)

    def read_identity(self, body: bytes) -> bytes:
        """Return the network's generation hash, 32 bytes."""
        return self.read_block(body, 1).generation_hash

    def entries(self) -> str:
        """Return the path of the metadata entries."""
        return "/metadata_v2"

    def of_account(self, owner: bytes, target: bytes) -> Mapping[str, str]:
        """Return the parameters that select the entries of one account."""
        return {
            "sourceAddress": self.addresses.text(owner),
            "targetKey": target.hex().upper(),
        }

    def read_page(self, body: bytes) -> Page:
        """Return a page of account metadata."""
        page = decode_json(body, _Page)
        entries = tuple(self._entry(item.metadata_entry) for item in page.data)
        pagination = page.pagination
        return Page(
            entries,
            pagination.page_number,
            pagination.page_size,
            pagination.total_entries,
        )

    def head(self) -> str:
        """Return the path of the chain's height."""
        return "/chain/height"

    def read_head(self, body: bytes) -> Head:
        """Return where the chain is."""
        height = _number(decode_json(body, _Chain).height)
        return Head(height, max(height - ROLLBACK_BLOCKS, 0), None)

    def block(self, height: int) -> str:
        """Return the path of a block."""
        return f"/block/{height}"

    def read_block(self, body: bytes, height: int) -> Block:
        """Return the block that was asked for."""
        block = decode_json(body, _Block)
        if _number(block.block.height) != height:
            raise DecodeError(
                f"block {_number(block.block.height)} instead of {height}"
            )
        return block.meta.block(height)

    def account(self, target: bytes) -> str:
        """Return the path of an account."""
        return f"/account/{target.hex().upper()}"

    def read_importance(self, body: bytes, target: bytes) -> Importance | None:
        """Return the account's importance; None from all but early gateways."""
        account = decode_json(body, _Account).account
        self._account(account.address)
        if bytes.fromhex(account.public_key) != target:
            raise DecodeError("another account than was asked for")
        if account.importance is None or account.importance_height is None:
            return None
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
        return Multisig(multisig.min_approval, len(set(multisig.cosignatories)))

    def _entry(self, entry: _Entry) -> Entry:
        if _number(entry.target_id):
            raise DecodeError("account metadata with a target id")
        return Entry(
            "",
            self._account(entry.source_address),
            bytes.fromhex(entry.target_key),
            _number(entry.scoped_metadata_key),
            bytes.fromhex(entry.value),
        )

    def _account(self, address: str) -> bytes:
        return self.addresses.account(bytes.fromhex(address))


def _number(pair: _U64) -> int:
    low, high = pair
    return high << 32 | low
