"""Every number of the links, with the reason for it.

Values marked WireGuard are those of its whitepaper, section 6.1 and 5.4.7. The others
are our choice.
"""

from dataclasses import dataclass

REPLAY_WINDOW = 8128
"""Packets; SPEC.md section 1, wireguard-go's number (R-LNK-7)."""

HARD_PACKET_LIMIT = 1 << 22
"""Packets under one AES-256-GCM key; RFC 9001 section 6.6 allows 2**23 (R-LNK-8)."""

HARD_KEY_AGE = 180.0
"""Seconds after which keys neither seal nor open (WireGuard's reject-after-time)."""

COOKIE_LIFETIME = 120.0
"""Seconds a cookie secret lives (SPEC.md section 1)."""

REPAIR_AGE = 0.25
"""Seconds a sender keeps sealed packets (SPEC.md section 2): later they are of no use to
a call."""

REPAIR_RING = 1024
"""Sealed packets it keeps at most: 250 ms at 5 MB/s on one link, and 1.3 MB. With 128,
links of 40 ms repaired nothing above 1.5 MB/s."""

REPAIR_ANSWERS = 2
"""Times a packet is asked for and sent again: with one, seven links that lose 1 % leave
0.14 % lost, with two 0.003 % (tests/sim/test_lossy_path.py)."""

REPAIR_CREDIT = 64.0
"""Packets that may be asked for before any was received."""

REPAIR_SHARE = 0.2
"""Packets that may be asked for per packet received: repair heals losses up to some
15 %, and adds at most a fifth to a path that is losing packets because it is full."""

REORDER_TOLERANCE = 0.010
"""Seconds that a packet may be overtaken by before it is called lost: a choice, between
asking for what was only late and asking late."""

QUEUED_CELLS = 128
"""Cells that wait for a link to come up; the oldest is dropped for a new one."""

MAX_ATTEMPTS = 3
"""Initiations of one handshake whose answers we still take: with the first retry after
250 ms, an answer that needs longer must not be lost."""


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """Times in seconds, unless a name says otherwise.

    Attributes:
        rekey_after: Age at which the initiator renews keys (WireGuard: 120).
        rekey_jitter: Most that is taken off it, for each key anew: the links of a relay
            that were opened together must not renew their keys together.
        rekey_packets: Packets in either direction after which it does (R-LNK-8).
        first_retry: Wait before the second initiation; doubles up to `retry`. Call
            set-up waits for handshakes, so it starts below WireGuard's 5 s.
        retry: Longest wait between initiations (WireGuard: 5).
        retry_jitter: Most that is added to `retry`, in proportion to shorter waits
            (WireGuard: 334 ms).
        give_up: Handshakes end unanswered after this (WireGuard: 90).
        kem_retry: First wait for an answer inside the new link; then 1.5 times longer.
        kem_tries: LINK_KEM offers before the handshake starts anew.
        keepalive: Longest silence of ours on a link (WireGuard: 10).
        padding_low: Least interval of padding on an idle client link (R-PAD-2).
        padding_high: Longest such interval.
        probe_after: Ask for a sign of life when we sent and heard nothing for this.
        silent_after: Then the initiator starts a handshake, elsewhere if it can.
        idle_probe: Ask for a sign of life when nothing was heard for this, even idle;
            above `keepalive`.
        dead_after: The responder closes a link that was silent for this; longer than
            `give_up`, so that an initiator that comes back finds it.
        half_open_life: State of an unfinished handshake is freed after this (R-LNK-4).
        max_half_open: Unfinished handshakes; the oldest is dropped for a new one.
        max_links: Links; further handshakes are refused in silence.
        handshakes_per_second: Per source /32 or /64 (R-LNK-5).
        handshake_burst: Handshakes a source may start at once (R-LNK-5).
        max_sources: Sources remembered; the one unheard longest is forgotten.
        load_handshakes: Handshakes per second that count as load, when cookies are
            demanded: 20 % of a core at 400 to 700 microseconds each (R-LNK-4).
        max_timestamps: Relays whose last handshake time is kept; oldest out. Above the
            number of registered nodes.
        max_ephemerals: Client handshakes remembered against replay; oldest out.
    """

    rekey_after: float = 120.0
    rekey_jitter: float = 15.0
    rekey_packets: int = 1 << 21
    first_retry: float = 0.25
    retry: float = 5.0
    retry_jitter: float = 0.334
    give_up: float = 90.0
    kem_retry: float = 0.25
    kem_tries: int = 6
    keepalive: float = 10.0
    padding_low: float = 1.5
    padding_high: float = 9.5
    probe_after: float = 1.0
    silent_after: float = 3.0
    idle_probe: float = 15.0
    dead_after: float = 100.0
    half_open_life: float = 10.0
    max_half_open: int = 4096
    max_links: int = 16_384
    handshakes_per_second: float = 20.0
    handshake_burst: int = 5
    max_sources: int = 65_536
    load_handshakes: float = 300.0
    max_timestamps: int = 65_536
    max_ephemerals: int = 65_536
