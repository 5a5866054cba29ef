import ast
from pathlib import Path

import pytest

from discovery.backend import (
    ChainBackend,
    ElectedList,
    ReadOnlyBackendError,
    Standing,
)
from psp.errors import PspError

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


@pytest.mark.parametrize("backend", ["discovery.symbol.reader.SymbolBackend"])
def test_every_backend_has_all_of_the_interface(backend):
    module, _, name = backend.rpartition(".")
    implementation = getattr(__import__(module, fromlist=[name]), name)

    assert {
        member for member in members() if not hasattr(implementation, member)
    } == set()


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
