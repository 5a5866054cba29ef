"""What has changed between two listings of the chain's node records.

Big-endian::

    form 1 | SHA-256 before 32 | SHA-256 after 32 | records after 4
    | n 4 | n x number 4, rising | the n records end to end

Numbers are never used twice and never taken back, so a listing only grows. Whoever gets
a difference checks the listing that it makes by its digest; the difference itself is
nobody's word.
"""

import itertools
import struct

from psp.crypto.primitives import sha256
from psp.directory.chain.records import (
    MAX_NODES,
    join_listing,
    merged,
    split_listing,
    split_records,
)
from psp.errors import DecodeError
from psp.wire.buffer import Reader

_FORM = 1
_HEAD = struct.Struct("!B32s32sII")
_NUMBER = 4


def difference(before: bytes, after: bytes) -> bytes:
    """Return what turns one listing into the other.

    Raises:
        DecodeError: If they are not two listings of one book, the earlier first.
    """
    old, new = split_listing(before), split_listing(after)
    if len(new) < len(old):
        raise DecodeError(f"{len(new)} records where {len(old)} have been")
    known: list[bytes | None] = [node.raw for node in old]
    known += [None] * (len(new) - len(old))
    changed = [node for node, raw in zip(new, known, strict=True) if node.raw != raw]
    numbers = b"".join(node.number.to_bytes(_NUMBER) for node in changed)
    head = _HEAD.pack(_FORM, sha256(before), sha256(after), len(new), len(changed))
    return head + numbers + join_listing(changed)


def patched(before: bytes, changes: bytes) -> bytes:
    """Return the listing that a difference makes of an earlier one.

    Raises:
        DecodeError: If it is not a difference from that listing, or does not make the
            listing it says it makes.
    """
    reader = Reader(changes)
    form, old, new, count, changed = _HEAD.unpack(reader.take(_HEAD.size))
    if form != _FORM or count > MAX_NODES:
        raise DecodeError("not a difference between listings")
    if sha256(before) != old:
        raise DecodeError("a difference from another listing")
    packed = reader.take(changed * _NUMBER)
    numbers = [
        int.from_bytes(packed[i : i + _NUMBER]) for i in range(0, len(packed), _NUMBER)
    ]
    if any(a >= b for a, b in itertools.pairwise([0, *numbers])):
        raise DecodeError("numbers do not rise")
    records = split_records(reader.take(reader.remaining), numbers)
    after = join_listing(merged(split_listing(before), records, count))
    if sha256(after) != new:
        raise DecodeError("a difference does not make the listing it names")
    return after
