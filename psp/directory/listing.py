"""A directory as one string of bytes: what is cut into pages.

A listing is ``length 2 | element`` again and again; its snapshot's name is the first 8
bytes of its SHA-256. The name says which pages belong together and protects nothing:
every element is signed by itself.
"""

from collections.abc import Iterable

from psp.crypto.kdf import Label
from psp.crypto.primitives import sha256
from psp.errors import DecodeError, LocalProtocolError
from psp.wire.buffer import Reader
from psp.wire.directory_page import (
    CURRENT,
    MAX_PAGES,
    PAGE_SIZE,
    SNAPSHOT_SIZE,
    Fetched,
)

LENGTH_SIZE = 2
MAX_ELEMENT_BYTES = 1_183
"""No element is larger than one SERVICE cell can carry."""


def encode_listing(elements: Iterable[bytes]) -> bytes:
    """Return the listing of the elements, in their order.

    Raises:
        LocalProtocolError: If an element is empty or larger than 1,183 bytes.
    """
    parts: list[bytes] = []
    for element in elements:
        if not 0 < len(element) <= MAX_ELEMENT_BYTES:
            raise LocalProtocolError(f"element of {len(element)} bytes")
        parts += (len(element).to_bytes(LENGTH_SIZE), element)
    return b"".join(parts)


def split_listing(data: bytes, max_elements: int) -> list[bytes]:
    """Return the elements of a listing, unverified.

    Raises:
        DecodeError: If it is malformed or has more than ``max_elements``.
    """
    reader = Reader(data)
    elements: list[bytes] = []
    while reader.remaining:
        size = reader.u16()
        if not 0 < size <= MAX_ELEMENT_BYTES:
            raise DecodeError(f"element of {size} bytes")
        if len(elements) == max_elements:
            raise DecodeError(f"more than {max_elements} elements")
        elements.append(reader.take(size))
    return elements


def snapshot_name(data: bytes) -> bytes:
    """Return the name of the snapshot with these bytes, never `CURRENT`."""
    name = sha256(Label.SNAPSHOT, data)[:SNAPSHOT_SIZE]
    return name if name != CURRENT else bytes(SNAPSHOT_SIZE - 1) + b"\x01"


class Snapshot:
    """A listing or a file, ready to be served in pages.

    Attributes:
        name: Its 8 bytes.
        data: All of it.
        pages: How many pages it takes.
    """

    __slots__ = ("data", "name", "pages")

    def __init__(self, data: bytes) -> None:
        """Name the bytes.

        Raises:
            LocalProtocolError: If they do not fit in 65,535 pages.
        """
        self.data = data
        self.name = snapshot_name(data)
        self.pages = -(-len(data) // PAGE_SIZE)
        if self.pages > MAX_PAGES:
            raise LocalProtocolError(f"a snapshot of {len(data)} bytes")

    def page(self, number: int) -> Fetched | None:
        """Return one page; None if there is no such page."""
        if self.pages == number == 0:
            return Fetched(self.name)
        if not 0 <= number < self.pages:
            return None
        start = number * PAGE_SIZE
        data = self.data[start : start + PAGE_SIZE]
        return Fetched(self.name, self.pages, number, data)
