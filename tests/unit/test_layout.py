"""The tree keeps the promises ARCHITECTURE.md makes."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("psp", "relay", "presence", "discovery", "cli")
MAX_LINES = 400
MODULES = sorted(
    path.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*.py")
)
SHIPPED = [path for path in MODULES if path.parts[:2] != ("psp", "testing")]

TESTED_ELSEWHERE = tomllib.loads(
    Path(__file__).with_name("tested_elsewhere.toml").read_text("utf-8")
)
"""Modules without a test file of their own, or folders of them, and the reason."""


def names(path):
    return str(path)


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_module_is_short_and_says_what_it_is(path):
    source = (ROOT / path).read_text("utf-8")

    assert len(source.splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(source))


def _is_for_type_checkers(node):
    is_if = isinstance(node, ast.If) and isinstance(node.test, ast.Name)
    return is_if and node.test.id == "TYPE_CHECKING"


@pytest.mark.parametrize("path", SHIPPED, ids=names)
def test_shipped_module_does_not_import_test_code(path):
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    for node in ast.walk(tree):
        # psp names its test network for type checkers, and loads it when it is used.
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]

    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert not {name for name in imported if name.startswith("psp.testing")}


def test_wheel_holds_exactly_our_packages():
    with (ROOT / "pyproject.toml").open("rb") as file:
        build = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert sorted(build["packages"]) == sorted(PACKAGES)
    for name in PACKAGES:
        assert (ROOT / name / "__init__.py").is_file()
        assert (ROOT / name / "py.typed").is_file()


def test_every_top_level_module_belongs_to_a_package():
    assert not list(ROOT.glob("*.py"))


def test_tests_are_modules_without_packages():
    assert not list((ROOT / "tests").rglob("__init__.py"))


def mirror(path):
    return ROOT / "tests" / "unit" / path.parent / f"test_{path.name}"


def is_tested_elsewhere(path):
    folders = {f"{folder}/" for folder in path.parents}
    return not TESTED_ELSEWHERE.keys().isdisjoint({str(path), *folders})


def test_every_module_has_a_test_file_of_its_own():
    missing = [
        str(path)
        for path in SHIPPED
        if path.name != "__init__.py"
        and not mirror(path).is_file()
        and not is_tested_elsewhere(path)
    ]

    assert missing == [], "write tests/unit/…/test_NAME.py, or a reason in the table"


@pytest.mark.parametrize("entry", TESTED_ELSEWHERE)
def test_exceptions_name_what_exists_and_why(entry):
    assert (ROOT / entry).exists()
    assert (ROOT / entry).is_dir() == entry.endswith("/")
    assert len(TESTED_ELSEWHERE[entry]) > 10
