"""The comparison: every peer that is installed, one after the other, in one run."""

import contextlib
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cli.bench.place import LOOPBACK, Place
from psp.errors import PspError
from tests.bench.peers.amounts import Amount
from tests.bench.peers.headline import PEERS, compare
from tests.bench.peers.machine import floor_figures, load, machine_facts
from tests.bench.peers.measuring import Measured, Say, measure
from tests.bench.peers.ours import measure_psp
from tests.bench.peers.tor_config import AUTHORITIES, CLIENT, RELAYS, SETTINGS
from tests.bench.peers.tor_network import find_tor
from tests.bench.peers.wan import OTHER, Impaired, impaired

_IPV8 = {"ipv8_python": False, "ipv8_rust": True}
NAMES = (*AUTHORITIES, *RELAYS, CLIENT, OTHER)


@dataclass(slots=True)
class Comparison:
    """One run; filled as figures come, so that an interruption leaves what there is.

    Attributes:
        amount: How much is measured.
        say: Told how things go.
        results: Per peer, one per setting.
        errors: Why a peer has no figures, or not all.
        floors: Measured before everything and after.
        loads: Likewise.
        is_complete: Whether it got to its end, whatever failed.
    """

    amount: Amount
    say: Say
    results: dict[str, list[Measured]] = field(
        default_factory=lambda: {peer: [] for peer in PEERS}
    )
    errors: dict[str, str] = field(default_factory=dict)
    floors: list[dict[str, float]] = field(default_factory=list)
    loads: list[list[float]] = field(default_factory=list)
    is_complete: bool = False

    def run(self) -> None:
        """Measure everything.

        Raises:
            NotPossibleError: If the impaired network cannot be had here.
        """
        with contextlib.ExitStack() as stack:
            network: Impaired | None = None
            places: Mapping[str, Place] = defaultdict(lambda: LOOPBACK)
            if self.amount.is_wan:
                network = stack.enter_context(impaired(NAMES))
                places = network.places
            self._take_floor()
            self._psp(places, network, 1)
            self._tor(places, network)
            if not self.amount.is_wan:
                self._ipv8(places)
            for number in range(2, self.amount.psp_rounds + 1):
                self._psp(places, network, number)
            self._take_floor()
        self.is_complete = True

    def as_json(self) -> dict[str, Any]:
        """Everything that is known."""
        compared = compare(self.results)
        floors = [one["relay_cpu_s_per_gb"] for one in self.floors]
        least = min(floors, default=None)
        ours = compared["relay_cpu_s_per_gb"]["psp"]
        return {
            **compared,
            "floor": {
                "relay_cpu_s_per_gb": least,
                "ratio": ours / least if ours is not None and least else None,
                "measured": self.floors,
            },
            "network": "40 ms and 1 % loss on every link"
            if self.amount.is_wan
            else "loopback",
            "settings": asdict(self.amount),
            "machine": {**machine_facts(find_tor()), "load": self.loads},
            "details": {
                peer: {one.setting: one.as_json() for one in measured}
                for peer, measured in self.results.items()
            },
            "errors": self.errors,
            "is_complete": self.is_complete,
        }

    def _take_floor(self) -> None:
        self.say("the floor of a relay on this machine")
        self.floors.append(floor_figures())
        self.loads.append(load())

    def _psp(
        self, places: Mapping[str, Place], network: Impaired | None, number: int
    ) -> None:
        into = self._begin("psp", f"psp, round {number}")
        with self._noting("psp"), _weather(network):
            measure_psp(places, self.amount, into, self.say)

    def _tor(self, places: Mapping[str, Place], network: Impaired | None) -> None:
        if find_tor() is None or find_spec("stem") is None:
            missing = "tor" if find_tor() is None else "stem"
            self.errors["tor"] = f"{missing} is not installed (make peers)"
            return
        from tests.bench.peers.tor import running_tor  # noqa: PLC0415 - needs stem

        variants = network.variants if network else (lambda: iter([""]))
        for setting in SETTINGS[: self.amount.tor_settings]:
            for variant in variants():
                name = f"tor, {setting.name}{variant}"
                into = self._begin("tor", name, counts=setting.controls_congestion)
                self.say(f"{name}: starting a private network")
                with (
                    self._noting("tor"),
                    tempfile.TemporaryDirectory(prefix="psp-tor-") as folder,
                    running_tor(
                        setting, places, Path(folder), ramp=self.amount.ramp
                    ) as running,
                    _weather(network),
                ):
                    measure(running, self.amount, into, self.say)

    def _ipv8(self, places: Mapping[str, Place]) -> None:
        for peer, is_rust in _IPV8.items():
            package = "ipv8_rust_tunnels" if is_rust else "ipv8"
            if find_spec("ipv8") is None or find_spec(package) is None:
                self.errors[peer] = f"{package} is not installed (make peers)"
                continue
            from tests.bench.peers.ipv8 import running_ipv8  # noqa: PLC0415

            name = f"ipv8, {'Rust' if is_rust else 'Python'} data plane"
            into = self._begin(peer, name)
            self.say(f"{name}: starting")
            with (
                self._noting(peer),
                running_ipv8(places, is_rust=is_rust, ramp=self.amount.ramp) as running,
            ):
                measure(running, self.amount, into, self.say)

    def _begin(self, peer: str, setting: str, *, counts: bool = True) -> Measured:
        measured = Measured(setting, counts)
        self.results[peer].append(measured)
        return measured

    @contextlib.contextmanager
    def _noting(self, peer: str) -> Iterator[None]:
        """Note what goes wrong with a peer, and go on with the next."""
        try:
            yield
        except (PspError, OSError) as error:
            self.errors[peer] = str(error)
            self.say(f"{peer}: {error}")


def _weather(network: Impaired | None) -> contextlib.AbstractContextManager[None]:
    return network.weather() if network else contextlib.nullcontext()
