"""Addresses of Symbol and Sirius accounts, reduced to what identifies an account.

Decoded: ``network 1 | account 20 | checksum``. The account is RIPEMD-160 of SHA3-256 of
the public key; the checksum is the beginning of SHA3-256 of what stands before it, three
bytes on Symbol and four on Sirius. Gateways write 24 or 25 bytes in hexadecimal, people
and request paths use base32 without padding (39 or 40 characters).

Experimental.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from psp.errors import DecodeError

ACCOUNT_SIZE: Final = 20


@dataclass(frozen=True, slots=True)
class AddressFormat:
    """How one network writes addresses.

    Attributes:
        network: The first byte, which tells one network from another.
        checksum_size: Bytes at the end.
    """

    network: int
    checksum_size: int

    @property
    def size(self) -> int:
        """Bytes of a decoded address."""
        return 1 + ACCOUNT_SIZE + self.checksum_size

    def encode(self, account: bytes) -> bytes:
        """Return the decoded address of an account of 20 bytes."""
        body = bytes([self.network]) + account
        return body + hashlib.sha3_256(body).digest()[: self.checksum_size]

    def text(self, account: bytes) -> str:
        """Return the address as people write it."""
        return base64.b32encode(self.encode(account)).decode().rstrip("=")

    def account(self, address: bytes) -> bytes:
        """Return the account of a decoded address.

        Raises:
            DecodeError: If it belongs to another network or is damaged.
        """
        if len(address) != self.size:
            raise DecodeError(f"an address of {len(address)} bytes, not {self.size}")
        if address[0] != self.network:
            raise DecodeError(
                f"an address of network {address[0]}, not of {self.network}"
            )
        account = address[1 : 1 + ACCOUNT_SIZE]
        if self.encode(account) != address:
            raise DecodeError("an address whose checksum is wrong")
        return account

    def parse(self, text: str) -> bytes:
        """Return the account of an address as people write it; hyphens are free.

        Raises:
            DecodeError: If it is not an address of this network.
        """
        plain = text.replace("-", "")
        try:
            address = base64.b32decode(plain + "=" * (-len(plain) % 8))
        except ValueError:
            raise DecodeError("an address is written in base32") from None
        account = self.account(address)
        if self.text(account) != plain:
            raise DecodeError("an address is written in its canonical form")
        return account
