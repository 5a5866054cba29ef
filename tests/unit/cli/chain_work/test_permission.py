"""A permission for whoever pays (cli/chain_work/permission.py)."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.chain_work.permission import (
    MAX_BYTES,
    NO_IDENTITY,
    Permission,
    read_permission,
)
from discovery.transactions.wallet import Wallet
from psp.crypto.keys import SigningKey
from psp.directory.chain.users import user_signing_input
from psp.errors import DecodeError
from psp.ids import UserId
from psp.wire.network import Network

NETWORK = Network(31_337, b"\xaa" * 20)
USERS = b"\xbb" * 20
WALLET = Wallet(b"\x01" * 32)
KEY = SigningKey.from_seed(b"\x02" * 32)


def permission(*, number=0, identity=KEY):
    if identity is None:
        key, signature = NO_IDENTITY, bytes(64)
    else:
        key = UserId(identity.public)
        signature = identity.sign(user_signing_input(NETWORK, WALLET.address, key))
    return Permission.sign(
        NETWORK,
        USERS,
        WALLET,
        number=number,
        identity=key,
        signature=signature,
        nonce=3,
        deadline=1_800_000_000,
    )


REGISTER = permission()
REVOKE = permission(number=5, identity=None)


@pytest.mark.parametrize("given", [REGISTER, permission(number=5), REVOKE])
def test_a_file_says_what_was_signed(tmp_path, given):
    path = tmp_path / "permission.json"
    path.write_bytes(given.encode())

    assert read_permission(path) == given
    assert given.call().to == USERS


def test_each_kind_has_a_title():
    assert REGISTER.title == "Register a user"
    assert permission(number=5).title == "Change the key of user 5"
    assert REVOKE.title == "Revoke user 5"
    assert REVOKE.is_revocation


def test_the_account_signs_what_the_contract_checks():
    other = Permission.sign(
        NETWORK,
        USERS,
        WALLET,
        number=0,
        identity=REGISTER.identity,
        signature=REGISTER.signature,
        nonce=4,
        deadline=REGISTER.deadline,
    )

    assert other.proof != REGISTER.proof
    assert REGISTER.proof == permission().proof


def changed(given=REGISTER, **fields):
    return json.dumps(json.loads(given.encode()) | fields).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\xff",
        changed(form="psp-user-permission-v2"),
        changed(v=26),
        changed(r="00"),
        changed(number=-1),
        changed(number=1 << 32),
        changed(deadline="soon"),
        changed(more=1),
        changed(owner="00" * 20),
        changed(identity="00" * 31 + "01"),
        changed(registry="00" * 20),
        changed(chain_id=1),
        changed(signature="00" * 64),
        changed(REVOKE, number=0),
        changed(REVOKE, signature="01" * 64),
        REGISTER.encode() + b" " * MAX_BYTES,
    ],
)
def test_what_is_no_permission_of_the_identity_is_refused(data):
    with pytest.raises(DecodeError):
        Permission.decode(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    with suppress(DecodeError):
        Permission.decode(data)
    with suppress(DecodeError):
        Permission.decode(changed(identity=data.hex()))
