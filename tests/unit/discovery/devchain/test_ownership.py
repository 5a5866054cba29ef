"""Who has the lock serves; the others find out where."""

import os

import pytest

from discovery.devchain.ownership import (
    Endpoints,
    Lock,
    read_endpoints,
    write_endpoints,
)
from psp.errors import ConfigError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "chain.db"


def test_lock_has_one_holder_at_a_time(path):
    first = Lock.take(path)

    assert Lock.take(path) is None
    first.release()
    second = Lock.take(path)
    assert second is not None
    second.release()


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        Lock.take(tmp_path / "gone" / "chain.db")


def test_endpoints_come_back(path):
    urls = ("http://127.0.0.1:8545", "http://127.0.0.1:8546")
    endpoints = Endpoints(os.getpid(), 31_337, urls)

    write_endpoints(path, endpoints)

    assert read_endpoints(path) == endpoints
    assert read_endpoints(path).ports == (8545, 8546)
    assert read_endpoints(path).is_alive


@pytest.mark.parametrize("content", [None, b"", b"http://127.0.0.1:8545", b"[1]"])
def test_file_that_is_missing_or_half_is_none_yet(path, content):
    if content is not None:
        path.with_name("chain.db.rpc").write_bytes(content)

    assert read_endpoints(path) is None


@pytest.mark.parametrize("pid", [0, 2**22 + 5])
def test_process_that_stopped_or_is_gone_serves_nothing(pid):
    assert not Endpoints(pid, 31_337, ()).is_alive


def test_process_of_another_user_is_alive():
    assert Endpoints(1, 31_337, ()).is_alive
