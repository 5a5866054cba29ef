"""Settings of the presence services; every limit on strangers is here."""

from dataclasses import dataclass, field

from psp.units import Seconds


@dataclass(frozen=True, slots=True)
class PointConfig:
    """Limits of a presence point.

    Attributes:
        max_tags: Users reachable through this point at once; further ones are refused.
            A tag costs about 1 kB.
        tags_per_circuit: A user needs one; a further one ends the oldest.
        registrations_per_minute: Per circuit. Two periods every ten minutes are normal;
            each costs up to 140 us of signatures.
        publications_per_minute: Per circuit (R-DHT-2).
        introductions_per_minute: Per tag (R-PATH-5): each makes the callee build a
            circuit if it accepts.
        pending_introductions: Waiting for callees' answers at once, in all.
        introduction_memory: Seconds that an introduction is remembered: the 60 it may
            live and a clock skew of 120.
        remembered_introductions: How many of them; when full, further ones are BUSY.
        max_introducing_circuits: Circuits that have had their one introduction and are
            still open; when full, further ones are BUSY.
    """

    max_tags: int = 20_000
    tags_per_circuit: int = 2
    registrations_per_minute: int = 12
    publications_per_minute: int = 20
    introductions_per_minute: int = 30
    pending_introductions: int = 1_000
    introduction_memory: Seconds = Seconds(180)
    remembered_introductions: int = 65_536
    max_introducing_circuits: int = 65_536


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Limits of a discovery node's record store.

    Attributes:
        max_keys: Locations held; when full, new ones are refused (20,000 records cost
            20-60 MB). Whoever wants to fill it needs ten registered relays.
        max_per_publisher: Records held from one relay.
        sweep_interval: Seconds between searches for expired records.
    """

    max_keys: int = 20_000
    max_per_publisher: int = 2_000
    sweep_interval: Seconds = Seconds(60)


@dataclass(frozen=True, slots=True)
class DhtConfig:
    """Parameters of the DHT, as measured (k, alpha, r, timeouts, quorum).

    Attributes:
        bucket_size: k, contacts per bucket.
        parallelism: alpha, requests under way in one look-up.
        replicas: r, nodes that hold a record: with half of them dead 0.4 % are lost.
        max_requests: Per look-up.
        quorum: Nodes that must agree on the newest record for a first answer.
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
    parallelism: int = 4
    replicas: int = 8
    max_requests: int = 64
    quorum: int = 3
    soft_timeout: Seconds = Seconds(0.05)
    hard_timeout: Seconds = Seconds(1.0)
    strikes: int = 2
    requests_per_second: float = 200.0
    request_burst: float = 400.0
    max_peers: int = 4_096
    stores_per_minute: float = 240.0
    sync_interval: Seconds = Seconds(60)
    watch_interval: Seconds = Seconds(1.0)
    handover_grace: Seconds = Seconds(1_200)
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
        cache_time: Seconds a found record is given again without asking. Absence is
            never cached: the user may just have come.
        cache_size: Records kept; the oldest goes first.
        max_lookups: Under way at once, in all; further ones are refused.
        lookups_per_circuit: A reader asks for three slots of two periods at most.
    """

    cache_time: Seconds = Seconds(20)
    cache_size: int = 2_000
    max_lookups: int = 256
    lookups_per_circuit: int = 12


@dataclass(frozen=True, slots=True)
class PresenceConfig:
    """All of them.

    Attributes:
        point: Being a presence point.
        store: Holding records.
        dht: Finding and keeping records on others.
        gateway: Look-ups for circuits.
    """

    point: PointConfig = field(default_factory=PointConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    dht: DhtConfig = field(default_factory=DhtConfig)
    gateway: GatewayConfig = field(default_factory=GatewayConfig)
