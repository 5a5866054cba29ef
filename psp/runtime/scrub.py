"""Takes out of texts what no log may hold (R-LOG-1).

Our own messages are constant and their fields are wrapped in `Sensitive` where needed;
this is for texts of others: libraries' log records and exceptions.
"""

import re
import traceback
from types import TracebackType

from psp.errors import PspError

SCRUBBED = "[scrubbed]"

_MAX_TEXT = 500
"""Characters of a foreign text worth keeping; our choice."""

_MAX_FRAMES = 6
"""Innermost calls worth keeping of a traceback; our choice."""

_SECRETS = re.compile(
    r"""
      \d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?     # IPv4, perhaps with a port
    | (?<![\w:])\[?(?:[0-9a-f]{0,4}:){2,7}     # IPv6, perhaps in brackets, with a port
      (?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4})\]?(?::\d{1,5})?(?!\w)
    | [0-9a-z+/_-]{20,}={0,2}                  # keys, ids, cookies: hex or base64
    | b'(?:[^'\\]|\\.)*' | b"(?:[^"\\]|\\.)*"  # bytes printed by Python
    """,
    re.VERBOSE | re.IGNORECASE,
)


def scrub_text(text: str) -> str:
    """Return ``text`` without addresses, keys and bytes, and not too long.

    Long words go too; better a hole in a log than a key.
    """
    scrubbed = _SECRETS.sub(SCRUBBED, text[: 4 * _MAX_TEXT])
    return scrubbed if len(scrubbed) <= _MAX_TEXT else scrubbed[:_MAX_TEXT] + "…"


def describe(error: BaseException) -> str:
    """Return an exception's type and, of our own ones, its text.

    Ours state facts without secrets; what others say of bytes and addresses is unknown.
    """
    if isinstance(error, PspError):
        return f"{type(error).__name__}: {scrub_text(str(error))}"
    return type(error).__qualname__


def where(tb: TracebackType | None) -> str:
    """Return the innermost calls of a traceback as ``module:line function < …``."""
    frames = traceback.extract_tb(tb)[-_MAX_FRAMES:]
    return " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
        for frame in reversed(frames)
    )
