"""JSON-RPC's hex: quantities (``0x1f``), data (``0x001f``) and block tags.

Readers are lenient where clients differ - a quantity may be a JSON number or have
leading zeros - and strict where a mistake would be silent: lengths and prefixes.
"""

import string

from discovery.devchain.errors import refuse_params

MAX_UINT256 = 2**256 - 1

HEX_DIGITS = frozenset(string.hexdigits)

ADDRESS_BYTES = 20
HASH_BYTES = 32

TAGS = ("latest", "pending", "safe", "finalized", "earliest")


def data(value: bytes) -> str:
    """Return bytes as data."""
    return "0x" + value.hex()


def word(value: int) -> str:
    """Return an integer as 32 bytes of data."""
    return f"0x{value:064x}"


def read_quantity(value: object, what: str = "quantity") -> int:
    """Return the integer of at most 256 bits.

    Raises:
        RpcError: If it is not one.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        refuse_params(f"{what} is neither a hex string nor a number")
    number = value if isinstance(value, int) else _hex(value, what)
    if not 0 <= number <= MAX_UINT256:
        refuse_params(f"{what} does not fit 256 bits")
    return number


def _hex(value: str, what: str) -> int:
    digits = value[2:]
    if value[:2] not in {"0x", "0X"} or not digits or len(digits) > 66:
        refuse_params(f"{what} is not 0x and 1 to 64 hex digits")
    if not HEX_DIGITS.issuperset(digits):  # int() takes underscores and other scripts
        refuse_params(f"{what} has other than hex digits")
    return int(digits, 16)


def read_data(value: object, what: str = "data", size: int | None = None) -> bytes:
    """Return the bytes.

    Args:
        value: From the client.
        what: Its name, for the error.
        size: How many bytes it must have; None for any number.

    Raises:
        RpcError: If it is not 0x and pairs of hex digits, or has another size.
    """
    if not isinstance(value, str) or value[:2] not in {"0x", "0X"}:
        refuse_params(f"{what} is not a string that starts with 0x")
    try:
        octets = bytes.fromhex(value[2:])
    except ValueError:
        refuse_params(f"{what} is not pairs of hex digits")
    if 2 * len(octets) != len(value) - 2:  # fromhex() skips spaces
        refuse_params(f"{what} is not pairs of hex digits")
    if size is not None and len(octets) != size:
        refuse_params(f"{what} has {len(octets)} bytes, not {size}")
    return octets


def read_address(value: object, what: str = "address") -> bytes:
    """Return an address's 20 bytes; the checksum in its letters is not looked at."""
    return read_data(value, what, ADDRESS_BYTES)


def read_hash(value: object, what: str = "hash") -> bytes:
    """Return 32 bytes."""
    return read_data(value, what, HASH_BYTES)
