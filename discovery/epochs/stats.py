"""Plain counters of the epoch driver; ``metrics.py`` shows them."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class EpochStats:
    """What happened since the start; reasons come from enums only.

    Attributes:
        epochs: Beginnings of epochs that were seen.
        sent: Transactions mined, by what they did.
        failed: Those that could not be sent or were refused, by what went wrong.
        idle: Epochs in which there was nothing to do for a while, by reason.
        unreachable: Looks at the chain that gave nothing.
        fees_gwei: Fees paid, in gwei.
    """

    epochs: int = 0
    sent: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    idle: Counter[str] = field(default_factory=Counter)
    unreachable: int = 0
    fees_gwei: int = 0
