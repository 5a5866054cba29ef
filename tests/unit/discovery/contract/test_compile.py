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
    "Names": {"users", "deposit", "name_count", "numbers", "held"}
    | {"LIFETIME", "GRACE", "HOLD"},
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
def run(tmp_path, monkeypatch):
    """The program, over other texts than compiled ones."""
    (tmp_path / "artefacts").mkdir()
    texts = dict.fromkeys(NAMES, "as it was")
    monkeypatch.setattr(compiler, "FOLDER", tmp_path)
    monkeypatch.setattr(compiler, "build", texts.__getitem__)

    def run(*arguments, **changes):
        texts.update(changes)
        monkeypatch.setattr(sys, "argv", ["compile", *arguments])
        return compiler.main()

    return run


def test_check_tells_which_artefact_is_old(run, capsys):
    assert run() == 0
    assert run("--check") == 0

    assert run("--check", Users="another") == 1

    message = "Users: the artefact is not what its source compiles to\n"
    assert capsys.readouterr().err == message
    assert compiler.artefact_path("Users").read_text("utf-8") == "as it was"
    assert run() == 0
    assert run("--check") == 0
