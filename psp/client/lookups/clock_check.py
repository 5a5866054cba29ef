"""Is our own clock right? Pure.

Records live for minutes, and where they lie depends on the day: a client whose clock is
wrong would find nothing and take that for absence. It cannot ask one party for the time;
it has evidence by the way:

* the registry says when it was true: we cannot be earlier;
* each voice carries the clock of a discovery node, under its signature and to our own
  nonce. When several, and most of them, differ from us in the same direction, it is us.
"""

from collections.abc import Collection

from psp.client.errors import ClockError
from psp.directory.registry import Registry
from psp.netdoc.presence_keys import CLOCK_SKEW
from psp.units import Seconds

BEYOND_DOUBT = Seconds(CLOCK_SKEW + 30)
"""Seconds: others are allowed 120, and an answer may have been long on its way."""
ENOUGH_VOICES = 4
"""With a fifth of 32 nodes malicious, four of the nearest eight are one time in 40, and
both gateways besides once in 1,400."""


def check_registry(registry: Registry, unix_now: float) -> None:
    """Check our clock against the registry, before anything is asked.

    Raises:
        ClockError: If the registry was true later than now.
    """
    behind = registry.issued - unix_now
    if behind > BEYOND_DOUBT:
        raise ClockError(
            f"this host's clock is at least {describe(behind)} slow; set it right"
        )


def check_voices(differences: Collection[float], members: int) -> None:
    """Check our clock against those of discovery nodes.

    Args:
        differences: Their clock minus ours, seconds; one of each node.
        members: How many nodes could have said it.

    Raises:
        ClockError: If at least four, or all if there are fewer, and three quarters of
            them, differ by more than 150 s in the same direction.
    """
    enough = max(1, min(ENOUGH_VOICES, members))
    slow = sorted(each for each in differences if each > BEYOND_DOUBT)
    fast = sorted(-each for each in differences if each < -BEYOND_DOUBT)
    for beyond, word in ((slow, "slow"), (fast, "fast")):
        if len(beyond) >= max(enough, 0.75 * len(differences)):
            middle = beyond[len(beyond) // 2]
            raise ClockError(
                f"this host's clock is about {describe(middle)} {word}, say "
                f"{len(beyond)} discovery nodes; set it right"
            )


def describe(seconds: float) -> str:
    """Return a time in words."""
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} minutes"
    hours = round(seconds / 3_600)
    return f"{hours} hours" if hours < 48 else f"{round(hours / 24)} days"
