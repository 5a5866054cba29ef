"""What time asks of a link: repair, padding, signs of life, new keys, an end.

`next_due` and `upkeep` look at the same facts: whatever the one calls due, the other
does, so that no deadline is left behind in the past.

Source: WireGuard section 6; the numbers are in psp.link.config.
"""

import enum

from psp.link.config import (
    HARD_KEY_AGE,
    HARD_PACKET_LIMIT,
    REPAIR_AGE,
    LinkConfig,
)
from psp.link.indexes import INDEXES
from psp.link.keypair import Keypair
from psp.link.link import NEVER, PADDING_CELL, Link
from psp.units import Monotonic
from psp.wire.cell import CellCommand
from psp.wire.link_cells import MAX_REPAIR_COUNTERS, Repair, link_cell


class Need(enum.Enum):
    """What a link needs from its machine."""

    NOTHING = enum.auto()
    KEYS = enum.auto()
    """A handshake at the endpoint in use."""
    ANOTHER_PATH = enum.auto()
    """A handshake, elsewhere if that endpoint stays silent."""
    BURIAL = enum.auto()
    """There is nobody any more."""


def next_due(link: Link) -> Monotonic:
    """Return when to call `upkeep`."""
    dial = link.dial
    current = link.current
    due = NEVER if dial is None else Monotonic(min(dial.due, dial.gives_up))
    if not link.is_initiator:
        dead = Monotonic(link.liveness.last_received + link.config.dead_after)
        due = min(due, dead)
    if current is None:
        return due
    liveness = link.liveness
    due = min(
        due,
        Monotonic(current.created + HARD_KEY_AGE),
        Monotonic(liveness.last_sent + link.interval),
        liveness.due(is_confirmed=current.is_confirmed),
    )
    if link.is_initiator and dial is None:
        due = min(due, _rekey_at(current, link.config))
    if liveness.waiting_since is not None and dial is None and link.is_initiator:
        silent = Monotonic(liveness.waiting_since + link.config.silent_after)
        due = min(due, silent)
    if link.candidate is not None:
        due = min(due, link.candidate.due)
    return min(due, _keypairs_due(link))


def _keypairs_due(link: Link) -> Monotonic:
    due = NEVER
    for keypair in (link.current, link.previous):
        if keypair is None:
            continue
        if (gap := keypair.gaps.due) is not None:
            due = min(due, gap)
        if (oldest := keypair.sent.oldest) is not None:
            due = min(due, Monotonic(oldest + REPAIR_AGE))
    if link.previous is not None:
        due = min(due, Monotonic(link.previous.created + HARD_KEY_AGE))
    return due


def upkeep(link: Link, now: Monotonic) -> Need:
    """Do what is due; tell what the machine must do."""
    _tend_keypairs(link, now)
    if link.current is not None:
        _tend_path(link, now)
        if now >= link.liveness.last_sent + link.interval:
            link.interval = link.draw_interval()
            link.say(PADDING_CELL)
            link.stats.padding_sent += 1
        is_confirmed = link.current.is_confirmed
        if now >= link.liveness.due(is_confirmed=is_confirmed):
            link.challenge(now)
    return _need(link, now)


def _need(link: Link, now: Monotonic) -> Need:
    dial = link.dial
    if not link.is_initiator:
        dead = link.liveness.last_received + link.config.dead_after
        return Need.BURIAL if now >= dead else Need.NOTHING
    if dial is not None and now >= dial.gives_up:
        return Need.BURIAL
    if link.current is None:
        return Need.KEYS if dial is None else Need.NOTHING
    if link.liveness.is_silent(now):
        if dial is None:
            return Need.ANOTHER_PATH
        dial.is_failover = True
    elif dial is None and _is_rekey_due(link, link.current, now):
        return Need.KEYS
    return Need.NOTHING


def _rekey_at(keypair: Keypair, config: LinkConfig) -> Monotonic:
    # The index is random, and says nothing that a peer or an eavesdropper must not know.
    jitter = config.rekey_jitter * keypair.local_index / INDEXES
    return Monotonic(keypair.created + config.rekey_after - jitter)


def _is_rekey_due(link: Link, keypair: Keypair, now: Monotonic) -> bool:
    packets = max(keypair.next_counter, keypair.window.highest)
    return (
        now >= _rekey_at(keypair, link.config) or packets >= link.config.rekey_packets
    )


def _tend_keypairs(link: Link, now: Monotonic) -> None:
    for keypair in (link.current, link.previous):
        if keypair is None:
            continue
        keypair.sent.expire(now)
        if now < keypair.created + HARD_KEY_AGE and (
            keypair.window.highest < HARD_PACKET_LIMIT
        ):
            _ask_for_repair(link, keypair, now)
            continue
        link.retire(keypair)
        if keypair is link.current:
            link.current = None
        else:
            link.previous = None


def _ask_for_repair(link: Link, keypair: Keypair, now: Monotonic) -> None:
    if keypair.gaps.due is None:
        return
    counters = keypair.gaps.pop_due(now)
    link.stats.repairs_asked += len(counters)
    for start in range(0, len(counters), MAX_REPAIR_COUNTERS):
        chunk = tuple(counters[start : start + MAX_REPAIR_COUNTERS])
        body = Repair(keypair.local_index, chunk).encode()
        link.say(link_cell(CellCommand.REPAIR, body))


def _tend_path(link: Link, now: Monotonic) -> None:
    candidate = link.candidate
    if candidate is None or now < candidate.due:
        return
    if candidate.is_spent:
        link.candidate = None
    else:
        link.challenge_candidate(candidate, now)
