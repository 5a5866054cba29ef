"""Readers of the chain stay lean."""

import subprocess
import sys

import pytest

HEAVY = {"web3", "eth_account", "eth_abi", "eth", "rlp", "trie", "coincurve"}
MODULES = [
    "header",
    "proof",
    "trie",
    "state",
    "records",
    "users",
    "view",
    "alarms",
    "registry",
    "cache",
]


@pytest.mark.parametrize(
    "imports",
    [
        "import " + ", ".join(f"psp.directory.chain.{name}" for name in MODULES),
        "import psp.client.api",
    ],
)
def test_readers_do_not_load_what_only_writers_need(imports):
    code = f"{imports}; import sys; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout.split()

    assert "psp.ids" in loaded
    assert HEAVY.isdisjoint(loaded)
