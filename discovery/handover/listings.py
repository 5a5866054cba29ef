"""The listings of the last hand-overs, and the differences between them. Pure.

Records that two listings have in common are held once: 32 listings of 10,000 nodes take
little more than one.
"""

from collections import OrderedDict
from dataclasses import dataclass

from psp.crypto.primitives import sha256
from psp.directory.chain.records import split_listing
from psp.directory.difference import difference
from psp.directory.listing import Snapshot, snapshot_name
from psp.errors import DecodeError

MAX_DIFFERENCES = 16
"""Kept ready; a difference of 10,000 records takes 40 ms to make."""


@dataclass(frozen=True, slots=True)
class _Listing:
    name: bytes
    records: tuple[bytes, ...]

    @property
    def data(self) -> bytes:
        return b"".join(self.records)


class Listings:
    """Some listings by digest; one of them is served, and what leads to it."""

    def __init__(self, kept: int) -> None:
        """Start with none.

        Args:
            kept: How many at most; the oldest goes first.
        """
        self._kept = kept
        self._held: OrderedDict[bytes, _Listing] = OrderedDict()
        self._served = b""
        self._current: Snapshot | None = None
        self._differences: OrderedDict[bytes, Snapshot] = OrderedDict()
        self._by_base: dict[bytes, bytes] = {}

    @property
    def digests(self) -> list[bytes]:
        """SHA-256 of each listing held, the oldest first."""
        return list(self._held)

    def get(self, digest: bytes) -> bytes:
        """Return a listing that is held."""
        return self._held[digest].data

    def add(self, listing: bytes) -> bytes:
        """Hold a listing and return its SHA-256.

        Raises:
            DecodeError: If it is none.
        """
        digest = sha256(listing)
        if digest not in self._held:
            newest = next(reversed(self._held.values()), None)
            known = {} if newest is None else {raw: raw for raw in newest.records}
            raws = (node.raw for node in split_listing(listing))
            records = tuple(known.get(raw, raw) for raw in raws)
            self._held[digest] = _Listing(snapshot_name(listing), records)
        self._held.move_to_end(digest)
        while len(self._held) > self._kept:
            self._held.popitem(last=False)
        return digest

    def serve(self, digest: bytes) -> None:
        """Serve this listing from now on, if it is held."""
        if digest in self._held and digest != self._served:
            self._served = digest
            self._current = Snapshot(self._held[digest].data)
            self._by_base.clear()

    def listing(self) -> Snapshot | None:
        """Return the listing that is served."""
        return self._current

    def difference(self, name: bytes) -> Snapshot | None:
        """Return what leads to the served listing.

        Args:
            name: Of the listing the asker holds, or of a difference given before.

        Returns:
            None if there is no such listing, or it does not lead there.
        """
        known = self._differences.get(self._by_base.get(name, name))
        if known is not None:
            return known
        base = next((held for held in self._held.values() if held.name == name), None)
        if base is None or self._current is None:
            return None
        try:
            made = Snapshot(difference(base.data, self._current.data))
        except DecodeError:  # the asker's is the newer one
            return None
        self._differences[made.name] = made
        self._by_base[name] = made.name
        while len(self._differences) > MAX_DIFFERENCES:
            self._differences.popitem(last=False)
        return made
