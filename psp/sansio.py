"""The one shape shared by every protocol machine.

A machine does no I/O and reads no clock. Its owner, in this order:

1. calls ``receive`` or ``handle_timeout``, or a method of its own;
2. sends everything ``trains_to_send`` returns;
3. handles events until ``next_event`` returns None;
4. arms a timer for ``next_timeout``.

Machines take and give *trains*: up to 50 equal-sized datagrams to or from one
address, which the kernel moves in one system call (UDP GSO/GRO).
"""

from typing import NamedTuple, Protocol, TypeVar

from psp.units import Monotonic

EventT_co = TypeVar("EventT_co", covariant=True)

Address = tuple[str, int]
"""Numeric host and port."""

MAX_TRAIN = 50
"""Datagrams per train: 50 x 1,232 bytes stay below the kernel's 64 KiB limit."""


class Train(NamedTuple):
    """Datagrams for one destination.

    Attributes:
        destination: Where all of them go.
        parts: Byte strings whose concatenation is ``packets`` whole packets.
        packets: How many packets, at most `MAX_TRAIN`.
    """

    destination: Address
    parts: list[bytes]
    packets: int


class Machine(Protocol[EventT_co]):
    """A protocol endpoint as seen by whoever owns its socket and its clock."""

    def receive(
        self, buffer: memoryview, segment_size: int, source: Address, now: Monotonic
    ) -> None:
        """Take in one train of datagrams of ``segment_size`` (the last may be shorter).

        Never raises: bad datagrams are counted by reason and dropped. ``buffer`` is
        only valid during the call.
        """

    def trains_to_send(self, now: Monotonic) -> list[Train]:
        """Return everything that must go out now, oldest first."""
        ...

    def next_event(self) -> EventT_co | None:
        """Return the oldest unread event, or None."""

    def next_timeout(self) -> Monotonic | None:
        """Return when to call ``handle_timeout``, or None for never."""

    def handle_timeout(self, now: Monotonic) -> None:
        """Act on every deadline at or before ``now``. Early calls do nothing."""
