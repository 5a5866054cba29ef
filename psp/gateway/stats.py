"""Plain counters of the gateway; ``metrics.py`` shows them."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class GatewayStats:
    """What happened since the start; reasons come from enums only.

    Attributes:
        requests: Requests that were done, by operation.
        problems: Requests that were not, by kind of problem.
        streams: Event streams that were opened.
        streams_stuck: Of these, closed because the reader did not read.
    """

    requests: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    streams: int = 0
    streams_stuck: int = 0
