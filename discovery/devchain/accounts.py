"""Accounts of development chains: their keys follow from their names.

A key is ``keccak256("psp-devchain-account-v1" | name)``. Everybody can compute it:
never send anything of value to these addresses.
"""

from dataclasses import dataclass, field

from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

_LABEL = b"psp-devchain-account-v1"

DEFAULT_NAMES = (
    "deployer",
    "admin",
    "sponsor",
    "alice",
    "bob",
    *(f"node-{i}" for i in range(1, 16)),
)
"""Accounts of a new chain; 20 in all, as a demo network has a dozen relays."""


@dataclass(frozen=True, slots=True)
class DevAccount:
    """One account.

    Attributes:
        name: What it follows from.
        key: The private key, 32 bytes.
        address: 20 bytes.
    """

    name: str
    key: bytes = field(repr=False)
    address: bytes


def dev_account(name: str) -> DevAccount:
    """Return the account of a name."""
    key = keccak(_LABEL + name.encode())
    return DevAccount(name, key, PrivateKey(key).public_key.to_canonical_address())
