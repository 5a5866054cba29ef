"""When a watcher does what, and how much of it."""

from dataclasses import dataclass

from psp.units import Seconds


@dataclass(frozen=True, slots=True)
class WatcherConfig:
    """Timing of watching; pairs are ranges from which a time is drawn.

    Attributes:
        handles: Points at which a handle lies at the same time.
        lifetime: Of a handle.
        renew: Share of its lifetime after which a handle is left anew.
        soon: Between a change and the look-up for it: not all watchers at once.
        after_gone: The same when a circuit has ended: who moves needs this long.
        confirm: First pause before a change that a look-up does not show yet is looked
            for again; doubles each time.
        confirm_tries: Look-ups for one change; then its teller is doubted.
        retry: Between look-ups when no handle lies anywhere; doubles up to the second.
            The first hour of it costs six look-ups, a twentieth of polling.
        retry_cut_off: The same when nobody answers at all: our own network may be down.
        check: Between look-ups when handles lie: points may keep silent.
        check_absent: The same when the contact is away: who comes back without the
            keys of its mailboxes cannot tell them.
        tells: Changes that one point may tell at once.
        tell_every: Another one each so many seconds.
        doubt: First time without a handle for a point that is doubted, or does not
            answer; doubles up to ``longest_doubt``.
        longest_doubt: See there.
        ping: Between signs of life on the circuit to a watch point; below the 15
            minutes after which relays close what is idle.
        ping_within: A ping not answered by then is missed; two in a row end the circuit.
        watch_point_age: After this a watch point is left for another one.
        handles_per_watch_point: Further ones go by another watch point.
        leaves_per_second: Circuits for handles, sustained; a guard takes 3 a second.
        leave_burst: And at once.
        max_contacts: Over all watches of a client.
    """

    handles: int = 2
    lifetime: Seconds = Seconds(3_600.0)
    renew: tuple[float, float] = (0.8, 0.95)
    soon: tuple[float, float] = (0.5, 3.0)
    after_gone: tuple[float, float] = (5.0, 15.0)
    confirm: Seconds = Seconds(1.5)
    confirm_tries: int = 4
    retry: tuple[float, float] = (120.0, 1_200.0)
    retry_cut_off: tuple[float, float] = (30.0, 600.0)
    check: tuple[float, float] = (2_700.0, 4_500.0)
    check_absent: tuple[float, float] = (1_800.0, 2_400.0)
    tells: float = 8.0
    tell_every: Seconds = Seconds(450.0)
    doubt: Seconds = Seconds(300.0)
    longest_doubt: Seconds = Seconds(3_600.0)
    ping: tuple[float, float] = (500.0, 700.0)
    ping_within: Seconds = Seconds(3.0)
    watch_point_age: tuple[float, float] = (43_200.0, 86_400.0)
    handles_per_watch_point: int = 200
    leaves_per_second: float = 1.0
    leave_burst: int = 10
    max_contacts: int = 1_000
