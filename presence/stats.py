"""Plain counters of the presence services; ``metrics.py`` shows them."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class PresenceStats:
    """What happened since the start; reasons come from enums only.

    Attributes:
        registered: Registrations agreed to.
        registrations_refused: By reason.
        published: Records given to the DHT.
        publications_refused: By reason.
        introductions: By what became of them.
        notices: Missed-call notices brought, by what became of them.
        collections: Requests for notices, by what became of them.
        lookups: Answers to circuits, by state or reason of refusal.
        stores: Records offered to this discovery node, by what became of them.
        dht_requests: Requests answered, by kind.
        dht_dropped: Requests not answered, by reason.
        dht_asked: Requests made to other nodes.
        dht_failed: Of these, without a usable answer.
        records_read_back: Records of the file at the start, by what became of them.
        record_file: What was wrong with that file, by kind.
        members_blamed: Bad answers of members that counted against them, by fault.
        records_bad: Records in answers that were refused, by reason.
        requests_bad: Requests over circuits that were not well-formed.
        handovers: Changes of the list for which this node had records to hand over, by
            how that ended.
        records_handed_over: Records given to members after a change, by what became
            of them there.
        handover_failed: Tries to hand over to a member that were broken off, by
            reason; they are repeated.
        records_taken_over: Records brought by others' hand-overs, by what became of
            them.
    """

    registered: int = 0
    registrations_refused: Counter[str] = field(default_factory=Counter)
    published: int = 0
    publications_refused: Counter[str] = field(default_factory=Counter)
    introductions: Counter[str] = field(default_factory=Counter)
    notices: Counter[str] = field(default_factory=Counter)
    collections: Counter[str] = field(default_factory=Counter)
    lookups: Counter[str] = field(default_factory=Counter)
    stores: Counter[str] = field(default_factory=Counter)
    dht_requests: Counter[str] = field(default_factory=Counter)
    dht_dropped: Counter[str] = field(default_factory=Counter)
    dht_asked: int = 0
    dht_failed: int = 0
    records_read_back: Counter[str] = field(default_factory=Counter)
    record_file: Counter[str] = field(default_factory=Counter)
    members_blamed: Counter[str] = field(default_factory=Counter)
    records_bad: Counter[str] = field(default_factory=Counter)
    requests_bad: int = 0
    handovers: Counter[str] = field(default_factory=Counter)
    records_handed_over: Counter[str] = field(default_factory=Counter)
    handover_failed: Counter[str] = field(default_factory=Counter)
    records_taken_over: Counter[str] = field(default_factory=Counter)
