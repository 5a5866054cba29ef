"""What stands in an account's metadata: four values in a strict binary form.

Big-endian; at most 1,024 bytes, the networks' limit for a value::

    node     "PSPN" | format 1 | status 1 | version 4 | identity 32 | onion key 32
             | signature 64 | count 1 | endpoints 24 each, 1 … 16
    user     "PSPU" | format 1 | status 1 | identity 32 | signature 64
    trusted  "PSPT" | format 1 | count 1 | identities 32 each, rising
    elected  "PSPE" | format 1 | epoch 4 | count 1 | identities 32 each, rising

Statuses are those of the EVM contracts: 1 active, 2 retired, 3 revoked. What node and
user sign is the same text as on EVM; status and version are vouched for by the account,
which alone can write there. An elected list has room for 31 identities: that is the
limit of seats on this backend.

Experimental.
"""

import enum
from dataclasses import dataclass
from typing import Final, Self

from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NODE_ID_SIZE, NodeId, UserId
from psp.netdoc.node_record import KEY_SIZE, MAX_ENDPOINTS
from psp.wire.buffer import Reader
from psp.wire.endpoint import ENDPOINT_SIZE, Endpoint

MAX_VALUE_BYTES: Final = 1024
"""Of one metadata entry: `maxValueSize` of Symbol's and Sirius' metadata plugins."""
MAX_SEATS: Final = 31
MAX_TRUSTED: Final = 16
"""As many as the EVM contract's list holds."""

_FORMAT: Final = 1
_SIGNATURE_SIZE: Final = 64


class RecordStatus(enum.IntEnum):
    """Whether a record counts; the numbers are on the chain."""

    ACTIVE = 1
    RETIRED = 2
    """Not for now; the owner may set it to active again."""
    REVOKED = 3
    """Never again, under any account."""


@dataclass(frozen=True, slots=True)
class NodeMetadata:
    """A node's entry, well-formed; its signature has not been looked at.

    Attributes:
        status: What the owner says of it.
        version: Rises with every change, 1 … 2**24 - 1.
        identity: The node's Ed25519 key.
        onion_key: X25519, 32 bytes.
        endpoints: Distinct, the first preferred.
        signature: Of `psp.netdoc.node_record.node_signing_input`, 64 bytes.
    """

    status: RecordStatus
    version: int
    identity: NodeId
    onion_key: bytes
    endpoints: tuple[Endpoint, ...]
    signature: bytes

    def encode(self) -> bytes:
        """Return the value to put into the account's metadata."""
        return _checked(
            _head(b"N")
            + bytes([self.status])
            + self.version.to_bytes(4)
            + self.identity
            + self.onion_key
            + self.signature
            + bytes([len(self.endpoints)])
            + b"".join(endpoint.encode() for endpoint in self.endpoints)
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read an entry.

        Raises:
            DecodeError: If it is anything but the one encoding of one.
        """
        reader = _reader(data, b"N")
        status = _status(reader)
        version = reader.u32()
        if not 1 <= version < 1 << 24:
            raise DecodeError(f"version {version} of a node's record")
        identity = NodeId(reader.take(NODE_ID_SIZE))
        onion_key = reader.take(KEY_SIZE)
        signature = reader.take(_SIGNATURE_SIZE)
        count = reader.u8()
        if not 1 <= count <= MAX_ENDPOINTS:
            raise DecodeError(f"{count} endpoints in a node's record")
        endpoints = tuple(
            Endpoint.decode(reader.take(ENDPOINT_SIZE)) for _ in range(count)
        )
        reader.finish()
        if len(set(endpoints)) != count:
            raise DecodeError("an endpoint stands twice in a node's record")
        return cls(status, version, identity, onion_key, endpoints, signature)


@dataclass(frozen=True, slots=True)
class UserMetadata:
    """A user's entry, well-formed; its signature has not been looked at.

    Attributes:
        status: What the owner says of it.
        identity: The user's Ed25519 key.
        signature: Of the user's signed text, 64 bytes.
    """

    status: RecordStatus
    identity: UserId
    signature: bytes

    def encode(self) -> bytes:
        """Return the value to put into the account's metadata."""
        return _checked(
            _head(b"U") + bytes([self.status]) + self.identity + self.signature
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read an entry.

        Raises:
            DecodeError: If it is anything but the one encoding of one.
        """
        reader = _reader(data, b"U")
        status = _status(reader)
        identity = UserId(reader.take(NODE_ID_SIZE))
        signature = reader.take(_SIGNATURE_SIZE)
        reader.finish()
        return cls(status, identity, signature)


@dataclass(frozen=True, slots=True)
class TrustedMetadata:
    """The partners' own nodes, in the metadata of their multisig account.

    Attributes:
        nodes: Identities, rising.
    """

    nodes: tuple[NodeId, ...]

    def encode(self) -> bytes:
        """Return the value to put into the partners' metadata."""
        return _checked(_head(b"T") + bytes([len(self.nodes)]) + b"".join(self.nodes))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a list.

        Raises:
            DecodeError: If it is anything but the one encoding of one.
        """
        reader = _reader(data, b"T")
        nodes = _identities(reader, MAX_TRUSTED)
        reader.finish()
        return cls(nodes)


@dataclass(frozen=True, slots=True)
class ElectedMetadata:
    """The list of one epoch, as the partners publish it.

    Attributes:
        epoch: Which one.
        nodes: Identities, rising.
    """

    epoch: int
    nodes: tuple[NodeId, ...]

    def encode(self) -> bytes:
        """Return the value to put into the partners' metadata."""
        return _checked(
            _head(b"E")
            + self.epoch.to_bytes(4)
            + bytes([len(self.nodes)])
            + b"".join(self.nodes)
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a list.

        Raises:
            DecodeError: If it is anything but the one encoding of one.
        """
        reader = _reader(data, b"E")
        epoch = reader.u32()
        nodes = _identities(reader, MAX_SEATS)
        reader.finish()
        return cls(epoch, nodes)


def _head(kind: bytes) -> bytes:
    return b"PSP" + kind + bytes([_FORMAT])


def _checked(data: bytes) -> bytes:
    if len(data) > MAX_VALUE_BYTES:
        raise LocalProtocolError(f"{len(data)} bytes do not fit into one entry")
    return data


def _reader(data: bytes, kind: bytes) -> Reader:
    if len(data) > MAX_VALUE_BYTES:
        raise DecodeError(f"{len(data)} bytes in one entry")
    reader = Reader(data)
    if reader.take(5) != _head(kind):
        raise DecodeError("an entry of another kind or format")
    return reader


def _status(reader: Reader) -> RecordStatus:
    number = reader.u8()
    try:
        return RecordStatus(number)
    except ValueError:
        raise DecodeError(f"status {number} of a record") from None


def _identities(reader: Reader, most: int) -> tuple[NodeId, ...]:
    count = reader.u8()
    if count > most:
        raise DecodeError(f"{count} identities in a list of at most {most}")
    nodes = tuple(NodeId(reader.take(NODE_ID_SIZE)) for _ in range(count))
    if list(nodes) != sorted(set(nodes)):
        raise DecodeError("identities are not rising")
    return nodes
