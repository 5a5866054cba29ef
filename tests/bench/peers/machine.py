"""What was measured, and where: a ratio is worth as much as what is known of its run."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cli.bench import floor
from psp.wire.session_block import PIPE_MTU
from tests.bench.peers.figures import GB

_PACKAGES = ("psp", "cryptography", "pyipv8", "ipv8-rust-tunnels", "stem", "uvloop")


def machine_facts(tor: str | None) -> dict[str, Any]:
    """Return facts of machine and programs; ``tor`` is where tor is."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {
            **{name: _version(name) for name in _PACKAGES},
            "tor": _tor_version(tor) if tor else None,
        },
    }


def load() -> list[float]:
    """Return the load averages of 1, 5 and 15 minutes: others at work spoil figures."""
    return [round(average, 2) for average in os.getloadavg()]


def floor_figures() -> dict[str, float]:
    """Measure the floor of a PSP relay, also per gigabyte of payload."""
    figures = floor.run()
    return {
        **figures,
        "relay_cpu_s_per_gb": figures["floor_us_per_cell"] * 1e-6 / PIPE_MTU * GB,
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _tor_version(tor: str) -> str:
    said = subprocess.run(
        [tor, "--version"], capture_output=True, text=True, check=True
    )
    return said.stdout.splitlines()[0].removeprefix("Tor version ").rstrip(".")
