"""When to look at the chain again.

A relay looks as often as its settings say. A client in a large network cannot afford
that: a look costs it 10 kB if nothing but blocks has come, and at 10,000 nodes 100 kB or
more on a busy day. So it spends a budget: the more the last look cost, the later the
next. It never misses a list: however long the pause, it ends when a block of the next
epoch is final.
"""

from dataclasses import dataclass

from psp.directory.chain.layout import epoch_start
from psp.directory.chain.view import ChainView
from psp.units import Seconds

CLIENT_DAY_BYTES = 600_000
"""What a client's looks may cost a day. With 2 MB of descriptors and 0.4 MB for what
each epoch changes, a day at 10,000 nodes stays below 3 MB."""
SPREAD = 1 / 24
"""Part of an epoch over which clients spread their look at a new list: the one before
still serves."""
_DAY = 86_400
_JITTER = 0.1


@dataclass(frozen=True, slots=True)
class LookConfig:
    """How often to look.

    Attributes:
        every: The least seconds between two looks, plus or minus a tenth.
        longest: The most; a view counts for new circuits for 24 hours.
        day_bytes: Bytes that looks may cost a day; 0: look whenever `every` is over.
    """

    every: Seconds
    longest: Seconds = Seconds(21_600.0)
    day_bytes: int = 0


def next_look(
    config: LookConfig, view: ChainView | None, spent: int, uniform: float
) -> Seconds:
    """Return the seconds to wait after a look.

    Args:
        config: How often.
        view: What is known now, None for nothing.
        spent: Bytes that the look cost.
        uniform: Random, in [0, 1): not everybody at once.
    """
    shift = 1 - _JITTER + 2 * _JITTER * uniform
    every = config.every * shift
    if not config.day_bytes:
        return Seconds(every)
    wanted = min(spent * _DAY / config.day_bytes, config.longest) * shift
    if view is not None:
        state = view.state
        start = epoch_start(state.epoch + 1, state.genesis, state.epoch_length)
        # Final blocks lag behind the clock, always by about as much: it takes this long
        # until one of them is of the next epoch.
        until = start - view.timestamp + SPREAD * uniform * state.epoch_length
        wanted = min(wanted, until)
    return Seconds(max(every, wanted))
