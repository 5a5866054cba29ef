"""Directory requests between relays: SERVICE cells of service 2 (SPEC.md section 8).

::

    request   operation 1 | a descriptor (PUBLISH) or FETCH as over circuits (FETCH)
    answer    status 1 (PUBLISH) or FETCHED as over circuits (FETCH)
"""

import enum
from dataclasses import dataclass, field
from typing import Self

from psp.errors import DecodeError

DIRECTORY_SERVICE = 2
MAX_REQUEST_BYTES = 1_183


class Operation(enum.IntEnum):
    """What is asked."""

    PUBLISH = 1
    FETCH = 2


class PublishStatus(enum.IntEnum):
    """What became of a descriptor."""

    STORED = 0
    HELD = 1
    """This one or a newer one was there already."""

    REFUSED = 2
    NOT_COLLECTING = 3
    """This node is no discovery node now."""

    BUSY = 4

    def encode(self) -> bytes:
        """Return the answer's one byte."""
        return bytes([self])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read an answer.

        Raises:
            DecodeError: If it is not one known status.
        """
        if len(data) != 1:
            raise DecodeError(f"status of {len(data)} bytes")
        try:
            return cls(data[0])
        except ValueError:
            raise DecodeError(f"unknown status {data[0]}") from None


@dataclass(frozen=True, slots=True)
class DirectoryRequest:
    """One request.

    Attributes:
        operation: What is asked.
        body: A descriptor or an encoded `psp.wire.directory_page.Fetch`, not read yet.
    """

    operation: Operation
    body: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return the request's data."""
        return bytes([self.operation]) + self.body

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a request.

        Raises:
            DecodeError: If it is empty, too large or of an unknown operation.
        """
        if not 0 < len(data) <= MAX_REQUEST_BYTES:
            raise DecodeError(f"request of {len(data)} bytes")
        try:
            return cls(Operation(data[0]), data[1:])
        except ValueError:
            raise DecodeError(f"unknown operation {data[0]}") from None
