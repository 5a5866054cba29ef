"""Where processes of a benchmark run (cli/bench/place.py)."""

import pytest

from cli.bench.place import LOOPBACK, Place
from psp.errors import ConfigError


def test_place_without_a_namespace_is_where_we_are():
    LOOPBACK.enter()

    assert LOOPBACK.host == "127.0.0.1"


def test_unknown_namespace_is_named_with_its_path():
    place = Place("10.0.0.1", "no-such-namespace")

    with pytest.raises(ConfigError, match=r"'no-such-namespace'.*/run/netns"):
        place.enter()


def test_what_is_no_namespace_cannot_be_entered(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no namespace")
    monkeypatch.setattr("cli.bench.place._NAMESPACES", tmp_path)

    with pytest.raises(ConfigError, match="'file' needs root"):
        Place(netns="file").enter()
