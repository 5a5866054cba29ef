"""Settings of the presence services; every limit on strangers is here."""

from dataclasses import dataclass, field

from psp.directory.dht_id import HANDOVER_GRACE, REPLICAS
from psp.units import Seconds


@dataclass(frozen=True, slots=True)
class PointConfig:
    """Limits of a presence point.

    Attributes:
        max_tags: Users reachable through this point at once; further ones are refused.
            A tag costs about 1 kB.
        tags_per_user: A device needs one, or two for the moment in which it changes its
            circuit; without this one user could fill the whole table.
        tags_per_circuit: A user needs one; a further one ends the oldest.
        registrations_per_minute: Per circuit. Two periods every ten minutes are normal;
            each costs up to 140 us of signatures.
        publications_per_minute: Per circuit (R-DHT-2).
        introductions_per_minute: Per tag. The callee holds to the limits of R-PATH-5,
            and knows its contacts from strangers, which a point cannot: here is only
            what keeps a flood off its circuit, at two cells each.
        pending_introductions: Waiting for callees' answers at once, in all.
        introduction_memory: Seconds that an introduction is remembered: the 60 it may
            live and a clock skew of 120.
        remembered_introductions: How many of them; when full, further ones are BUSY.
        max_introducing_circuits: Circuits that have had their one introduction and are
            still open; when full, further ones are BUSY.
    """

    max_tags: int = 20_000
    tags_per_user: int = 16
    tags_per_circuit: int = 2
    registrations_per_minute: int = 12
    publications_per_minute: int = 20
    introductions_per_minute: int = 1_800
    pending_introductions: int = 1_000
    introduction_memory: Seconds = Seconds(180)
    remembered_introductions: int = 65_536
    max_introducing_circuits: int = 65_536


@dataclass(frozen=True, slots=True)
class MailboxConfig:
    """Limits of the mailboxes of a presence point.

    Attributes:
        max_mailboxes: At once; further absences are agreed to and get none.
        mailboxes_per_user: A further one ends the user's oldest. Three slots of one
            user may share a point, and a client may come and go.
        notices_per_mailbox: Further ones are refused until they are collected.
        max_notices: In all, at 0.5 kB each; further ones are refused.
        free_share: Of a mailbox, or of ``max_notices``, that fills without work.
        first_effort: Bits of work from there on: 256 tries, 0.1 s.
        last_effort: Bits just before it is full: 4,096 tries, 1.5 s of one core.
        proofs_per_second: Proofs verified, at 0.4 ms each; further ones are refused.
        collections_per_circuit: A whole mailbox takes nine.
    """

    max_mailboxes: int = 10_000
    mailboxes_per_user: int = 6
    notices_per_mailbox: int = 16
    max_notices: int = 32_768
    free_share: float = 0.5
    first_effort: int = 8
    last_effort: int = 12
    proofs_per_second: float = 50.0
    collections_per_circuit: int = 12


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Limits of a discovery node's record store.

    Attributes:
        max_records: Held in all; when full, new ones are refused. 100,000 cost 80 to 95
            MB. Whoever wants to fill it needs fifty registered relays.
        max_per_publisher: Records held from one relay.
        sweep_interval: Seconds after which whoever stores a record makes the store
            search itself for expired ones, should nobody else have.
    """

    max_records: int = 100_000
    max_per_publisher: int = 2_000
    sweep_interval: Seconds = Seconds(120)


@dataclass(frozen=True, slots=True)
class DhtConfig:
    """Parameters of the DHT, as measured (k, alpha, r, timeouts, quorum).

    Attributes:
        bucket_size: k, contacts per bucket.
        parallelism: alpha, requests under way in one look-up: all that will be asked
            if everybody answers.
        replicas: r, nodes that hold a record: with half of them dead 0.4 % are lost.
        max_requests: Per look-up.
        quorum: Nodes that must agree on the newest record for a first answer.
        voices: Nodes that must have answered for it: as many as a reader is given the
            voices of.
        paths: Disjoint ones of a look-up while the list is too old to be relied on.
        soft_timeout: Least seconds after which a late node's place is given on.
        hard_timeout: Seconds after which a request has failed.
        strikes: Failures in a row that cost a contact its place.
        requests_per_second: From one relay, sustained; beyond it no answer.
        request_burst: From one relay, at once.
        max_peers: Relays whose rate is remembered; the longest silent is forgotten.
        stores_per_minute: From one relay: 2,000 records renewed every ten minutes.
        sync_interval: Seconds between comparisons of the table with the registry.
        watch_interval: Seconds between looks whether there was an election.
        handover_grace: Seconds after an election in which look-ups ask the retiring
            nodes, too. Twice the time between renewals: what was not handed over has
            been published anew by then. Shorter epochs are all grace.
        settling: Seconds after an election in which somebody may not know of it, so
            that publications go to the retiring nodes, too: 60 for learning of it, and
            120 of clock skew.
        handover_concurrency: Members a node hands over to at once; further ones wait.
        handover_rate: Messages of a hand-over per second, in all: 5 Mbit/s.
        handover_rate_per_member: The same to one member.
        handovers_per_second: Taken from one node, beyond the pace of honest ones.
        handover_batch: Records on their way to one member at once.
        handover_turn: Least seconds between two turns (`presence.dht.handover`): the
            holder before has given its records by then.
        forward_after: Seconds for which what came too late is collected before it is
            passed on.
        handover_retry: Seconds before a member that did not answer is tried again;
            twice that each time.
        longest_handover_retry: The most seconds between two tries.
    """

    bucket_size: int = 20
    parallelism: int = 8
    replicas: int = REPLICAS
    max_requests: int = 64
    quorum: int = 3
    voices: int = 6
    paths: int = 3
    soft_timeout: Seconds = Seconds(0.05)
    hard_timeout: Seconds = Seconds(1.0)
    strikes: int = 2
    requests_per_second: float = 200.0
    request_burst: float = 400.0
    max_peers: int = 4_096
    stores_per_minute: float = 240.0
    sync_interval: Seconds = Seconds(60)
    watch_interval: Seconds = Seconds(1.0)
    handover_grace: Seconds = Seconds(HANDOVER_GRACE)
    settling: Seconds = Seconds(180)
    handover_concurrency: int = 16
    handover_rate: float = 400.0
    handover_rate_per_member: float = 100.0
    handovers_per_second: float = 120.0
    handover_batch: int = 8
    handover_turn: Seconds = Seconds(0.5)
    forward_after: Seconds = Seconds(2.0)
    handover_retry: Seconds = Seconds(1.0)
    longest_handover_retry: Seconds = Seconds(5.0)


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Limits of look-ups for circuits.

    Attributes:
        kept_searches: For further requests of their circuits; the oldest goes first.
            One takes 10 kB.
        max_lookups: Under way at once, in all; further ones are refused.
        lookups_per_circuit: A reader asks for the newest and four slots of two periods
            at most.
    """

    kept_searches: int = 1_024
    max_lookups: int = 256
    lookups_per_circuit: int = 12


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """Limits of handles at a presence point, and of cookies at a watch point.

    Attributes:
        max_handles: Lying here at once; for further ones the answer is BUSY. Each costs
            about 500 bytes.
        handles_per_tag: Of one user's watchers.
        handles_per_watch_point: That lead to one relay: what it can be sent at once.
        remembered_changes: Tags whose last change is remembered, to tell a watcher what
            it has missed; the oldest is forgotten first.
        messages_at_once: Changes on their way to one watch point; what waits for one
            that is silent is given up.
        messages_in_all: Changes on their way to all watch points.
        messages_per_second: Changes sent, in all.
        message_within: Seconds after which a watch point that does not answer is given
            up; the watcher will notice, if its circuit ended there.
        max_cookies: Held for circuits; HOLD is refused above.
        cookies_per_circuit: The oldest makes room for a new one.
        changes_per_second: Taken from one relay, sustained; beyond it no answer, and an
            honest relay does not send more.
        change_burst: From one relay, at once.
        max_peers: Relays whose rate is remembered; the longest silent is forgotten.
        changes_under_way: Passed on to watchers at once; beyond it no answer, and the
            presence point tries again.
        listen_interval: Seconds between looks whether users are still heard: 50 ms of
            work at 20,000 users.
        silent_after: No circuit is called silent sooner, in seconds.
        silent_factor: Nor before this many times the longest gap that it had.
    """

    max_handles: int = 20_000
    handles_per_tag: int = 1_000
    handles_per_watch_point: int = 2_000
    remembered_changes: int = 20_000
    messages_at_once: int = 16
    messages_in_all: int = 256
    messages_per_second: float = 100.0
    message_within: Seconds = Seconds(20.0)
    max_cookies: int = 50_000
    cookies_per_circuit: int = 512
    changes_per_second: float = 100.0
    change_burst: float = 200.0
    max_peers: int = 4_096
    changes_under_way: int = 256
    listen_interval: Seconds = Seconds(2.0)
    silent_after: Seconds = Seconds(15.0)
    silent_factor: float = 3.0


@dataclass(frozen=True, slots=True)
class PresenceConfig:
    """All of them.

    Attributes:
        point: Being a presence point.
        mailbox: Keeping notices for users who are off line.
        store: Holding records.
        dht: Finding and keeping records on others.
        gateway: Look-ups for circuits.
        watch: Telling watchers of changes.
    """

    point: PointConfig = field(default_factory=PointConfig)
    mailbox: MailboxConfig = field(default_factory=MailboxConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    dht: DhtConfig = field(default_factory=DhtConfig)
    gateway: GatewayConfig = field(default_factory=GatewayConfig)
    watch: WatchConfig = field(default_factory=WatchConfig)
