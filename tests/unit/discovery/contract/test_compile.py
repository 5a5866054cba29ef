"""The artefacts are what the sources compile to, and every function is documented."""

import hashlib
import sys

import pytest

from discovery.contract import compile as compiler
from discovery.contract.artefacts import NAMES, artefact

GETTERS = {
    "NodeBook": {"keeper", "node_count"},
    "Relays": {"book", "users", "admin", "pending_admin"}
    | {"votes", "unbonding", "operators"},
    "Users": {"user_count", "nonces"},
}
"""Of public variables, which have no place for documentation."""


@pytest.mark.parametrize("name", NAMES)
def test_source_compiles_to_the_artefact_byte_for_byte(name):
    shipped = compiler.artefact_path(name).read_text("utf-8")

    assert compiler.build(name) == shipped, "run python -m discovery.contract.compile"
    source = compiler.source_path(name).read_bytes()
    assert artefact(name).source_sha256 == hashlib.sha256(source).hexdigest()


@pytest.mark.parametrize("name", NAMES)
def test_every_function_tells_what_it_does_and_takes(name):
    documentation = compiler.documentation(name)
    notices = documentation["userdoc"]["methods"]
    details = documentation["devdoc"]["methods"]

    functions = {
        f"{entry['name']}({','.join(part['type'] for part in entry['inputs'])})": entry
        for entry in artefact(name).abi
        if entry["type"] == "function" and entry["name"] not in GETTERS[name]
    }
    for signature, entry in functions.items():
        assert notices[signature]["notice"], signature
        described = set(details.get(signature, {}).get("params", {}))
        assert described == {part["name"] for part in entry["inputs"]}, signature
        if entry["outputs"]:
            assert details[signature]["returns"], signature


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The compiler, over a copy of the smallest contract."""
    (tmp_path / "artefacts").mkdir()
    for suffix in ("Users.vy", "artefacts/Users.json"):
        (tmp_path / suffix).write_bytes((compiler.FOLDER / suffix).read_bytes())
    monkeypatch.setattr(compiler, "FOLDER", tmp_path)
    monkeypatch.setattr(compiler, "NAMES", ("Users",))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["compile", *arguments])
        return compiler.main()

    return run


def test_check_tells_a_changed_source(copied, capsys):
    assert copied("--check") == 0
    source = compiler.source_path("Users")
    source.write_text(source.read_text("utf-8") + "# another\n", "utf-8")

    assert copied("--check") == 1
    assert "Users: the artefact is not what" in capsys.readouterr().err
    assert copied() == 0
    assert copied("--check") == 0
