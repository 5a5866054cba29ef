"""How many circuits for look-ups stand ready, and how fast they are built.

Not beside `psp.client.lookups.spare_circuits`: look-ups need `psp.client.config`, which
holds this.
"""

from dataclasses import dataclass

from psp.units import Seconds


@dataclass(frozen=True, slots=True)
class SpareConfig:
    """How many circuits stand ready, and how fast they are built.

    Attributes:
        count: Circuits that stand ready; a look-up takes two.
        longest: Seconds a circuit may wait.
        refill_after: Seconds from a look-up until the next circuits are built: what it
            is waiting for goes first.
        idle_after: Seconds without a look-up after which no more are built.
        retry_after: Seconds until the next try when a build has failed.
        per_second: Circuits begun, sustained: less than the guard's three.
        burst: Circuits begun at once: a third of the guard's is left for calls.
    """

    count: int = 4
    longest: Seconds = Seconds(300.0)
    refill_after: Seconds = Seconds(0.5)
    idle_after: Seconds = Seconds(900.0)
    retry_after: Seconds = Seconds(5.0)
    per_second: float = 2.5
    burst: int = 60
