"""The wall clock as the far end may see it: shifted, differently for each connection.

RTCP sender reports, abs-send-time, the ``o=`` line of SDP and the certificate's dates
all carry the sender's wall clock, whose error names a machine. aiortc takes all of them
from two places; both are given this clock. The offset lives in a context variable: a
connection sets it in the tasks that send, and their children inherit it, so that two
connections of one process do not share an offset by which to link them.

This hides the time, not the rate at which the clock drifts.
"""

import contextlib
import contextvars
import datetime as dt
import secrets
from collections.abc import Iterator
from types import SimpleNamespace

import aiortc.clock
import aiortc.rtcdtlstransport

_MAX_OFFSET = dt.timedelta(days=3650)
"""Backwards only: NTP's 32-bit seconds overflow in 2036."""

_MICROSECOND = dt.timedelta(microseconds=1)


def random_offset() -> dt.timedelta:
    """Return a random shift of up to ten years into the past."""
    return -_MICROSECOND * secrets.randbelow(_MAX_OFFSET // _MICROSECOND)


_offset: contextvars.ContextVar[dt.timedelta] = contextvars.ContextVar("clock_offset")
_process_offset = random_offset()


def shifted_now() -> dt.datetime:
    """Return the UTC time plus the offset of the running task's connection."""
    real = dt.datetime.now(dt.UTC)
    return real + _offset.get(_process_offset)


def set_offset(offset: dt.timedelta) -> None:
    """Shift the clock of the running task, and of the tasks it starts."""
    _offset.set(offset)


@contextlib.contextmanager
def offset_by(offset: dt.timedelta) -> Iterator[None]:
    """Shift the clock for the length of a block."""
    token = _offset.set(offset)
    try:
        yield
    finally:
        _offset.reset(token)


class _ShiftedDatetime(dt.datetime):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> "_ShiftedDatetime":
        """Return the shifted time in ``tz``, UTC if None."""
        shifted = shifted_now().astimezone(tz or dt.UTC)
        return cls.fromtimestamp(shifted.timestamp(), shifted.tzinfo)


def install() -> None:
    """Give aiortc the shifted clock, for the whole process."""
    aiortc.clock.current_datetime = shifted_now
    vars(aiortc.rtcdtlstransport)["datetime"] = SimpleNamespace(
        datetime=_ShiftedDatetime,
        timedelta=dt.timedelta,
        timezone=dt.timezone,
    )
