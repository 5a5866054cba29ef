"""How a presence is kept up."""

from dataclasses import dataclass

from psp.units import Seconds


@dataclass(frozen=True, slots=True)
class AnnouncerConfig:
    """How a presence is kept up.

    Attributes:
        slots: Presence points in use at the same time, at most 3.
        renew_every: Between renewals; a record lives three times as long.
        ping_every: Between signs of life on a registration's circuit.
        ping_within: A ping not answered by then is missed; two in a row move the slot.
        retry_after: First pause after a failure; doubles up to ``max_retry_after``.
        max_retry_after: Longest pause.
        leave_within: How long leaving may take.
        retry_missing: Between attempts to publish under a day whose random value was
            not known, once it is.
        doubt_after: Registrations refused in a row after which this host's clock is
            looked into.
        tell_before: How long before its end somebody is told of keys made ahead.
    """

    slots: int = 3
    renew_every: Seconds = Seconds(600.0)
    ping_every: Seconds = Seconds(5.0)
    ping_within: Seconds = Seconds(2.0)
    retry_after: Seconds = Seconds(0.5)
    max_retry_after: Seconds = Seconds(60.0)
    leave_within: Seconds = Seconds(2.0)
    retry_missing: Seconds = Seconds(60.0)
    doubt_after: int = 3
    tell_before: Seconds = Seconds(86_400.0)
