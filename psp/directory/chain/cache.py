"""A view of the chain, and its names, kept on this host's disk between runs (R-RPC-2).

Layout: ``HMAC-SHA256 32 | MessagePack array [view, verdicts on nodes, on users]``, the
HMAC under a key of the owner's over ``"psp-chain-cache-v1" | array``. So a cache that
somebody else has written is not believed, and the verdicts in ours save verifying
thousands of signatures at every start.
"""

from typing import Annotated

import msgspec

from psp.crypto.kdf import Label
from psp.crypto.primitives import KEY_SIZE, equal, hmac_sha256
from psp.directory.chain.layout import NAME_WORDS, WORD
from psp.directory.chain.names import (
    MAX_NAMES,
    ListedName,
    NameList,
    join_names,
    split_names,
)
from psp.directory.chain.records import MAX_NODES
from psp.directory.chain.users import MAX_USERS
from psp.directory.chain.view import ChainView
from psp.errors import DecodeError, LocalProtocolError
from psp.units import UnixTime
from psp.wire.network import Network

_TAG_SIZE = 32


class _Cache(msgspec.Struct, array_like=True, frozen=True):
    view: bytes
    nodes: Annotated[bytes, msgspec.Meta(max_length=MAX_NODES)]
    users: Annotated[bytes, msgspec.Meta(max_length=MAX_USERS)]


def seal_view(view: ChainView, key: bytes) -> bytes:
    """Return a view for the disk, under a key of 32 bytes that stays on this host."""
    payload = msgspec.msgpack.encode(_Cache(view.encode(), *view.flags))
    return _tag(key, payload) + payload


def open_view(
    data: bytes, key: bytes, network: Network, lowest_height: int = 0
) -> ChainView:
    """Read what `seal_view` wrote.

    Args:
        data: The file.
        key: As it was sealed with.
        network: The network this host is on.
        lowest_height: The highest block this host has ever used.

    Raises:
        DecodeError: If it is damaged, sealed under another key, of another network or
            older than that.
    """
    tag, payload = data[:_TAG_SIZE], data[_TAG_SIZE:]
    if not equal(tag, _tag(key, payload)):
        raise DecodeError("a cached view that this host has not written")
    try:
        cache = msgspec.msgpack.decode(payload, type=_Cache)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise DecodeError("not a cached view") from None
    view = ChainView.decode(cache.view, network, flags=(cache.nodes, cache.users))
    if view.height < lowest_height:
        raise DecodeError(
            f"a cached view of block {view.height}, this host has used {lowest_height}"
        )
    return view


class _NamesCache(msgspec.Struct, array_like=True, frozen=True):
    address: Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]
    timestamp: Annotated[int, msgspec.Meta(ge=0)]
    listing: Annotated[bytes, msgspec.Meta(max_length=MAX_NAMES * NAME_WORDS * WORD)]


def seal_names(names: NameList, address: bytes, key: bytes) -> bytes:
    """Return the names of a contract for the disk: as a view, under a label of their own.

    Args:
        names: Which.
        address: Of the contract, 20 bytes.
        key: 32 bytes that stay on this host.
    """
    cache = _NamesCache(address, names.timestamp, join_names(names.listed))
    payload = msgspec.msgpack.encode(cache)
    return _tag(key, payload, Label.NAMES_CACHE) + payload


def open_names(
    data: bytes, address: bytes, key: bytes
) -> tuple[tuple[ListedName, ...], UnixTime]:
    """Return the records that `seal_names` wrote, and the time of their block.

    Raises:
        DecodeError: If they are damaged, sealed under another key or of another contract.
    """
    tag, payload = data[:_TAG_SIZE], data[_TAG_SIZE:]
    if not equal(tag, _tag(key, payload, Label.NAMES_CACHE)):
        raise DecodeError("cached names that this host has not written")
    try:
        cache = msgspec.msgpack.decode(payload, type=_NamesCache)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise DecodeError("not cached names") from None
    if cache.address != address:
        raise DecodeError("cached names of another contract")
    return split_names(cache.listing), UnixTime(cache.timestamp)


def _tag(key: bytes, payload: bytes, label: bytes = Label.CHAIN_CACHE) -> bytes:
    if len(key) != KEY_SIZE:
        raise LocalProtocolError(f"a key has 32 bytes, not {len(key)}")
    return hmac_sha256(key, label + payload)
