"""Logs: constant event names, data in fields, few lines, nothing secret (R-LOG-1).

::

    log = logger("relay")
    log.info("link_closed", reason=reason.name, peer=Sensitive(address))

A kind of message - its name, plus its ``kind`` field if it has one - appears at most
once in 10 seconds; the next one says how many were suppressed. Until `configure` is
called only warnings are printed, so an app that imports `psp` is not flooded.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger

from psp.errors import ConfigError
from psp.redact import Sensitive
from psp.runtime.scrub import SCRUBBED, describe, scrub_text, where

PERIOD = 10.0
"""Seconds between two messages of a kind (R-LOG-1)."""

MAX_KINDS = 1_024
"""Kinds of messages remembered; the one first seen is forgotten for a new one. Names
are constants, so only a bug can reach this."""

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class RateLimit:
    """Lets one message of a kind pass per period and counts the others."""

    def __init__(
        self, period: float = PERIOD, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._period = period
        self._clock = clock
        self._seen: dict[str, list[float]] = {}

    def admit(self, kind: str) -> int | None:
        """Return how many were suppressed since the last one; None to suppress this."""
        now = self._clock()
        entry = self._seen.get(kind)
        if entry is None:
            if len(self._seen) >= MAX_KINDS:
                del self._seen[next(iter(self._seen))]
            self._seen[kind] = [now, 0]
            return 0
        if now - entry[0] < self._period:
            entry[1] += 1
            return None
        suppressed = int(entry[1])
        entry[:] = [now, 0]
        return suppressed


@dataclass(slots=True)
class LogOutput:
    """Where and how messages appear.

    Attributes:
        level: Least level printed.
        is_json: One JSON object per line, for machines.
        stream: Where to; None is the standard error of the moment.
        limit: Of repetitions.
        unix_time: Clock of the time stamps.
        always: Fields of every message, such as which worker writes it.
    """

    level: int = LEVELS["warning"]
    is_json: bool = False
    stream: TextIO | None = None
    limit: RateLimit = field(default_factory=RateLimit)
    unix_time: Callable[[], float] = time.time
    always: Mapping[str, object] = field(default_factory=dict)

    def write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        """Print one message, unless its level or the limit says no."""
        if LEVELS[level] < self.level:
            return
        kind = f"{event} {fields['kind']}" if "kind" in fields else event
        suppressed = self.limit.admit(kind)
        if suppressed is None:
            return
        message = {
            name: _plain(value)
            for name, value in (*self.always.items(), *fields.items())
        }
        if suppressed:
            message["suppressed"] = suppressed
        stamp = datetime.fromtimestamp(self.unix_time(), UTC).strftime("%FT%TZ")
        line = (_as_json if self.is_json else _as_text)(stamp, level, event, message)
        # Whoever read the log may be gone: that must not keep a process from ending.
        # The end of line goes with the line, in one write: workers share the stream.
        stream = self.stream or sys.stderr
        with suppress(OSError):
            stream.write(f"{line}\n")
            stream.flush()


_output = LogOutput()


def configure(output: LogOutput) -> None:
    """Send all messages of this process, and libraries' warnings, to ``output``."""
    global _output  # noqa: PLW0603 - a process has one log
    _output = output
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _LibraryHandler):
            root.removeHandler(handler)
    root.addHandler(_LibraryHandler(logging.WARNING))


def parse_level(name: str) -> int:
    """Return the number of a level's name.

    Raises:
        ConfigError: If there is no such level.
    """
    try:
        return LEVELS[name.lower()]
    except KeyError:
        raise ConfigError(
            f"log level {name!r}: use one of {', '.join(LEVELS)}"
        ) from None


def logger(service: str) -> FilteringBoundLogger:
    """Return the log of one service."""
    return cast(
        "FilteringBoundLogger",
        structlog.wrap_logger(
            None,
            processors=[_emit],
            wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
            context_class=dict,
            service=service,
        ),
    )


def _emit(
    _: object, level: str, fields: MutableMapping[str, object]
) -> Mapping[str, object]:
    """End the chain of processors: print, then tell structlog there is nothing to do."""
    event = str(fields.pop("event"))
    exc_info = fields.pop("exc_info", None)
    if exc_info:
        error = exc_info if isinstance(exc_info, BaseException) else sys.exc_info()[1]
        if error is not None:
            fields["error"] = describe(error)
            fields["where"] = where(error.__traceback__)
    _output.write("error" if level == "exception" else level, event, fields)
    raise structlog.DropEvent


class _LibraryHandler(logging.Handler):
    """Passes on what libraries log, scrubbed: they print addresses and keys."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, object] = {
            "kind": record.name,
            "text": scrub_text(record.getMessage()),
        }
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = describe(record.exc_info[1])
            fields["where"] = where(record.exc_info[2])
        level = "warning" if record.levelno < logging.ERROR else "error"
        _output.write(level, "library_message", fields)


def _plain(value: object) -> object:
    """Return what JSON can say of a value; secrets and bytes stay unsaid."""
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    if isinstance(value, Sensitive | bytes | bytearray | memoryview):
        return SCRUBBED
    if isinstance(value, BaseException):
        return describe(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return scrub_text(str(value))


def _as_json(stamp: str, level: str, event: str, fields: Mapping[str, object]) -> str:
    return json.dumps({"time": stamp, "level": level, "event": event, **fields})


def _as_text(stamp: str, level: str, event: str, fields: Mapping[str, object]) -> str:
    data = " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in fields.items()
    )
    return f"{stamp} {level:<8} {event} {data}".rstrip()
