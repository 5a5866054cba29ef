"""Settings of the hand-overs."""

from dataclasses import dataclass

from psp.units import Seconds


@dataclass(frozen=True, slots=True)
class HandOverConfig:
    """How a node signs, collects and serves.

    Attributes:
        sweep_every: Seconds between looks for a new period, plus or minus a tenth.
        listings_kept: Listings from which a difference can be told: eight days of
            hand-overs every six hours.
        listings_on_disk: How many of them are kept over a restart; 2.2 MB each at
            10,000 nodes.
        concurrency: Signatures on the way at once.
        within: Seconds an answer may take.
        first_wait: Seconds before a failed push or fetch is tried again; twice that
            each time.
        longest_wait: The most seconds between two tries.
    """

    sweep_every: Seconds = Seconds(10)
    listings_kept: int = 32
    listings_on_disk: int = 8
    concurrency: int = 8
    within: Seconds = Seconds(3)
    first_wait: Seconds = Seconds(5)
    longest_wait: Seconds = Seconds(600)
