"""A user's permission to be entered by somebody else, who pays: a file of JSON.

The owner's account signs it (EIP-712) and needs no money; nobody can see from the chain
who paid for whom before. It holds no secret, is good once, and only until its deadline::

    {"form": "psp-user-permission-v1", "chain_id": 1, "registry": 40 hex digits,
     "users": 40, "owner": 40, "number": 0, "identity": 64, "signature": 128,
     "deadline": Unix seconds, "v": 27 or 28, "r": 64, "s": 64}

Number 0 registers; an identity of zeros revokes. What the sponsor is about to pay for is
verified first, as the contract and every reader will do it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import msgspec

from discovery.transactions.call import Call
from discovery.transactions.calls import Users
from discovery.transactions.wallet import Wallet
from psp.crypto.keys import verify
from psp.directory.chain.users import user_signing_input
from psp.errors import DecodeError
from psp.ids import UserId
from psp.netdoc.node_entry import Hex20, Hex32, Hex64
from psp.netdoc.strict_json import decode_json
from psp.wire.network import Network

FORM = "psp-user-permission-v1"
MAX_BYTES = 2_048
NO_IDENTITY = UserId(bytes(32))
_NO_SIGNATURE = bytes(64)
_Time = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
_Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
_ChainId = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
"""Real ones are far below; msgspec bounds no larger integers."""


class UserPermission(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """The JSON object, checked for lengths only."""

    form: Literal["psp-user-permission-v1"]
    chain_id: _ChainId
    registry: Hex20
    users: Hex20
    owner: Hex20
    number: _Number
    identity: Hex32
    signature: Hex64
    deadline: _Time
    v: Literal[27, 28]
    r: Hex32
    s: Hex32


@dataclass(frozen=True, slots=True)
class Permission:
    """What an owner allows, once.

    Attributes:
        network: Where.
        users: Address of Users, 20 bytes.
        owner: Whose record it is, 20 bytes.
        number: Of the record; 0 makes a new one.
        identity: New identity key; zeros to revoke.
        signature: By that key over the record, 64 bytes; zeros to revoke.
        deadline: Unix time after which it is worth nothing.
        proof: v, r, s of the owner's account.
    """

    network: Network
    users: bytes
    owner: bytes
    number: int
    identity: UserId
    signature: bytes
    deadline: int
    proof: tuple[int, bytes, bytes]

    @classmethod
    def sign(
        cls,
        network: Network,
        users: bytes,
        wallet: Wallet,
        *,
        number: int,
        identity: UserId,
        signature: bytes,
        nonce: int,
        deadline: int,
    ) -> Self:
        """Have an account allow something.

        Args:
            network: Where.
            users: Address of Users.
            wallet: The account; it needs no money.
            number: Of the record; 0 makes a new one.
            identity: New identity key; zeros to revoke.
            signature: By that key over the record; zeros to revoke.
            nonce: What the contract's ``nonces`` says of the account.
            deadline: Unix time.
        """
        proof = wallet.sign_user_set(
            network.chain_id,
            users,
            number=number,
            identity=identity,
            signature=signature,
            nonce=nonce,
            deadline=deadline,
        )
        return cls(
            network, users, wallet.address, number, identity, signature, deadline, proof
        )

    @property
    def is_revocation(self) -> bool:
        """Whether it ends a record."""
        return self.identity == NO_IDENTITY

    @property
    def title(self) -> str:
        """What it does, for people."""
        if self.is_revocation:
            return f"Revoke user {self.number}"
        return (
            f"Change the key of user {self.number}"
            if self.number
            else "Register a user"
        )

    def call(self) -> Call:
        """Return what a sponsor sends."""
        return Users(self.users).set_for(
            self.owner,
            self.number,
            self.identity,
            self.signature,
            deadline=self.deadline,
            permission=self.proof,
        )

    def encode(self) -> bytes:
        """Return the file."""
        v, r, s = self.proof
        fields = UserPermission(
            form="psp-user-permission-v1",
            chain_id=self.network.chain_id,
            registry=self.network.registry.hex(),
            users=self.users.hex(),
            owner=self.owner.hex(),
            number=self.number,
            identity=self.identity.hex(),
            signature=self.signature.hex(),
            deadline=self.deadline,
            v=27 if v == 27 else 28,
            r=r.hex(),
            s=s.hex(),
        )
        return msgspec.json.format(msgspec.json.encode(fields), indent=1) + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a file and verify the identity's signature in it.

        The account's signature is left to the contract, which a sponsor asks before
        paying.

        Raises:
            DecodeError: If it is no permission, or the identity has not signed it.
        """
        if len(data) > MAX_BYTES:
            raise DecodeError(f"a permission of {len(data)} bytes")
        f = decode_json(data, UserPermission)
        permission = cls(
            Network(f.chain_id, bytes.fromhex(f.registry)),
            bytes.fromhex(f.users),
            bytes.fromhex(f.owner),
            f.number,
            UserId(bytes.fromhex(f.identity)),
            bytes.fromhex(f.signature),
            f.deadline,
            (f.v, bytes.fromhex(f.r), bytes.fromhex(f.s)),
        )
        permission._check()
        return permission

    def _check(self) -> None:
        if self.is_revocation:
            if not self.number or self.signature != _NO_SIGNATURE:
                raise DecodeError("a revocation names a record and nothing else")
            return
        text = user_signing_input(self.network, self.owner, self.identity)
        if not verify(self.identity, text, self.signature):
            raise DecodeError("the identity has not signed this for this account")


def read_permission(path: Path) -> Permission:
    """Read a permission from a file.

    Raises:
        OSError: If it cannot be read.
        DecodeError: If it is none.
    """
    with path.open("rb") as file:
        return Permission.decode(file.read(MAX_BYTES + 1))
