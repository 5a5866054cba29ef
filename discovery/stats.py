"""Plain counters of the discovery service; ``metrics.py`` shows them."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class DiscoveryStats:
    """What happened since the start; reasons come from enums only.

    Attributes:
        offered: Descriptors offered to this node's store, by what became of them.
        pushes: Publications of other relays answered, by status.
        pages: Requests for pages, by what became of them.
        published: This relay's own publications, by the answer.
        publications_failed: Of these, without a usable answer.
        downloads: Downloads of the directory from others, by outcome.
        registry_files: Registry files fetched from others, by what became of them.
        catch_ups: Times this node was newly elected and fetched what others had.
        requests_bad: Requests of other relays that were not well-formed.
    """

    offered: Counter[str] = field(default_factory=Counter)
    pushes: Counter[str] = field(default_factory=Counter)
    pages: Counter[str] = field(default_factory=Counter)
    published: Counter[str] = field(default_factory=Counter)
    publications_failed: int = 0
    downloads: Counter[str] = field(default_factory=Counter)
    registry_files: Counter[str] = field(default_factory=Counter)
    catch_ups: int = 0
    requests_bad: int = 0
