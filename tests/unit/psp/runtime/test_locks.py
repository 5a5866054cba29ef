"""Locks of files (psp/runtime/locks.py)."""

import subprocess
import sys

import pytest

from psp.errors import ConfigError
from psp.runtime.locks import try_lock

HOLD = """
import sys, pathlib
from psp.runtime.locks import try_lock
with try_lock(pathlib.Path(sys.argv[1])) as is_ours:
    print(is_ours, flush=True)
    sys.stdin.read()
"""


def test_one_at_a_time_also_within_a_process(tmp_path):
    path = tmp_path / "account.lock"

    with try_lock(path) as first, try_lock(path) as second:
        assert (first, second) == (True, False)
    with try_lock(path) as third:
        assert third


def test_lock_ends_with_its_process_however_that_ends(tmp_path):
    path = tmp_path / "account.lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with other:
        assert other.stdout.readline() == b"True\n"
        with try_lock(path) as is_ours:
            assert not is_ours
        other.kill()

    with try_lock(path) as is_ours:
        assert is_ours
    assert path.stat().st_mode & 0o777 == 0o600


def test_directory_that_is_missing_is_named(tmp_path):
    lock = try_lock(tmp_path / "missing" / "account.lock")

    with pytest.raises(ConfigError, match="check the directory"), lock:
        raise AssertionError
