"""A node's entry as JSON: its record and its own signature under it.

An operator hands such an entry to whoever keeps the registry; the trusted partners'
file (`psp.netdoc.trusted_file`) is a list of them::

    {"id": 64 hex digits, "onion_key": 64, "previous_onion_key": 64 or null,
     "endpoints": ["192.0.2.1:443", "[2001:db8::1]:443"], "operator": 40,
     "families": [32, …], "version": 1, "signature": 128}

The signature covers what `psp.netdoc.node_record.node_signing_input` returns; families,
the previous key and the version are vouched for by whoever signs the list.
"""

import ipaddress
from dataclasses import dataclass
from typing import Annotated, Self

import msgspec

from psp.crypto.keys import SigningKey, verify
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NodeId
from psp.netdoc.node_record import (
    MAX_ENDPOINTS,
    MAX_FAMILIES,
    NodeRecord,
    node_signing_input,
)
from psp.netdoc.strict_json import decode_json
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network

Hex16 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z", max_length=32)]
Hex20 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{40}\Z", max_length=40)]
Hex32 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z", max_length=64)]
Hex64 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{128}\Z", max_length=128)]
EndpointText = Annotated[str, msgspec.Meta(min_length=9, max_length=47)]
"""From ``1.2.3.4:5`` to a full IPv6 address in brackets and five digits."""
Version = Annotated[int, msgspec.Meta(ge=1, lt=1 << 24)]
"""24 bits, as in the chain's record."""

MAX_ENTRY_BYTES = 4096
"""An entry with every field at its limit takes about 1,900."""


class NodeFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The JSON object, checked for lengths only; `SignedNode` is the checked thing."""

    id: Hex32
    onion_key: Hex32
    previous_onion_key: Hex32 | None
    endpoints: Annotated[
        list[EndpointText], msgspec.Meta(min_length=1, max_length=MAX_ENDPOINTS)
    ]
    operator: Hex20
    families: Annotated[list[Hex16], msgspec.Meta(max_length=MAX_FAMILIES)]
    version: Version
    signature: Hex64


@dataclass(frozen=True, slots=True)
class SignedNode:
    """A node record with the node's own signature.

    Attributes:
        record: What the registry says.
        signature: By the node's identity key, 64 bytes.
    """

    record: NodeRecord
    signature: bytes

    @classmethod
    def sign(cls, network: Network, record: NodeRecord, key: SigningKey) -> Self:
        """Sign a record with the identity key that it names.

        Raises:
            LocalProtocolError: If ``key`` is not that identity.
        """
        if key.public != record.node_id:
            raise LocalProtocolError("a node record is signed by its own identity")
        return cls(record, key.sign(node_signing_input(network, record)))

    def fields(self) -> NodeFields:
        """Return the JSON object."""
        record = self.record
        previous = record.previous_onion_key
        return NodeFields(
            id=record.node_id.hex(),
            onion_key=record.onion_key.hex(),
            previous_onion_key=None if previous is None else previous.hex(),
            endpoints=[endpoint_text(endpoint) for endpoint in record.endpoints],
            operator=record.operator.hex(),
            families=[family.hex() for family in record.families],
            version=record.version,
            signature=self.signature.hex(),
        )

    @classmethod
    def from_fields(cls, fields: NodeFields, network: Network) -> Self:
        """Check and convert a JSON object.

        Raises:
            DecodeError: If an endpoint is malformed or doubled, families are not
                sorted, or the node has not signed this for this network.
        """
        previous = fields.previous_onion_key
        record = NodeRecord(
            node_id=NodeId(bytes.fromhex(fields.id)),
            onion_key=bytes.fromhex(fields.onion_key),
            endpoints=tuple(parse_endpoint(text) for text in fields.endpoints),
            operator=bytes.fromhex(fields.operator),
            previous_onion_key=None if previous is None else bytes.fromhex(previous),
            families=tuple(bytes.fromhex(family) for family in fields.families),
            version=fields.version,
        )
        if len(set(record.endpoints)) != len(record.endpoints):
            raise DecodeError("an endpoint stands twice in one node entry")
        if list(record.families) != sorted(set(record.families)):
            raise DecodeError("families are not sorted and distinct")
        signature = bytes.fromhex(fields.signature)
        text = node_signing_input(network, record)
        if not verify(record.node_id, text, signature):
            raise DecodeError("a node has not signed its entry")
        return cls(record, signature)

    def encode(self) -> bytes:
        """Return the entry alone as JSON, for the partners to put in their file."""
        return msgspec.json.format(msgspec.json.encode(self.fields()), indent=2) + b"\n"

    @classmethod
    def decode(cls, data: bytes, network: Network) -> Self:
        """Read one entry; white space is free, everything else is not.

        Raises:
            DecodeError: If ``data`` is not a valid entry of ``network``.
        """
        if len(data) > MAX_ENTRY_BYTES:
            raise DecodeError(f"node entry of {len(data)} bytes")
        return cls.from_fields(decode_json(data, NodeFields), network)


def endpoint_text(endpoint: Endpoint) -> str:
    """Return ``host:port``, IPv6 hosts in brackets.

    >>> endpoint_text(Endpoint("2001:db8::1", 443))
    '[2001:db8::1]:443'
    """
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}"


def parse_endpoint(text: str) -> Endpoint:
    """Read what `endpoint_text` writes, and only that.

    Raises:
        DecodeError: If it is anything else, a name or an unusual spelling included.
    """
    host, separator, port = text.rpartition(":")
    if not separator or not (port.isascii() and port.isdigit()) or len(port) > 5:
        raise DecodeError("an endpoint is host:port")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise DecodeError("an endpoint needs a numeric address") from None
    endpoint = Endpoint(str(address), int(port))
    if not 0 < endpoint.port < 65536 or endpoint_text(endpoint) != text:
        raise DecodeError("an endpoint is written in its canonical form")
    # An IPv6 scope means nothing on another machine and has no place on the wire.
    if "%" in endpoint.host:
        raise DecodeError("an endpoint has no scope")
    return endpoint
