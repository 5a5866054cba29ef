"""How much is measured: in full, in a short form, and on the impaired network."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of everything, for every peer alike.

    Attributes:
        builds: Circuits.
        ramp: Seconds that a stream gets to reach its speed.
        bulk_seconds: Of streaming that are measured.
        bulk_rounds: Of one stream and of several; medians count.
        voice_seconds: Alone, and beside each kind of stream.
        tor_settings: How many of `tor_config.SETTINGS`.
        is_wan: Whether on the impaired network.
        psp_rounds: Times that PSP is measured: before the others, and after.
    """

    builds: int = 50
    ramp: float = 1.0
    bulk_seconds: float = 5.0
    bulk_rounds: int = 3
    voice_seconds: float = 20.0
    tor_settings: int = 4
    is_wan: bool = False
    psp_rounds: int = 2


FULL = Amount()
QUICK = Amount(
    builds=15,
    ramp=0.5,
    bulk_seconds=1.0,
    bulk_rounds=1,
    voice_seconds=1.5,
    tor_settings=1,
    psp_rounds=1,
)
WAN = Amount(
    ramp=10.0,
    bulk_seconds=20.0,
    bulk_rounds=1,
    voice_seconds=30.0,
    tor_settings=2,
    is_wan=True,
    psp_rounds=1,
)
WAN_QUICK = Amount(
    builds=10,
    ramp=4.0,
    bulk_seconds=6.0,
    bulk_rounds=1,
    voice_seconds=6.0,
    tor_settings=1,
    is_wan=True,
    psp_rounds=1,
)
