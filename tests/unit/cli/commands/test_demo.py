"""What psp demo refuses before it starts anything (cli/commands/demo.py)."""

import socket
import tempfile
from pathlib import Path

import pytest

from cli.exit_codes import ExitCode


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_missing_file_is_an_input_error(psp, tmp_path):
    ran = psp("demo", "--input", tmp_path / "absent.mp4", "--out", tmp_path / "out")

    assert ran.code == ExitCode.INPUT
    assert ran.err.count("\n") == 1
    assert "absent.mp4" in ran.err


def test_a_file_of_another_kind_is_an_input_error(psp, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("no pictures here")

    ran = psp("demo", "--input", text, "--out", tmp_path / "out")

    assert ran.code == ExitCode.INPUT
    assert ran.err.count("\n") == 1


def test_a_busy_port_is_named(psp, tmp_path, temporary):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]

        ran = psp("demo", "--base-port", port, "--out", tmp_path / "out")

    assert ran.code == ExitCode.CONFIG
    assert f"port {port} on 127.0.0.1 is taken" in ran.err
    assert list(temporary.iterdir()) == []


def test_a_role_that_nobody_has_is_answered_with_those_there_are(psp, tmp_path):
    ran = psp("demo", "--kill-relay", "king", "--out", tmp_path / "out")

    assert ran.code == ExitCode.CONFIG
    assert "'king'" in ran.err
    assert "layer2-of-callee" in ran.err


def test_a_folder_that_cannot_be_made_is_named_before_the_call(psp, tmp_path):
    file = tmp_path / "file"
    file.touch()

    ran = psp("demo", "--out", file / "out")

    assert ran.code == ExitCode.CONFIG
    assert "--out" in ran.err


@pytest.mark.parametrize(
    "options", [["--codec", "av1"], ["--duration", "1"], ["--relays", "2"]]
)
def test_values_out_of_range_are_a_wrong_command_line(psp, options):
    assert psp("demo", *options).code == ExitCode.USAGE
