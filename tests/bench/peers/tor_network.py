"""A private Tor network that runs: processes, keys, the consensus, and its control."""

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import stem
from stem.control import Controller, EventType
from stem.response.events import StreamEvent

from cli.bench.place import Place
from tests.bench.peers.figures import PeerError
from tests.bench.peers.processes import Program, free_ports
from tests.bench.peers.tor_config import (
    AUTHORITIES,
    CLIENT,
    RELAYS,
    TorNode,
    TorSetting,
)

_UP_WITHIN = 90.0
_KEYS_WITHIN = 60.0

_WAITS = "CONTROLLER_WAIT"
"""State of a stream that we are to attach; stem knows no name for it. It also cannot read
NEW events of clients whose socket has a long path."""

_FIRST_CONSENSUS = 7
"""Seconds after the start. It is voted on two seconds before, and must name all relays, as
the next comes twenty seconds later."""


def find_tor() -> str | None:
    """Return the path of tor, if it and its tool for keys are installed."""
    return shutil.which("tor") if shutil.which("tor-gencert") else None


@dataclass(frozen=True, slots=True)
class TorNetwork:
    """A network that is up.

    Attributes:
        client: Its client node.
        path: Fingerprints of guard, middle and exit.
        relays: Their processes, by name.
        controller: Of the client.
        refusals: Why tor did not attach streams.
    """

    client: TorNode
    path: tuple[str, ...]
    relays: Mapping[str, Program]
    controller: Controller
    refusals: list[str]


@contextlib.contextmanager
def tor_network(
    setting: TorSetting, places: Mapping[str, Place], folder: Path
) -> Iterator[TorNetwork]:
    """Start a network below ``folder``; its nodes are all names of `tor_config`.

    Raises:
        PeerError: If it does not come up; with the reason that Tor gives.
    """
    nothing = folder / "nothing"
    nothing.touch()
    names = [*AUTHORITIES, *RELAYS, CLIENT]
    ports = iter(free_ports(2 * len(names)))
    nodes = {}
    for name in names:
        (folder / name).mkdir(mode=0o700)
        or_port, dir_port = next(ports), next(ports)
        nodes[name] = TorNode(
            name,
            places[name],
            folder / name,
            or_port if name != CLIENT else 0,
            dir_port if name in AUTHORITIES else 0,
        )
    with ThreadPoolExecutor(len(AUTHORITIES)) as pool:
        lines = pool.map(_authority_line, (nodes[name] for name in AUTHORITIES))
        authorities = "".join(lines)
    first_consensus = int(time.time()) + _FIRST_CONSENSUS
    with contextlib.ExitStack() as stack:
        running = {}
        for name, node in nodes.items():
            torrc = node.write_torrc(authorities, setting, first_consensus)
            command = ["tor", "--defaults-torrc", str(nothing), "-f", str(torrc)]
            log = folder / f"{name}.log"
            running[name] = stack.enter_context(Program(node.place, command, log))
        running[CLIENT].wait_for(_knows_relays, _UP_WITHIN)
        client = nodes[CLIENT]
        controller = Controller.from_socket_file(str(client.control))
        stack.callback(controller.close)
        controller.authenticate()
        path = tuple(_fingerprint(nodes[name]) for name in RELAYS)
        _wait_for_relays(controller, path)
        refusals: list[str] = []
        _attach_streams(controller, refusals)
        relays = {name: running[name] for name in RELAYS}
        yield TorNetwork(client, path, relays, controller, refusals)


def _knows_relays(log: str) -> bool:
    return "(enough_dirinfo)" in log


def _authority_line(node: TorNode) -> str:
    """Make an authority's keys and return what all nodes must know of it."""
    keys = node.folder / "keys"
    keys.mkdir(mode=0o700)
    certificate = keys / "authority_certificate"
    _run(
        "tor-gencert",
        "--create-identity-key",
        *("--passphrase-fd", "0"),
        *("-m", "12"),
        *("-a", f"{node.place.host}:{node.dir_port}"),
        *("-i", str(keys / "authority_identity_key")),
        *("-s", str(keys / "authority_signing_key")),
        *("-c", str(certificate)),
    )
    identity = re.search(
        r"^fingerprint (\S+)$", certificate.read_text("ascii"), re.MULTILINE
    )
    if identity is None:
        raise PeerError("tor-gencert made no certificate")
    nothing = node.folder.parent / "nothing"
    said = _run(
        "tor",
        "--quiet",
        *("--defaults-torrc", str(nothing)),
        *("-f", str(nothing)),
        "--list-fingerprint",
        *("--DataDirectory", str(node.folder)),
        *("--ORPort", str(node.or_port)),
        *("--Nickname", node.name),
        *("--DirAuthority", "x 127.0.0.1:1 ffffffffffffffffffffffffffffffffffffffff"),
    )
    fingerprint = said.split(maxsplit=1)[1].replace(" ", "").strip()
    host = node.place.host
    return (
        f"DirAuthority {node.name} orport={node.or_port} no-v2 "
        f"v3ident={identity[1]} {host}:{node.dir_port} {fingerprint}\n"
    )


def _run(*command: str) -> str:
    try:
        done = subprocess.run(
            command,
            input="psp\n",
            capture_output=True,
            text=True,
            check=True,
            timeout=_KEYS_WITHIN,
        )
    except subprocess.SubprocessError as error:
        raise PeerError(f"{command[0]} failed: {error}") from error
    return done.stdout


def _fingerprint(node: TorNode) -> str:
    return (node.folder / "fingerprint").read_text("ascii").split()[1]


def _wait_for_relays(controller: Controller, path: tuple[str, ...]) -> None:
    """Wait until the client has the descriptors that circuits need."""
    deadline = time.monotonic() + _UP_WITHIN
    while True:
        try:
            circuit = controller.new_circuit(list(path), await_build=True, timeout=10)
        except (stem.ControllerError, stem.OperationFailed) as error:
            if time.monotonic() > deadline:
                raise PeerError(f"no first circuit: {error}") from error
            time.sleep(0.5)
        else:
            controller.close_circuit(circuit)
            return


def _attach_streams(controller: Controller, refusals: list[str]) -> None:
    """Attach each stream to the circuit that its SOCKS user name gives."""

    def attach(event: StreamEvent) -> None:
        if event.status == stem.StreamStatus.DETACHED:
            refusals.append(f"{event.reason} {event.remote_reason or ''}".strip())
        if event.status != _WAITS:
            return
        circuit = event.keyword_args.get("SOCKS_USERNAME", "").strip('"')
        with contextlib.suppress(stem.ControllerError):
            try:
                controller.attach_stream(event.id, circuit)
            except stem.ControllerError as error:
                refusals.append(str(error))
                # Or whoever opens it waits two minutes for tor's answer.
                controller.close_stream(event.id)

    controller.add_event_listener(attach, EventType.STREAM)
