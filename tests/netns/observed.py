"""The demo as seen by somebody who records everything outside of its processes."""

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from psp.netdoc import trusted_file
from psp.netdoc.trusted_file import TrustedFile
from psp.wire.network import Network
from tests.netns import capture, recording, sockets
from tests.netns.recording import Link, Packet
from tests.netns.sockets import Sockets

ROOT = Path(__file__).parents[2]
SECONDS_OF_CALL = 6
LOOK_EVERY = 0.25
GIVE_UP_AFTER = 110.0


@dataclass(frozen=True)
class Observed:
    """One run of the demo.

    Attributes:
        report: What the demo says of itself.
        packets: What the network saw.
        lost: Packets that could not be recorded.
        registry: Who the relays are, for everybody to read.
        sockets: What each user's process held, every so often, by name.
        chain_ports: Where the chain's endpoints listen.
    """

    report: Mapping[str, Any]
    packets: list[Packet]
    lost: int
    registry: TrustedFile
    sockets: Mapping[str, list[Sockets]]
    chain_ports: frozenset[int]

    @cached_property
    def udp(self) -> list[Packet]:
        """What relays and clients say."""
        return [packet for packet in self.packets if packet.kind == "udp"]

    @cached_property
    def tcp(self) -> list[Packet]:
        """What is said to the chain's endpoints."""
        return [packet for packet in self.packets if packet.kind == "tcp"]

    @cached_property
    def mid_call(self) -> tuple[float, float]:
        """A time in the middle of the call."""
        return recording.mid_call(self.udp)

    @cached_property
    def relay_ports(self) -> dict[str, int]:
        """The relays' ports by node id in hex."""
        return {
            node_id.hex(): node.record.endpoints[0].port
            for node_id, node in self.registry.nodes.items()
        }

    @cached_property
    def client_ports(self) -> dict[str, int]:
        """The users' ports by name, from the kernel."""
        return {
            name: looks[len(looks) // 2].ports["udp"][0]
            for name, looks in self.sockets.items()
        }

    @cached_property
    def peers(self) -> dict[int, set[int]]:
        """With whom each port exchanged packets."""
        peers: dict[int, set[int]] = defaultdict(set)
        for link in recording.volumes(self.udp):
            peers[link.low].add(link.high)
            peers[link.high].add(link.low)
        return peers

    def in_mid_call(self) -> list[Packet]:
        """Return the packets of that time."""
        first, last = self.mid_call
        return [packet for packet in self.udp if first <= packet.time <= last]

    def links_of_leg(self, leg: Mapping[str, Any]) -> set[Link]:
        """Return the links that a leg of the session runs over."""
        links = set()
        for name, port in self.client_ports.items():
            ports = [port, *(self.relay_ports[node] for node in leg[name])]
            links |= {Link.between(*pair) for pair in pairwise(ports)}
        return links


def observe(folder: Path) -> Observed:
    """Run the demo in a namespace of its own and watch it.

    Skips when there can be no namespace; fails instead in continuous integration.
    """
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    scratch, out = folder / "scratch", folder / "out"
    scratch.mkdir()
    recorded = folder / "packets"
    demo = [sys.executable, "-m", "cli.main", "demo", "--json", "--out", str(out)]
    watcher = [sys.executable, capture.__file__, str(recorded)]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [*watcher, *demo, "--duration", str(SECONDS_OF_CALL)],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(scratch)},
            stdout=output,
            stderr=output,
        )
        try:
            looks = _watch(process, scratch, folder)
        finally:
            process.terminate()
            process.wait()
    said = (folder / "output").read_text()
    if process.returncode == capture.NOT_ALLOWED:
        pytest.skip(said)
    assert (out / "report.json").exists(), said
    report = json.loads((out / "report.json").read_text())
    membership = tomllib.loads((folder / "client.toml").read_text())["membership"]
    return Observed(
        report,
        recording.read(recorded),
        int(recorded.with_suffix(".lost").read_text()),
        _read_registry(folder / "registry.json", membership),
        looks,
        frozenset(urlsplit(url).port or 0 for url in membership["rpc"]),
    )


def _read_registry(file: Path, membership: Mapping[str, Any]) -> TrustedFile:
    data = file.read_bytes()
    partners = trusted_file.signer_keys(data)
    registry = bytes.fromhex(membership["registry"])
    network = Network(membership["chain_id"], registry)
    return trusted_file.decode(data, network=network, partners=partners, threshold=1)


def _watch(
    process: subprocess.Popen[bytes], scratch: Path, folder: Path
) -> dict[str, list[Sockets]]:
    """Look at the users' sockets until the demo ends."""
    looks: dict[str, list[Sockets]] = defaultdict(list)
    give_up_at = time.monotonic() + GIVE_UP_AFTER
    while process.poll() is None and time.monotonic() < give_up_at:
        for name, pid in sockets.find(scratch).items():
            with suppress(OSError):
                looks[name].append(sockets.look(pid, time.time()))
        with suppress(OSError):  # the demo has just cleaned up
            for pattern in ("*/registry.json", "*/alice/client.toml"):
                for file in scratch.glob(pattern):
                    shutil.copyfile(file, folder / file.name)
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_EVERY)
    return looks
