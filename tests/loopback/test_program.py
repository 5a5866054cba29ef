"""A relay set up by hand with psp's own commands, in a process of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

HOST = "127.0.0.1"
NETWORK = ["--chain-id", "31337", "--registry", "ab" * 20]


def psp(*arguments: object) -> str:
    """Run a command that has to work; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    return done.stdout


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(type=kind) as held:
        held.bind((HOST, 0))
        return int(held.getsockname()[1])


@pytest.fixture
def settings_file(tmp_path: Path, relay_home: Path) -> Path:
    """Settings of a relay, which a test may change."""
    return Path(shutil.copytree(relay_home, tmp_path / "relay")) / "relay.toml"


@pytest.fixture(scope="module")
def relay_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys, a signed registry and settings of one relay."""
    port = free_port(socket.SOCK_DGRAM)
    home = tmp_path_factory.mktemp("home") / "relay"
    home.mkdir(mode=0o700)
    entry = psp(
        "relay",
        "init",
        home,
        *NETWORK,
        *("--endpoint", f"{HOST}:{port}", "--operator", "cd" * 20),
    )
    (home / "entry.json").write_text(entry)
    partner = psp("trusted", "keygen", home / "partner.key").strip()
    psp(
        "trusted",
        "sign",
        home / "partner.key",
        home / "registry.json",
        *NETWORK,
        *("--node", home / "entry.json", "--sequence", 1),
        *("--discovery", json.loads(entry)["id"]),
    )
    (home / "relay.toml").write_text(
        f"""state_dir = "state"
[membership]
chain_id = 31337
registry = "{"ab" * 20}"
file = "registry.json"
partners = ["{partner}"]
[keys]
identity = "identity.key"
onion = "onion.key"
[listen]
host = "{HOST}"
port = {port}
[metrics]
port = {free_port(socket.SOCK_STREAM)}
"""
    )
    return home


def run_relay(settings_file: Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cli.main", "relay", "run", str(settings_file)]
    return subprocess.Popen(
        [*command, "--log-json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )


def wait_for(process: subprocess.Popen[str], event: str) -> dict[str, object]:
    assert process.stdout is not None
    for line in process.stdout:
        said = json.loads(line)
        if said["event"] == event:
            return dict(said)
    assert process.stderr is not None
    raise AssertionError(f"no {event}: {process.stderr.read()}")


def get(port: str, path: str) -> str:
    with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


@pytest.mark.timeout(60)
def test_a_relay_set_up_by_hand_serves_and_leaves_in_good_order(settings_file):
    port = str(free_port(socket.SOCK_STREAM))
    process = run_relay(settings_file, PSP_METRICS_PORT=port)
    try:
        wait_for(process, "relay_started")
        metrics, health = get(port, "/metrics"), get(port, "/healthz")
        process.send_signal(signal.SIGTERM)
        wait_for(process, "relay_stopped")
        code = process.wait(timeout=15)
    finally:
        process.kill()
        _, errors = process.communicate()

    assert "psp_relay_" in metrics
    assert "in_registry" in health
    assert code == 0
    assert "Traceback" not in errors
    with pytest.raises(urllib.error.URLError):
        get(port, "/metrics")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("broken", "texts"),
    [
        ({"port =": "prt ="}, ["prt", "port"]),
        ({"identity.key": "onion.key"}, ["is not in the registry"]),
        ({'onion = "onion.key"': 'onion = "absent.key"'}, ["absent.key is missing"]),
    ],
)
def test_wrong_settings_are_one_sentence_and_exit_code_3(settings_file, broken, texts):
    text = settings_file.read_text()
    for old, new in broken.items():
        text = text.replace(old, new, 1)
    settings_file.write_text(text)

    process = run_relay(settings_file)
    _, errors = process.communicate(timeout=20)

    assert process.returncode == 3
    (line,) = [line for line in errors.splitlines() if line.startswith("error:")]
    assert all(wanted in line for wanted in texts)
    assert "Traceback" not in errors


@pytest.mark.timeout(60)
def test_a_taken_metrics_port_is_named_and_nothing_keeps_running(settings_file):
    with socket.socket() as held:
        held.bind((HOST, 0))
        held.listen()
        port = str(held.getsockname()[1])
        process = run_relay(settings_file, PSP_METRICS_PORT=port)
        _, errors = process.communicate(timeout=20)

    assert process.returncode == 3
    assert port in errors
    assert "Traceback" not in errors
