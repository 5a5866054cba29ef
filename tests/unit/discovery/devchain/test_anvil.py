"""anvil is looked for where the user says, on PATH, and in the environment."""

import sys

import pytest

from discovery.devchain.anvil import VARIABLE, find_anvil, running_anvil
from discovery.devchain.process import ChainError


def program(path, text="#!/bin/sh\nexit 3\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))


def test_machine_without_anvil_has_none():
    assert find_anvil() is None
    with pytest.raises(ChainError, match=VARIABLE), running_anvil():
        pass


def test_what_the_user_names_wins(tmp_path, monkeypatch):
    program(tmp_path / "bin" / "anvil")
    named = program(tmp_path / "mine")
    monkeypatch.setenv(VARIABLE, str(named))

    assert find_anvil() == named


def test_named_file_that_is_no_program_is_not_replaced_by_another(
    tmp_path, monkeypatch
):
    program(tmp_path / "bin" / "anvil")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone"))

    assert find_anvil() is None


def test_path_is_looked_through_before_the_environment(tmp_path):
    modules = tmp_path / "venv" / "node" / "node_modules" / "@foundry-rs"
    installed = program(modules / "anvil-linux-amd64" / "bin" / "anvil")
    assert find_anvil() == installed

    on_path = program(tmp_path / "bin" / "anvil")
    assert find_anvil() == on_path


def test_program_that_ends_at_once_is_an_error(tmp_path):
    program(tmp_path / "bin" / "anvil")

    with pytest.raises(ChainError, match="did not start"), running_anvil():
        pass


def test_program_that_cannot_be_used_is_ended(tmp_path):
    text = "#!/bin/sh\necho Listening on 127.0.0.1:1\nexec /bin/sleep 60\n"
    program(tmp_path / "bin" / "anvil", text)

    with pytest.raises(ConnectionRefusedError), running_anvil():
        pass
