"""Accounts (discovery/transactions/wallet.py)."""

import pickle
import subprocess
import sys

import pytest
from eth_account import Account
from eth_keys.backends.native import NativeECCBackend
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.transactions.call import Call
from discovery.transactions.fees import Fees
from discovery.transactions.wallet import (
    Transaction,
    Wallet,
    address_text,
    parse_address,
)
from psp.crypto.keccak import keccak256
from psp.errors import ConfigError
from psp.runtime import keyfiles
from psp.testing.entropy import SeededEntropy
from psp.wire import rlp

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
USERS = b"u" * 20


@pytest.fixture
def wallet():
    return Wallet(b"\x01" * 32)


def test_account_comes_back_from_its_file(tmp_path):
    path = tmp_path / "operator.key"
    made = Wallet.create(path, entropy=SeededEntropy(1), passphrase="word")

    assert Wallet.open(path, passphrase="word").address == made.address
    with pytest.raises(ConfigError, match="right passphrase"):
        Wallet.open(path, passphrase="other")
    with pytest.raises(ConfigError, match="exists"):
        Wallet.create(path, entropy=SeededEntropy(2))
    assert path.stat().st_mode & 0o777 == 0o600


def test_address_is_that_of_the_key():
    # EIP-155's example key; its address is in many published vectors.
    wallet = Wallet(b"\x46" * 32)

    assert wallet.address_text == "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"
    assert wallet.address_text == address_text(wallet.address)


@pytest.mark.parametrize(
    "secret", [bytes(32), ORDER.to_bytes(32), b"\xff" * 32, b"\x01" * 31, b"\x01" * 33]
)
def test_what_is_no_private_key_is_refused(secret):
    with pytest.raises(ConfigError, match="not a secp256k1 key"):
        Wallet(secret)


def test_file_that_holds_no_private_key_is_named(tmp_path):
    class Zeros:
        def token(self, size):
            return bytes(size)

    with pytest.raises(ConfigError):
        Wallet.create(tmp_path / "operator.key", entropy=Zeros())
    assert not list(tmp_path.iterdir())


def test_key_of_something_else_is_named(tmp_path):
    path = tmp_path / "operator.key"
    keyfiles.create(path, b"\xff" * 32, entropy=SeededEntropy(1))

    with pytest.raises(ConfigError, match=r"operator.key: not a secp256k1 key"):
        Wallet.open(path)


def test_nothing_is_signed_without_coincurve(monkeypatch):
    monkeypatch.setitem(sys.modules, "coincurve", None)

    with pytest.raises(ConfigError, match="coincurve is missing"):
        Wallet(b"\x01" * 32)


def test_coincurve_signs_whatever_the_environment_says(monkeypatch):
    def refuse(*_):
        raise AssertionError("signed in Python")

    monkeypatch.setenv("ECC_BACKEND_CLASS", "eth_keys.backends.NativeECCBackend")
    for name in ("ecdsa_sign", "private_key_to_public_key"):
        monkeypatch.setattr(NativeECCBackend, name, refuse)
    wallet = Wallet(b"\x02" * 32)

    wallet.sign(Transaction(1, 0, Call(USERS), 21_000, Fees(1, 1)))
    wallet.sign_user_set(
        1, USERS, number=0, identity=b"i" * 32, signature=bytes(64), nonce=0, deadline=1
    )


def test_secret_shows_nowhere(wallet):
    shown = f"{wallet!r} {wallet} {wallet.__dict__}"

    assert "01" * 32 not in shown.replace("0x", "")
    assert str(b"\x01" * 32) not in shown
    with pytest.raises(TypeError):
        pickle.dumps(wallet)


CALLS = st.builds(
    Call, st.none() | st.binary(min_size=20, max_size=20), st.binary(max_size=100),
    st.integers(0, 2**128),
)  # fmt: skip
TRANSACTIONS = st.builds(
    Transaction, st.integers(1, 2**53), st.integers(0, 2**60), CALLS,
    st.integers(21_000, 2**60), st.builds(Fees, st.integers(0, 2**60), st.just(0)),
)  # fmt: skip


@settings(max_examples=30)
@given(TRANSACTIONS)
def test_transaction_says_what_was_asked_and_is_signed_by_the_account(transaction):
    wallet = Wallet(b"\x01" * 32)

    signed = wallet.sign(transaction)

    item = rlp.decode(signed.raw[1:])
    call, fees = transaction.call, transaction.fees
    chain_id, nonce, tip, max_fee, gas, to, value, data, access, *_ = item
    numbers = [int.from_bytes(n) for n in (chain_id, nonce, tip, max_fee, gas, value)]
    assert signed.raw[0] == 2
    assert numbers == [
        transaction.chain_id, transaction.nonce, fees.tip, fees.max_fee,
        transaction.gas, call.value,
    ]  # fmt: skip
    assert (to, data, access) == (call.to or b"", call.data, ())
    assert signed.hash == keccak256(signed.raw)
    assert Account.recover_transaction(signed.raw) == wallet.address_text
    assert wallet.sign(transaction) == signed


def test_permission_to_change_a_user_is_signed_as_the_contract_reads_it(wallet):
    v, r, s = wallet.sign_user_set(
        31_337, USERS, number=7, identity=b"i" * 32, signature=b"r" * 32 + b"s" * 32,
        nonce=3, deadline=2_000_000_000,
    )  # fmt: skip

    # By hand, from EIP-712 and the contract's source.
    domain_type = (
        b"EIP712Domain(string name,string version,uint256 chainId,"
        b"address verifyingContract)"
    )
    set_type = (
        b"Set(uint256 number,bytes32 identity,bytes32 sigR,bytes32 sigS,"
        b"uint256 nonce,uint256 deadline)"
    )
    domain = keccak256(
        keccak256(domain_type), keccak256(b"PSPUsers"), keccak256(b"1"),
        (31_337).to_bytes(32), USERS.rjust(32, b"\0"),
    )  # fmt: skip
    struct = keccak256(
        keccak256(set_type), (7).to_bytes(32), b"i" * 32, b"r" * 32, b"s" * 32,
        (3).to_bytes(32), (2_000_000_000).to_bytes(32),
    )  # fmt: skip
    digest = keccak256(b"\x19\x01", domain, struct)
    signer = Account._recover_hash(
        digest, vrs=(v, int.from_bytes(r), int.from_bytes(s))
    )
    assert signer == wallet.address_text
    assert v in {27, 28}


@given(st.binary(min_size=20, max_size=20))
def test_addresses_come_back_from_text(address):
    text = address_text(address)

    assert parse_address(text) == address
    assert parse_address(text.lower()) == address
    assert parse_address(text[2:]) == address


def test_typing_errors_in_addresses_are_found():
    text = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"

    with pytest.raises(ConfigError, match="typing error"):
        parse_address(text.replace("8A62", "8a62"))
    for bad in ("", "0x", text[:-1], text + "00", text[:-2] + "zz", text[:-2] + " 4"):
        with pytest.raises(ConfigError, match="is no address"):
            parse_address(bad)


def test_a_wallet_leaves_the_recursion_limit_of_the_process_alone():
    """Else deep JSON from an endpoint would crash a relay instead of being refused."""
    program = (
        "import sys\n"
        "from discovery.transactions.wallet import Wallet\n"
        "before = sys.getrecursionlimit()\n"
        "Wallet(bytes([1]) * 32)\n"
        "assert 'eth_account' in sys.modules\n"
        "sys.exit(sys.getrecursionlimit() != before)\n"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
