"""Doing a proof of work beside everything else: in a thread, in slices."""

import asyncio
from collections.abc import Callable

from psp.crypto.work import NONCE_SIZE, search
from psp.entropy import Entropy

MAX_WILLING_EFFORT = 16
"""Bits of work this client does for anybody: 65,536 tries, half a minute of one core.
Whoever asks for more will not be reached."""
_SLICE = 64
"""Tries between two looks whether to go on: 25 ms."""

Progress = Callable[[float], None]
"""Told what part of the expected tries is done; it may go beyond 1."""


async def prove(
    challenge: bytes,
    effort: int,
    entropy: Entropy,
    on_progress: Progress = lambda _: None,
) -> bytes:
    """Return a nonce that proves ``effort`` bits of work.

    May be cancelled at any time; the thread ends with the slice under way.

    Args:
        challenge: What the work is for.
        effort: Bits; 2**effort tries on the average, of 0.4 ms each.
        entropy: Says where to begin.
        on_progress: Told after every slice.
    """
    start = int.from_bytes(entropy.token(NONCE_SIZE))
    tries = 0
    while True:
        nonce = await asyncio.to_thread(
            search, challenge, effort, start + tries, _SLICE
        )
        if nonce is not None:
            return nonce
        tries += _SLICE
        on_progress(tries / 2**effort)
