"""What `import psp` offers: all of it works, and nothing is loaded before it is used."""

import importlib
import subprocess
import sys

import pytest

import psp
from psp.client import errors
from psp.testing import network

_LEAN = """
import sys
import psp
loaded = sorted(name for name in sys.modules if name.startswith("psp."))
assert loaded == [], loaded
psp.ConfigError, psp.ContactCard
heavy = {"asyncio", "aiohttp", "av", "aiortc", "kademlia", "psp.client.client"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
psp.connect
heavy = {"av", "aiortc", "numpy", "kademlia", "mnemonic", "typer", "vyper", "web3"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
assert not [name for name in sys.modules if name.startswith("psp.testing")]
"""


@pytest.mark.parametrize("name", psp.__all__)
def test_every_name_is_there_and_documented(name):
    value = getattr(psp, name)

    assert name in dir(psp)
    if name not in {"__version__", "Who", "UserId"}:
        assert value.__doc__


def test_the_table_and_the_list_of_names_agree():
    assert set(psp.__all__) == {*psp._MODULE_OF, "__version__", "testing"}
    for name, module in psp._MODULE_OF.items():
        assert getattr(psp, name) is getattr(importlib.import_module(module), name)


def test_every_error_that_an_app_may_meet_is_there():
    kinds = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }

    assert kinds <= set(psp.__all__)


def test_importing_loads_next_to_nothing():
    run = subprocess.run(
        [sys.executable, "-c", _LEAN], check=False, capture_output=True, text=True
    )

    assert run.returncode == 0, run.stderr


def test_the_test_network_is_a_name_away():
    assert psp.testing.network is network


def test_what_is_not_there_is_an_ordinary_error():
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        _ = psp.conect
