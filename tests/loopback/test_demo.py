"""psp demo as its user runs it: a whole network, two users, one call."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

KEYS = {
    "ok",
    "version",
    "relays",
    "discovery_nodes",
    "lookup_ms",
    "call_setup_ms",
    "first_frame_ms",
    "rendezvous",
    "relay_cells_forwarded",
    "relay_cells_dropped",
}
RELAYS = 8


def start_demo(out: Path, temporary: Path, duration: int) -> subprocess.Popen[str]:
    temporary.mkdir(exist_ok=True)
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "cli.main", "demo", "--json"),
            *("--duration", str(duration), "--relays", str(RELAYS)),
            *("--out", str(out)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )


def processes_naming(folder: Path) -> list[str]:
    """Return the command lines of live processes that were started for a demo."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in command and entry.name != str(os.getpid()):
            found.append(command.replace(b"\0", b" ").decode())
    return found


def assert_direction(video: dict, audio: dict) -> None:
    assert set(video["latency_ms"]) == {"p50", "p95", "max"}
    assert video["sent"] > 0
    # A good share only: other tests may run on the same cores.
    assert video["decoded"] > 0.3 * video["sent"]
    assert video["received"] >= video["decoded"]
    assert video["damaged"] == 0
    assert video["longest_gap_ms"] >= 0
    assert audio["sent"] > 0
    assert audio["received"] > 0.3 * audio["sent"]
    assert audio["lost"] >= 0


@pytest.mark.timeout(150)
def test_the_demo_places_a_call_and_says_what_came_of_it(tmp_path):
    out, temporary = tmp_path / "out", tmp_path / "temporary"
    process = start_demo(out, temporary, 4)
    printed, errors = process.communicate(timeout=140)

    assert process.returncode in {0, 1}, errors
    report = json.loads((out / "report.json").read_text())
    assert json.loads(printed.splitlines()[-1]) == report
    assert report["ok"] == (process.returncode == 0) == (not report["failures"])
    assert report.keys() >= KEYS
    assert (report["relays"], report["discovery_nodes"]) == (RELAYS, 4)
    _check_paths(report)
    assert_direction(report["video"], report["audio"])
    assert_direction(report["video_back"], report["audio_back"])
    assert report["data_channel"] is True
    _check_chain(report["chain"])
    assert report["relay_cells_forwarded"] > 1000
    _check_page((out / "report.html").read_text())
    _check_recording(out / "received.mkv")
    assert list(temporary.iterdir()) == []
    assert processes_naming(temporary) == []


def _check_chain(chain: dict) -> None:
    assert (chain["kind"], chain["seats"]) == ("embedded", 4)
    assert chain["verified"] is True
    assert chain["epoch"] >= 6
    assert 1 <= len(chain["elected"]) <= 4
    assert chain["replay"]["matches"] is True
    if chain["replay"]["epoch"] == chain["epoch"]:
        assert chain["replay"]["elected"] == sorted(chain["elected"])
    elected = {node["id"] for node in chain["nodes"] if node["is_elected"]}
    assert elected == set(chain["elected"])
    assert sum(node["share"] for node in chain["nodes"]) == pytest.approx(1, abs=0.01)


def _check_paths(report: dict) -> None:
    alice, bob = report["alice"], report["bob"]
    assert len(alice["path"]) == 4
    assert len(bob["path"]) == 3
    assert report["rendezvous"] == alice["path"][-1] == bob["path"][-1]
    assert len(alice["presence_points"]) == 3
    addresses = [alice["remote_endpoints"], bob["remote_endpoints"]]
    for remotes in addresses:
        assert remotes
        assert all(remote.startswith("127.0.0.1:") for remote in remotes)
        assert len(remotes) <= 3, "a client talks to its guards and nobody else"


def _check_page(page: str) -> None:
    assert page.startswith("<!doctype html>")
    for outside in ("http://", "https://", "<script", "<link", "src=", "@import"):
        assert outside not in page
    assert not re.search(r"url\(", page)
    assert "<svg" in page


def _check_recording(path: Path) -> None:
    with av.open(str(path)) as container:
        pictures = sum(1 for _ in container.decode(video=0))
    with av.open(str(path)) as container:
        sounds = sum(1 for _ in container.decode(audio=0))
    assert pictures > 20
    assert sounds > 20


@pytest.mark.timeout(120)
def test_ctrl_c_in_mid_run_leaves_nothing_behind(tmp_path):
    out, temporary = tmp_path / "out", tmp_path / "temporary"
    process = start_demo(out, temporary, 60)
    deadline = time.monotonic() + 60
    while len(processes_naming(temporary)) < RELAYS + 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)

    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=40)

    assert process.returncode == 130
    assert "Traceback" not in errors
    assert processes_naming(temporary) == []
    assert list(temporary.iterdir()) == []
