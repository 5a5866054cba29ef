"""The registry as a file that trusted partners sign: the brief's first option.

One JSON object, readable and diffable, in one spelling only (the file must equal its
own re-encoding), so every byte of it is covered::

    {"body": {"format": "psp-trusted-file-v1", "chain_id": 1, "registry": hex 20,
              "sequence": 7, "issued": …, "expires": …, "nodes": [entries by id],
              "discovery_nodes": [ids], "trusted_nodes": [ids], "users": [ids],
              "revoked_users": [ids], "random_values": [{"period": n, "value": hex}]},
     "signatures": [{"key": hex 32, "signature": hex 64}]}

Signed text: ``"psp-trusted-file-v1" | body as JSON without white space``. Every
signature in the file must hold, by a partner or not; at least `threshold` of them must
be by keys that the reader has configured. Lists of ids are sorted, so a file has no
two orders.
"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeVar

import msgspec

from psp.crypto.keys import SigningKey, verify
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NodeId, UserId
from psp.netdoc.node_entry import Hex20, Hex32, Hex64, NodeFields, SignedNode
from psp.netdoc.strict_json import decode_json
from psp.units import UnixTime
from psp.wire.network import Network

FORMAT = "psp-trusted-file-v1"
MAX_FILE_BYTES = 16 << 20
"""10,000 nodes and 100,000 users take about 14 MB."""
MAX_NODES = 20_000
MAX_USERS = 200_000
MAX_CHOSEN = 256
"""Discovery or trusted nodes; the election has at most 32 seats."""
MAX_VALUES = 64
"""Daily random values kept: about two months."""
MAX_SIGNATURES = 32
MAX_LIFE = 31 * 86_400
"""Seconds. A partner who loses a key must not have signed for longer."""

SortedT = TypeVar("SortedT", int, str, bytes)

_Time = Annotated[int, msgspec.Meta(ge=0, lt=1 << 40)]
_Ids = Annotated[list[Hex32], msgspec.Meta(max_length=MAX_CHOSEN)]
_Users = Annotated[list[Hex32], msgspec.Meta(max_length=MAX_USERS)]


@dataclass(frozen=True, slots=True)
class TrustedFile:
    """What the partners vouch for together.

    Attributes:
        network: Which network.
        sequence: Rises with every file; a reader never goes back.
        issued: Unix seconds.
        expires: Unix seconds, at most 31 days later.
        nodes: Every active node, by id.
        discovery_nodes: Ids of the discovery nodes, sorted.
        trusted_nodes: Ids of nodes that partners run themselves, sorted.
        users: Every active user.
        revoked_users: Users that must not come back.
        random_values: 32 random bytes for each day (`psp.directory.registry.period_of`).
    """

    network: Network
    sequence: int
    issued: UnixTime
    expires: UnixTime
    nodes: Mapping[NodeId, SignedNode] = field(repr=False)
    discovery_nodes: tuple[NodeId, ...] = field(default=(), repr=False)
    trusted_nodes: tuple[NodeId, ...] = field(default=(), repr=False)
    users: frozenset[UserId] = field(default=frozenset(), repr=False)
    revoked_users: frozenset[UserId] = field(default=frozenset(), repr=False)
    random_values: Mapping[int, bytes] = field(default_factory=dict, repr=False)


class _Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    period: _Time
    value: Hex32


class _Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: Hex32
    signature: Hex64


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: Literal["psp-trusted-file-v1"]
    chain_id: Annotated[int, msgspec.Meta(ge=0)]
    registry: Hex20
    sequence: Annotated[int, msgspec.Meta(ge=1, lt=1 << 53)]
    issued: _Time
    expires: _Time
    nodes: Annotated[list[NodeFields], msgspec.Meta(max_length=MAX_NODES)]
    discovery_nodes: _Ids
    trusted_nodes: _Ids
    users: _Users
    revoked_users: _Users
    random_values: Annotated[list[_Value], msgspec.Meta(max_length=MAX_VALUES)]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    body: _Body
    signatures: Annotated[
        list[_Signature], msgspec.Meta(min_length=1, max_length=MAX_SIGNATURES)
    ]


def encode(document: TrustedFile, signers: Sequence[SigningKey]) -> bytes:
    """Return the file, signed by every one of ``signers``.

    Raises:
        LocalProtocolError: If the document is one that no reader would take.
    """
    body = _body_of(document)
    text = _signing_input(body)
    signatures = [
        _Signature(key.public.hex(), key.sign(text).hex())
        for key in sorted(signers, key=lambda key: key.public)
    ]
    data = _canonical(_File(body, signatures))
    try:
        decode(
            data,
            network=document.network,
            partners=[key.public for key in signers],
            threshold=len(signers),
        )
    except DecodeError as error:
        raise LocalProtocolError(f"readers would refuse this file: {error}") from None
    return data


def decode(
    data: bytes, *, network: Network, partners: Collection[bytes], threshold: int
) -> TrustedFile:
    """Read and verify a file. Whether it is too old is for the caller to judge.

    Args:
        data: The whole file.
        network: The network the reader is on.
        partners: Ed25519 keys the reader trusts.
        threshold: How many of them must have signed, at least 1.

    Raises:
        DecodeError: If anything at all is wrong with it.
    """
    if threshold < 1:
        raise LocalProtocolError("a file needs at least one trusted signature")
    if len(data) > MAX_FILE_BYTES:
        raise DecodeError(f"trusted file of {len(data)} bytes")
    file = decode_json(data, _File)
    if _canonical(file) != data:
        raise DecodeError("a trusted file has one spelling, this is another")
    _check_signatures(file, partners, threshold)
    return _document_of(file.body, network)


def co_sign(data: bytes, network: Network, key: SigningKey) -> bytes:
    """Return the same file with one more partner's signature.

    Partners keep their keys apart: the first encodes the file, each further one reads
    it, agrees with it and adds his signature.

    Raises:
        DecodeError: If anything is wrong with the file as it stands, if it has as many
            signatures as fit, or if this partner has signed already.
    """
    decode(data, network=network, partners=signer_keys(data), threshold=1)
    file = decode_json(data, _File)
    signature = _Signature(key.public.hex(), key.sign(_signing_input(file.body)).hex())
    signatures = sorted([*file.signatures, signature], key=lambda entry: entry.key)
    signed = _canonical(_File(file.body, signatures))
    decode(signed, network=network, partners=[key.public], threshold=1)
    return signed


def signer_keys(data: bytes) -> tuple[bytes, ...]:
    """Return the keys a file says it is signed by, unverified, for diagnostics.

    Raises:
        DecodeError: If it is not a trusted file.
    """
    if len(data) > MAX_FILE_BYTES:
        raise DecodeError(f"trusted file of {len(data)} bytes")
    return tuple(bytes.fromhex(s.key) for s in decode_json(data, _File).signatures)


def _canonical(file: _File) -> bytes:
    return msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"


def _signing_input(body: _Body) -> bytes:
    return FORMAT.encode() + msgspec.json.encode(body)


def _check_signatures(file: _File, partners: Collection[bytes], threshold: int) -> None:
    keys = [bytes.fromhex(entry.key) for entry in file.signatures]
    _check_sorted(keys, "signatures")
    count = sum(key in partners for key in keys)
    if count < threshold:
        raise DecodeError(f"{count} signatures of trusted partners, {threshold} needed")
    text = _signing_input(file.body)
    for key, entry in zip(keys, file.signatures, strict=True):
        if not verify(key, text, bytes.fromhex(entry.signature)):
            raise DecodeError("a signature under the trusted file does not hold")


def _body_of(document: TrustedFile) -> _Body:
    values = sorted(document.random_values.items())
    return _Body(
        format="psp-trusted-file-v1",
        chain_id=document.network.chain_id,
        registry=document.network.registry.hex(),
        sequence=document.sequence,
        issued=document.issued,
        expires=document.expires,
        nodes=[document.nodes[key].fields() for key in sorted(document.nodes)],
        discovery_nodes=[key.hex() for key in sorted(document.discovery_nodes)],
        trusted_nodes=[key.hex() for key in sorted(document.trusted_nodes)],
        users=[key.hex() for key in sorted(document.users)],
        revoked_users=[key.hex() for key in sorted(document.revoked_users)],
        random_values=[_Value(period, value.hex()) for period, value in values],
    )


def _document_of(body: _Body, network: Network) -> TrustedFile:
    if body.chain_id != network.chain_id or body.registry != network.registry.hex():
        raise DecodeError("a trusted file of another network")
    if not 0 < body.expires - body.issued <= MAX_LIFE:
        raise DecodeError(f"a life of {body.expires - body.issued} s")
    nodes = _nodes_of(body, network)
    users = [UserId(key) for key in _ids(body.users, "users")]
    revoked = [UserId(key) for key in _ids(body.revoked_users, "revoked users")]
    if not set(users).isdisjoint(revoked):
        raise DecodeError("a user is both active and revoked")
    periods = [value.period for value in body.random_values]
    _check_sorted(periods, "random values")
    return TrustedFile(
        network=network,
        sequence=body.sequence,
        issued=UnixTime(body.issued),
        expires=UnixTime(body.expires),
        nodes=nodes,
        discovery_nodes=_chosen(body.discovery_nodes, nodes, "discovery nodes"),
        trusted_nodes=_chosen(body.trusted_nodes, nodes, "trusted nodes"),
        users=frozenset(users),
        revoked_users=frozenset(revoked),
        random_values={v.period: bytes.fromhex(v.value) for v in body.random_values},
    )


def _nodes_of(body: _Body, network: Network) -> dict[NodeId, SignedNode]:
    _check_sorted([entry.id for entry in body.nodes], "nodes")
    texts = [text for entry in body.nodes for text in entry.endpoints]
    if len(set(texts)) != len(texts):
        raise DecodeError("two nodes share an endpoint")
    nodes = [SignedNode.from_fields(entry, network) for entry in body.nodes]
    return {node.record.node_id: node for node in nodes}


def _chosen(
    texts: list[str], nodes: Mapping[NodeId, SignedNode], what: str
) -> tuple[NodeId, ...]:
    chosen = tuple(NodeId(key) for key in _ids(texts, what))
    if any(node_id not in nodes for node_id in chosen):
        raise DecodeError(f"{what} that are not in the list of nodes")
    return chosen


def _ids(texts: list[str], what: str) -> list[bytes]:
    _check_sorted(texts, what)
    return [bytes.fromhex(text) for text in texts]


def _check_sorted(items: Sequence[SortedT], what: str) -> None:
    # One look at neighbours finds both disorder and doubles.
    if any(a >= b for a, b in itertools.pairwise(items)):
        raise DecodeError(f"{what} are not sorted and distinct")
