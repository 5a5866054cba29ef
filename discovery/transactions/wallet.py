"""An account of the chain: a secp256k1 key in one of our key files.

The only user of eth_account, which takes half a second to import: it is imported when a
key is opened. It signs through coincurve or not at all (R-SEC-2): the pure-Python
fallback of eth_keys, which it would take without a word, is slow and not constant-time.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from discovery.transactions.call import ADDRESS_SIZE, Call
from discovery.transactions.fees import Fees
from psp.crypto.keccak import keccak256
from psp.entropy import Entropy
from psp.errors import ConfigError
from psp.redact import Sensitive
from psp.runtime import keyfiles

if TYPE_CHECKING:
    from eth_account import Account
    from eth_keys.datatypes import PrivateKey

_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""Of secp256k1 (SEC 2, section 2.4.1): private keys are 1 … order - 1."""

_USERS_DOMAIN = {"name": "PSPUsers", "version": "1"}
_SET_TYPE = [
    {"name": "number", "type": "uint256"},
    {"name": "identity", "type": "bytes32"},
    {"name": "sigR", "type": "bytes32"},
    {"name": "sigS", "type": "bytes32"},
    {"name": "nonce", "type": "uint256"},
    {"name": "deadline", "type": "uint256"},
]
"""EIP-712, as the contract Users has it."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """Everything that is signed.

    Attributes:
        chain_id: Of the chain it is for; worth nothing on another.
        nonce: Of the account.
        call: What it does.
        gas: Its gas limit.
        fees: What it offers.
    """

    chain_id: int
    nonce: int
    call: Call
    gas: int
    fees: Fees


@dataclass(frozen=True, slots=True)
class Signed:
    """A transaction that can be sent.

    Attributes:
        raw: Its bytes.
        hash: Its hash, 32 bytes.
    """

    raw: bytes
    hash: bytes


class Wallet:
    """One account. Its secret is in no ``repr`` and leaves by signatures only.

    Attributes:
        address: 20 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        """Take a private key, 32 bytes.

        Raises:
            ConfigError: If it is not one, or coincurve is missing.
        """
        if not 0 < int.from_bytes(secret) < _ORDER or len(secret) != 32:
            raise ConfigError("not a secp256k1 key; create a new one")
        self._signer, key = _open_key(secret)
        self._key = Sensitive(key)
        self.address = key.public_key.to_canonical_address()

    @classmethod
    def create(
        cls, path: Path, *, entropy: Entropy, passphrase: str | None = None
    ) -> Self:
        """Make a new account and its key file.

        Raises:
            ConfigError: If the file exists or cannot be written, or coincurve is missing.
        """
        secret = entropy.token(keyfiles.SEED_SIZE)
        wallet = cls(secret)
        keyfiles.create(path, secret, entropy=entropy, passphrase=passphrase)
        return wallet

    @classmethod
    def open(cls, path: Path, *, passphrase: str | None = None) -> Self:
        """Open the account in a key file; half a second, more under a passphrase.

        Raises:
            ConfigError: If the file is not good, or coincurve is missing.
        """
        secret = keyfiles.load_seed(path, passphrase=passphrase)
        try:
            return cls(secret)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    @property
    def address_text(self) -> str:
        """The address as people write it."""
        return address_text(self.address)

    def __repr__(self) -> str:
        return f"Wallet({self.address_text})"

    def __reduce__(self) -> str:
        raise TypeError("a wallet is not copied or pickled")

    def sign(self, transaction: Transaction) -> Signed:
        """Sign an EIP-1559 transaction; the same one always gives the same bytes."""
        call, fees = transaction.call, transaction.fees
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": transaction.chain_id,
            "nonce": transaction.nonce,
            "gas": transaction.gas,
            "maxFeePerGas": fees.max_fee,
            "maxPriorityFeePerGas": fees.tip,
            "value": call.value,
            "data": call.data,
        }
        if call.to is not None:
            fields["to"] = call.to
        signed = self._signer.sign_transaction(fields, self._key.value)
        return Signed(bytes(signed.raw_transaction), bytes(signed.hash))

    def sign_user_set(
        self,
        chain_id: int,
        users: bytes,
        *,
        number: int,
        identity: bytes,
        signature: bytes,
        nonce: int,
        deadline: int,
    ) -> tuple[int, bytes, bytes]:
        """Sign a change of a user for somebody else to pay for (``Users.set_for``).

        Args:
            chain_id: Of the chain.
            users: Address of the contract.
            number: The user's, 0 to register.
            identity: New Ed25519 key; 32 zero bytes to revoke.
            signature: Of that key over the record, 64 bytes; zeros to revoke.
            nonce: ``Users.nonces`` of this account.
            deadline: Unix time after which the contract refuses.

        Returns:
            v (27 or 28), r, s.
        """
        signed = self._signer.sign_typed_data(
            self._key.value,
            domain_data={
                **_USERS_DOMAIN,
                "chainId": chain_id,
                "verifyingContract": address_text(users),
            },
            message_types={"Set": _SET_TYPE},
            message_data={
                "number": number,
                "identity": identity,
                "sigR": signature[:32],
                "sigS": signature[32:],
                "nonce": nonce,
                "deadline": deadline,
            },
        )
        return signed.v, signed.r.to_bytes(32), signed.s.to_bytes(32)


def address_text(address: bytes) -> str:
    """Return an address with the upper and lower case of EIP-55, a checksum."""
    digits = address.hex()
    mask = keccak256(digits.encode()).hex()
    letters = (d.upper() if m >= "8" else d for d, m in zip(digits, mask, strict=False))
    return "0x" + "".join(letters)


def parse_address(text: str) -> bytes:
    """Return the 20 bytes of an address.

    Raises:
        ConfigError: If it is not one, or is in mixed case with a wrong checksum.
    """
    digits = text.removeprefix("0x")
    try:
        address = bytes.fromhex(digits)
    except ValueError:
        address = b""
    if len(address) != ADDRESS_SIZE or len(digits) != 2 * ADDRESS_SIZE:
        raise ConfigError(f"{text!r:.50} is no address; write 0x and 40 hex digits")
    is_mixed = digits not in {digits.lower(), digits.upper()}
    if is_mixed and address_text(address) != f"0x{digits}":
        raise ConfigError(f"{text!r} has a typing error: its checksum does not match")
    return address


def _open_key(secret: bytes) -> "tuple[Account, PrivateKey]":
    limit = sys.getrecursionlimit()
    try:
        import coincurve  # noqa: F401, PLC0415 - see above
        from eth_account import Account  # noqa: PLC0415 - slow
        from eth_keys.backends.coincurve import CoinCurveECCBackend  # noqa: PLC0415
        from eth_keys.datatypes import PrivateKey  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            f"{error.name} is missing, without it nothing is signed; pip install "
            "coincurve eth-account"
        ) from None
    finally:
        # A library that eth_account imports raises it a hundredfold for the whole
        # process: deep JSON from the network would then overflow the stack.
        sys.setrecursionlimit(limit)
    # A key that does not name its backend takes it from an environment variable at
    # each use; bytes given to eth_account become such a key.
    return Account(), PrivateKey(secret, CoinCurveECCBackend())
