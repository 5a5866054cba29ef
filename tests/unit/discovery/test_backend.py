import ast
from pathlib import Path

import pytest

from discovery.backend import (
    ChainBackend,
    ElectedList,
    ReadOnlyBackendError,
    Standing,
)
from discovery.evm import EvmBackend, Payer, Reader
from discovery.symbol.answers import Dialect
from discovery.symbol.client import GatewayClient
from discovery.symbol.reader import SymbolBackend
from discovery.symbol.rest import Rest
from discovery.symbol.sirius_rest import SiriusRest
from discovery.symbol.symbol_rest import SymbolRest
from discovery.transactions.sender import Sender
from psp.errors import PspError
from psp.runtime.chain_reader import ChainReader

ROOT = Path(__file__).parents[3]
SDKS = {"symbolchain", "symbol_sdk", "xpxchain", "nem2_sdk", "catbuffer"}
MODULES = sorted(
    path
    for name in ("discovery", "psp", "relay", "presence", "cli")
    for path in (ROOT / name).rglob("*.py")
)


def imports(path):
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def test_no_module_imports_a_symbol_sdk():
    assert len(MODULES) > 100
    assert {path.name for path in MODULES if SDKS & set(imports(path))} == set()


def test_a_backend_that_only_reads_says_what_was_tried_and_what_to_do():
    error = ReadOnlyBackendError("publish", "Symbol", "use its tools")

    assert error.operation == "publish"
    assert str(error) == "publish: the Symbol backend only reads; use its tools"
    assert isinstance(error, PspError)


def test_standings_run_from_the_best_to_the_worst():
    assert [standing.value for standing in Standing] == [
        "proven",
        "recomputed",
        "computed",
        "published",
        "disputed",
        "unknown",
    ]
    assert ElectedList(3, (), Standing.UNKNOWN).published == ()


@pytest.mark.parametrize("backend", [EvmBackend, SymbolBackend])
def test_every_backend_has_all_of_the_interface(backend):
    assert {name for name in members() if not hasattr(backend, name)} == set()


def checked_by_mypy(
    *,
    evm: EvmBackend,
    symbol: SymbolBackend,
    dialects: tuple[SymbolRest, SiriusRest],
    client: GatewayClient,
    reader: ChainReader,
    sender: Sender,
) -> tuple[list[ChainBackend], list[Dialect], Rest, Reader, Payer]:
    """Everything that stands for an interface has its types, too."""
    return [evm, symbol], [*dialects], client, reader, sender


def members():
    return {
        name
        for name in vars(ChainBackend)
        if not name.startswith("_") and not name.isupper()
    }


def test_the_interface_is_the_one_that_was_asked_for():
    assert members() == {
        "network",
        "is_read_only",
        "users",
        "nodes",
        "elected",
        "trusted",
        "publish",
        "rotate",
        "nominate",
    }
