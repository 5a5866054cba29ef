"""Plain counters of watching; ``presence.metrics`` shows them."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class WatchStats:
    """What happened since the start; reasons come from enums only.

    Attributes:
        handles: Handles that watchers wanted to leave, by the answer.
        changes: Changes of tags that somebody watched, by kind.
        messages: Messages to watch points, by what became of them.
        cookies_taken: Cookies taken for circuits.
        passed: Changes brought for cookies, by what became of them.
        requests_bad: Requests that were not well-formed, or one too many.
    """

    handles: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    cookies_taken: int = 0
    passed: Counter[str] = field(default_factory=Counter)
    requests_bad: int = 0
