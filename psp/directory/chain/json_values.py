"""Values of JSON-RPC: hex text, in the spellings that Ethereum's interface allows.

Quantities have no leading zeros (``0x0``, ``0x1a``), data have two digits a byte.
"""

from psp.errors import DecodeError

_DIGITS = frozenset("0123456789abcdefABCDEF")


def quantity(value: object, bits: int = 64) -> int:
    """Read an unsigned integer below ``2**bits``.

    Raises:
        DecodeError: If it is anything else.
    """
    digits = _digits(value, (bits + 3) // 4)
    if not digits or (digits[0] == "0" and len(digits) > 1):
        raise DecodeError("a quantity has no leading zeros")
    number = int(digits, 16)
    if number >> bits:
        raise DecodeError(f"a quantity of more than {bits} bits")
    return number


def fixed_bytes(value: object, size: int) -> bytes:
    """Read exactly ``size`` bytes.

    Raises:
        DecodeError: If it is anything else.
    """
    data = bytes_up_to(value, size)
    if len(data) != size:
        raise DecodeError(f"{len(data)} bytes instead of {size}")
    return data


def bytes_up_to(value: object, limit: int) -> bytes:
    """Read at most ``limit`` bytes.

    Raises:
        DecodeError: If it is anything else.
    """
    digits = _digits(value, 2 * limit)
    if len(digits) % 2:
        raise DecodeError("data have two digits a byte")
    return bytes.fromhex(digits)


def _digits(value: object, limit: int) -> str:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise DecodeError("hex values are strings that begin with 0x")
    if len(value) > limit + 2:
        raise DecodeError(f"{len(value) - 2} digits, at most {limit} are allowed")
    digits = value[2:]
    # Python's own parsers take white space, signs and underscores.
    if not _DIGITS.issuperset(digits):
        raise DecodeError("not hex digits")
    return digits
