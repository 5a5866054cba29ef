"""The comparison as everybody runs it, in its short form."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.peers.headline import HEADLINES, PEERS
from tests.bench.peers.tor_network import find_tor

pytestmark = pytest.mark.timeout(240)  # whichever comes first waits for the run

ROOT = Path(__file__).parents[3]
OBJECTS = (
    "relay_cpu_s_per_gb",
    "voice_p99_added_ms",
    "voice_loss",
    "circuit_build_p50_ms",
    "throughput_mb_s",
)


def missing():
    found = {
        "tor": find_tor(),
        **{
            package: importlib.util.find_spec(package)
            for package in ("stem", "ipv8", "ipv8_rust_tunnels")
        },
    }
    return [name for name, where in found.items() if where is None]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """What psp bench peers says of one run, and the folder it had for its files."""
    if missing():
        pytest.skip(f"not installed: {', '.join(missing())} (make peers)")
    folder = tmp_path_factory.mktemp("tmp")
    command = "from cli.main import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", command, "bench", "peers", "--quick", "--json"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout), folder, ran.stderr


def test_every_peer_is_measured_and_compared(compared):
    figures, _, progress = compared

    assert figures["errors"] == {}, progress
    assert figures["is_complete"] is True
    for name in OBJECTS:
        assert set(figures[name]) == set(PEERS)
        assert None not in figures[name].values()
    for name in ("relay_cpu_s_per_gb", "circuit_build_p50_ms", "throughput_mb_s"):
        assert all(value > 0 for value in figures[name].values())
    assert all(0 <= value < 1 for value in figures["voice_loss"].values())
    assert figures["floor"]["ratio"] > 1


def test_ratios_are_of_the_figures_beside_them(compared):
    figures, _, _ = compared

    for headline in HEADLINES:
        row = figures[headline.name]
        for peer, ratio in figures["ratios"][headline.name].items():
            expected = row["psp"] / row[peer] if row[peer] else None
            assert ratio == expected


def test_our_relay_costs_less_than_the_other_one_in_python(compared):
    figures, _, _ = compared

    ratios = figures["ratios"]["relay_cpu_s_per_gb_one_stream"]
    assert ratios["ipv8_python"] < 1


def test_it_says_what_was_measured_where(compared):
    figures, _, _ = compared

    assert figures["machine"]["cores"] == os.cpu_count()
    assert None not in figures["machine"]["versions"].values()
    assert figures["network"] == "loopback"
    assert set(figures["best_settings"]["relay_cpu_s_per_gb"]) == set(PEERS)


def test_nothing_is_left_behind(compared):
    _, folder, _ = compared

    assert list(folder.iterdir()) == []
