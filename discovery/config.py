"""Settings of the discovery service."""

from dataclasses import dataclass, field

from psp.units import Seconds


@dataclass(frozen=True, slots=True)
class PublisherConfig:
    """How a relay publishes its own descriptor.

    Attributes:
        life: What a descriptor says; at most three hours.
        renew_every: Seconds after which a new one is made, plus or minus a tenth. Three
            make it through in a life: one may be lost.
        first_wait: Seconds before a failed push is tried again; twice that each time.
        longest_wait: The most seconds between two tries.
        concurrency: Pushes on the way at once.
        within: Seconds an answer may take.
    """

    life: Seconds = Seconds(10_800)
    renew_every: Seconds = Seconds(3_600)
    first_wait: Seconds = Seconds(2)
    longest_wait: Seconds = Seconds(600)
    concurrency: int = 8
    within: Seconds = Seconds(3)


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Limits on those who ask.

    Attributes:
        snapshot_every: Seconds for which one snapshot is served though descriptors
            change: a download must have a chance to finish.
        snapshots_kept: Earlier ones still served by name.
        replaced_kept: Replaced descriptors still found by digest: those of 20 minutes
            at 10,000 relays, 1 MB.
        pushes_per_minute: From one relay; one an hour is normal.
        pages_per_minute: To one relay or circuit; 10,000 relays take 1,900.
        max_askers: Relays and circuits counted; when full, others must wait for the
            next minute.
    """

    snapshot_every: Seconds = Seconds(30)
    snapshots_kept: int = 4
    replaced_kept: int = 4_096
    pushes_per_minute: int = 20
    pages_per_minute: int = 4_000
    max_askers: int = 65_536


@dataclass(frozen=True, slots=True)
class RefreshConfig:
    """How a node keeps its copy of the directory.

    Attributes:
        sources: Nodes asked side by side.
        attempts: How often others are asked in one round while all of them fail.
        first_wait: Seconds before the second round; twice that each time.
        every: Seconds between rounds in the long run, plus or minus a tenth.
        within: Seconds an answer may take.
    """

    sources: int = 3
    attempts: int = 6
    first_wait: Seconds = Seconds(5)
    every: Seconds = Seconds(600)
    within: Seconds = Seconds(3)


@dataclass(frozen=True, slots=True)
class DiscoveryConfig:
    """All of it.

    Attributes:
        publisher: Publishing this relay's own descriptor.
        server: Serving others.
        refresh: Keeping the copy.
        sweep_every: Seconds between looks for expired descriptors and for changes of
            the registry.
        watch_every: Seconds between looks whether this node is newly elected.
    """

    publisher: PublisherConfig = field(default_factory=PublisherConfig)
    server: ServerConfig = field(default_factory=ServerConfig)
    refresh: RefreshConfig = field(default_factory=RefreshConfig)
    sweep_every: Seconds = Seconds(10)
    watch_every: Seconds = Seconds(1)
