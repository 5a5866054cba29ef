"""The exceptions (psp/errors.py)."""

import inspect

import pytest

from psp import errors
from psp.errors import (
    ConfigError,
    DecodeError,
    LocalProtocolError,
    ProtocolError,
    PspError,
    RemoteProtocolError,
)

DEFINED = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if kind.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", DEFINED)
def test_every_error_is_one_of_ours_and_in_the_drawing(kind):
    assert issubclass(kind, PspError)
    assert kind.__name__ in (errors.__doc__ or "")
    assert kind.__doc__


def test_faults_of_the_peer_and_ours_are_told_apart():
    assert issubclass(DecodeError, RemoteProtocolError)
    assert issubclass(RemoteProtocolError, ProtocolError)
    assert issubclass(LocalProtocolError, ProtocolError)
    assert not issubclass(LocalProtocolError, RemoteProtocolError)
    assert not issubclass(ConfigError, ProtocolError)
