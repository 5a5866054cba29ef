"""Settings of calls."""

from dataclasses import dataclass

from psp.bandwidth import MAX_KBIT_PER_S, Bandwidth
from psp.errors import ConfigError


@dataclass(frozen=True, slots=True)
class CallConfig:
    """What a call asks of each relay on its circuits, each way, cells counted whole.

    Every relay sees what it is asked for: other numbers than everybody's set a client
    apart.

    Attributes:
        min_kbit_per_s: A relay that cannot promise this much is not used. One voice
            flow of 50 packets a second takes 480. 0 takes any relay.
        wanted_kbit_per_s: More is not needed. Video of 2.5 Mbit/s takes 3000.
        duplicate_audio: Send audio over both legs of a call, for paths that lose more
            than bundles make good: twice its cells, and the other side hears it once.
    """

    min_kbit_per_s: int = 480
    wanted_kbit_per_s: int = 3000
    duplicate_audio: bool = False

    def __post_init__(self) -> None:
        """Refuse what no relay could grant.

        Raises:
            ConfigError: Naming the key, the value and the cure.
        """
        if not 0 <= self.min_kbit_per_s <= self.wanted_kbit_per_s:
            raise ConfigError(
                f"call.min_kbit_per_s = {self.min_kbit_per_s}: must be 0 … "
                f"wanted_kbit_per_s, which is {self.wanted_kbit_per_s}"
            )
        if self.wanted_kbit_per_s > MAX_KBIT_PER_S:
            raise ConfigError(
                f"call.wanted_kbit_per_s = {self.wanted_kbit_per_s}: must be at most "
                f"{MAX_KBIT_PER_S}"
            )

    @property
    def bandwidth(self) -> Bandwidth:
        """What relays are asked for."""
        return Bandwidth(self.min_kbit_per_s, self.wanted_kbit_per_s)
