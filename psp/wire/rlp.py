"""RLP: how Ethereum writes headers, accounts and the nodes of its tries.

An item is a string of bytes or a list of items (Ethereum's Yellow Paper, appendix B)::

    one byte below 0x80          the byte itself
    string of 0 … 55 bytes       0x80 + length | string
    longer string                0xb7 + size of length | length | string
    list of 0 … 55 bytes         0xc0 + length | items
    longer list                  0xf7 + size of length | length | items

Every item has one encoding only, and `decode` takes no other: a proof that could be
written in two ways would have two hashes.
"""

from collections.abc import Sequence
from typing import TypeAlias

from psp.errors import DecodeError, LocalProtocolError

Item: TypeAlias = bytes | tuple["Item", ...]

MAX_BYTES = 16_384
"""Our choice: a branch of a trie has at most 532 bytes, a header about 700, more on
chains that keep their validators in it."""
MAX_DEPTH = 4
"""Lists within lists. Headers and accounts have one; a trie's node has one more for
each node of less than 32 bytes inside it, which hashed keys make all but impossible."""

_SHORT = 55
"""Longest content whose length fits in the first byte."""


def encode(item: bytes | Sequence[Item]) -> bytes:
    """Return the encoding of an item; any sequence of items is a list."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _head(0x80, len(item)) + item
    content = b"".join([encode(element) for element in item])
    return _head(0xC0, len(content)) + content


def decode(data: bytes) -> Item:
    """Read one item, all of ``data``.

    Raises:
        DecodeError: If ``data`` is not the one encoding of an item, is longer than
            16,384 bytes or is nested deeper than 4 lists.
    """
    if len(data) > MAX_BYTES:
        raise DecodeError(f"RLP of {len(data)} bytes")
    item, end = _read(data, 0, len(data), MAX_DEPTH)
    if end != len(data):
        raise DecodeError(f"{len(data) - end} bytes after the end")
    return item


def encode_int(value: int) -> bytes:
    """Return an unsigned integer as RLP items hold it: big-endian, no leading zeros."""
    if value < 0:
        raise LocalProtocolError("RLP has no negative integers")
    return value.to_bytes((value.bit_length() + 7) // 8)


def decode_int(item: Item, bits: int) -> int:
    """Read an unsigned integer below ``2**bits``.

    Raises:
        DecodeError: If the item is a list, has leading zeros or is too large.
    """
    if not isinstance(item, bytes) or item[:1] == b"\0" or len(item) * 8 > bits:
        raise DecodeError(f"not an integer of {bits} bits")
    return int.from_bytes(item)


def _head(base: int, length: int) -> bytes:
    if length <= _SHORT:
        return bytes([base + length])
    size = encode_int(length)
    return bytes([base + _SHORT + len(size)]) + size


def _read(data: bytes, start: int, limit: int, depth: int) -> tuple[Item, int]:
    """Return the item at ``start`` and where it ends, which is not after ``limit``."""
    if start >= limit:
        raise DecodeError("RLP ends before its item")
    first = data[start]
    if first < 0x80:
        return data[start : start + 1], start + 1
    base = 0x80 if first < 0xC0 else 0xC0
    begin, end = _content(data, start, limit, base)
    if base == 0x80:
        content = data[begin:end]
        if len(content) == 1 and content[0] < 0x80:
            raise DecodeError("a single byte is its own RLP")
        return content, end
    if depth == 0:
        raise DecodeError(f"RLP nested deeper than {MAX_DEPTH} lists")
    items: list[Item] = []
    while begin < end:
        item, begin = _read(data, begin, end, depth - 1)
        items.append(item)
    return tuple(items), end


def _content(data: bytes, start: int, limit: int, base: int) -> tuple[int, int]:
    """Return where the content of the string or list at ``start`` begins and ends."""
    length, begin = data[start] - base, start + 1
    if length > _SHORT:
        begin += length - _SHORT
        size = data[start + 1 : begin]
        length = int.from_bytes(size)
        if begin > limit or size[0] == 0 or length <= _SHORT:
            raise DecodeError("RLP length is not in its shortest form")
    if length > limit - begin:
        raise DecodeError(f"RLP needs {length} bytes, {max(0, limit - begin)} remain")
    return begin, begin + length
