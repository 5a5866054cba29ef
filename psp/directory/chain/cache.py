"""A view of the chain, kept on this host's disk between runs (R-RPC-2).

Layout: ``HMAC-SHA256 32 | MessagePack array [view, verdicts on nodes, on users]``, the
HMAC under a key of the owner's over ``"psp-chain-cache-v1" | array``. So a cache that
somebody else has written is not believed, and the verdicts in ours save verifying
thousands of signatures at every start.
"""

from typing import Annotated

import msgspec

from psp.crypto.kdf import Label
from psp.crypto.primitives import KEY_SIZE, equal, hmac_sha256
from psp.directory.chain.records import MAX_NODES
from psp.directory.chain.users import MAX_USERS
from psp.directory.chain.view import ChainView
from psp.errors import DecodeError, LocalProtocolError
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


def _tag(key: bytes, payload: bytes) -> bytes:
    if len(key) != KEY_SIZE:
        raise LocalProtocolError(f"a key has 32 bytes, not {len(key)}")
    return hmac_sha256(key, Label.CHAIN_CACHE + payload)
