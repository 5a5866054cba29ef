"""Logs (psp/runtime/logs.py)."""

import io
import json
import logging

import pytest

from psp.errors import ConfigError
from psp.redact import Sensitive
from psp.runtime import logs
from psp.runtime.logs import (
    LEVELS,
    MAX_KINDS,
    LogOutput,
    RateLimit,
    logger,
    parse_level,
)
from psp.testing.clock import EPOCH, ManualClock
from psp.units import Seconds

ADDRESS = "192.0.2.77"


def test_every_message_of_a_worker_says_whose_it_is(clock):
    stream = io.StringIO()
    logs.configure(
        LogOutput(
            LEVELS["info"],
            is_json=True,
            stream=stream,
            limit=RateLimit(clock=clock),
            always={"worker": 3},
        )
    )

    logger("relay").info("link_up", is_relay=True)

    line = json.loads(stream.getvalue())
    assert (line["worker"], line["event"], line["is_relay"]) == (3, "link_up", True)


def test_a_line_is_one_write_also_without_buffers(clock):
    """Several workers write to one pipe: what one says never breaks another's line."""

    class Pipe(io.RawIOBase):
        def __init__(self):
            self.writes = []

        def writable(self):
            return True

        def write(self, data):
            self.writes.append(bytes(data))
            return len(data)

    pipe = Pipe()
    stream = io.TextIOWrapper(pipe, write_through=True)
    logs.configure(LogOutput(stream=stream, limit=RateLimit(clock=clock)))

    logger("relay").warning("stopping")

    assert [data[-1:] for data in pipe.writes] == [b"\n"]


def test_a_log_that_nobody_reads_any_more_fails_nobody(clock):
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    logs.configure(LogOutput(stream=Broken(), limit=RateLimit(clock=clock)))

    logger("relay").warning("stopping")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def printed(clock):
    """Return a function that configures a stream and gives it."""

    def configure(*, is_json=True, level="info"):
        stream = io.StringIO()
        logs.configure(
            LogOutput(
                LEVELS[level], is_json, stream, RateLimit(clock=clock), lambda: EPOCH
            )
        )
        return stream

    yield configure
    logs.configure(LogOutput())
    for handler in logging.getLogger().handlers[:]:
        if type(handler).__module__ == logs.__name__:
            logging.getLogger().removeHandler(handler)


def fail():
    raise OSError(ADDRESS)


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_has_one_object_per_line(printed):
    stream = printed()

    logger("relay").info("link_closed", reason="IDLE", packets=3)

    assert lines(stream) == [
        {
            "time": "2026-01-01T00:00:00Z",
            "level": "info",
            "event": "link_closed",
            "service": "relay",
            "reason": "IDLE",
            "packets": 3,
        }
    ]


def test_people_get_words(printed):
    stream = printed(is_json=False)

    logger("relay").warning("link_closed", reason="IDLE", ports=[1, 2])

    assert stream.getvalue() == (
        "2026-01-01T00:00:00Z warning  link_closed service=relay reason=IDLE "
        "ports=[1, 2]\n"
    )


def test_level_is_obeyed(printed):
    stream = printed(level="warning")
    log = logger("relay")

    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")

    assert [line["event"] for line in lines(stream)] == ["c", "d"]


def test_secrets_are_scrubbed_at_any_depth(printed):
    stream = printed()

    logger("relay").info(
        "seen",
        peer=Sensitive(ADDRESS),
        key=b"secret",
        inside={"list": [Sensitive(ADDRESS), (b"secret",)]},
        error=OSError(ADDRESS),
        other=slice(0, ADDRESS),
    )

    assert ADDRESS not in stream.getvalue()
    assert "secret" not in stream.getvalue()


def test_exceptions_show_where_but_not_what(printed):
    stream = printed()

    try:
        fail()
    except OSError as error:
        logger("relay").exception("broken")
        logger("relay").error("broken too", exc_info=error)
    logger("relay").error("nothing broken", exc_info=True)

    first, second, third = lines(stream)
    assert first["error"] == second["error"] == "OSError"
    assert first["level"] == "error"
    assert "test_logs.py" in first["where"]
    assert "error" not in third
    assert ADDRESS not in stream.getvalue()


def test_repetitions_are_counted_not_printed(printed, clock):
    stream = printed()
    log = logger("relay")

    for _ in range(100):
        log.warning("bad_packet")
    clock.advance(Seconds(10.0))
    log.warning("bad_packet")
    clock.advance(Seconds(10.0))
    log.warning("bad_packet")

    assert [line.get("suppressed") for line in lines(stream)] == [None, 99, None]


def test_kinds_of_one_message_are_limited_apart(printed):
    stream = printed()

    for kind in ("EPERM", "ENOBUFS", "EPERM"):
        logger("udp").warning("send_failed", kind=kind)

    assert [line["kind"] for line in lines(stream)] == ["EPERM", "ENOBUFS"]


def test_a_million_bad_packets_make_few_bytes(printed, clock):
    stream = printed()
    log = logger("relay")

    for _ in range(1_000):
        log.warning("bad_packet", reason="TAG")
        clock.advance(Seconds(0.01))

    assert len(stream.getvalue()) < 1_024  # 10 s; R: at most 1 KiB/s


def test_rate_limit_forgets_the_oldest_kind_when_full(clock):
    limit = RateLimit(clock=clock)
    for number in range(MAX_KINDS + 1):
        assert limit.admit(str(number)) == 0

    assert limit.admit(str(MAX_KINDS)) is None
    assert limit.admit("0") == 0


def test_libraries_are_heard_scrubbed_from_warnings_up(printed):
    stream = printed()
    library = logging.getLogger("some.library")

    library.info("hello")
    library.warning("peer %s left", ADDRESS)
    try:
        fail()
    except OSError:
        logging.getLogger("other").exception("broke on %s", ADDRESS)

    warning, error = lines(stream)
    assert (warning["kind"], warning["text"]) == (
        "some.library",
        "peer [scrubbed] left",
    )
    assert (error["level"], error["error"]) == ("error", "OSError")
    assert ADDRESS not in stream.getvalue()


def test_configuring_twice_does_not_print_twice(printed):
    printed()
    stream = printed()

    logging.getLogger("some.library").warning("once")

    assert len(lines(stream)) == 1


def test_library_users_see_only_warnings_until_configured(capsys):
    logger("client").info("quiet")
    logger("client").warning("loud")

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "loud" in captured.err
    assert "quiet" not in captured.err


def test_levels_have_names():
    assert parse_level("Warning") == LEVELS["warning"]
    with pytest.raises(ConfigError, match="log level 'loud': use one of debug, info"):
        parse_level("loud")
