"""Money as people write it: ether and gwei, exact to the last wei.

>>> parse_ether("1.5", "--stake")
1500000000000000000
>>> ether(1_500_000_000_000_000_000)
'1.5 ether'
"""

import re

from psp.errors import ConfigError

ETHER_DIGITS = 18
GWEI_DIGITS = 9
MAX_WEI = (1 << 96) - 1
"""What the contracts can count."""

_NUMBER = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,18}))?")


def parse_ether(text: str, option: str) -> int:
    """Return an amount in wei.

    Args:
        text: Ether, such as 1.5: digits, at most one point, no exponent and no sign.
        option: For the message.

    Raises:
        ConfigError: If it is no such amount.
    """
    return _parse(text, option, ETHER_DIGITS, "ether, such as 1.5")


def parse_gwei(text: str, option: str) -> int:
    """Return an amount in wei.

    Args:
        text: Gwei, the thousand-millionth of an ether.
        option: For the message.

    Raises:
        ConfigError: If it is no such amount.
    """
    return _parse(text, option, GWEI_DIGITS, "gwei, such as 2.5")


def ether(wei: int) -> str:
    """Return an amount in ether."""
    return f"{_text(wei, ETHER_DIGITS)} ether"


def about(wei: int) -> str:
    """Return an amount in ether, cut to whole gwei.

    >>> about(1_234_567_891_234_567_890)
    '1.234567891 ether'
    """
    return ether(wei - wei % 10**GWEI_DIGITS)


def gwei(wei: int) -> str:
    """Return an amount in gwei, thousands apart."""
    return f"{_text(wei, GWEI_DIGITS)} gwei"


def fee(wei: int) -> str:
    """Return a fee, rounded up to whole gwei, in ether and in gwei.

    >>> fee(39_375_000_000_001)
    '0.000039376 ether (39,376 gwei)'
    """
    whole = -(-wei // 10**GWEI_DIGITS)
    return f"{ether(whole * 10**GWEI_DIGITS)} ({whole:,} gwei)"


def price(wei: int) -> str:
    """Return what a unit of gas costs, rounded up to a thousandth of a gwei."""
    return gwei(-(-wei // 10**6) * 10**6)


def _parse(text: str, option: str, digits: int, wanted: str) -> int:
    match = _NUMBER.fullmatch(text)
    fraction = (match[2] or "") if match else ""
    if match is None or len(fraction) > digits:
        raise ConfigError(f"{option} {text!r:.40}: write an amount in {wanted}")
    wei = int(f"{match[1]}{fraction.ljust(digits, '0')}")
    if wei > MAX_WEI:
        raise ConfigError(f"{option} {text!r}: more than the contracts can count")
    return wei


def _text(wei: int, digits: int) -> str:
    whole, rest = divmod(wei, 10**digits)
    fraction = str(rest).rjust(digits, "0").rstrip("0")
    return f"{whole:,}" + (f".{fraction}" if fraction else "")
