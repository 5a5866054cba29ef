"""The impaired network: every node at an address of its own, 40 ms and 1 % loss a link."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.bench.place import Place
from tests.bench.net.network import Impairment, Network

OTHER = "other"
"""Where a second client is, beside whose stream somebody talks."""

_WEATHER = Impairment(delay=0.040, loss=0.01)
_CALM = Impairment()
_SEED = 1
_CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")
_OF_TCP = ("cubic", "bbr")
"""Tor is a chain of TCP connections: it is measured with the usual and with the best."""


@dataclass(frozen=True, slots=True)
class Impaired:
    """A network of namespaces.

    Attributes:
        network: Of `tests.bench.net`.
        places: Of every node.
    """

    network: Network
    places: Mapping[str, Place]

    def variants(self) -> Iterator[str]:
        """Set each kind of TCP's congestion control in turn; yields what to call it.

        Namespaces get only those that the machine's tcp_allowed_congestion_control
        lists; its own default is always among them.
        """
        for control in _OF_TCP:
            try:
                for name in self.places:
                    with self.network.inside(name):
                        _CONTROL.write_text(control, "ascii")
            except OSError:
                continue
            yield f", TCP with {control}"

    @contextlib.contextmanager
    def weather(self) -> Iterator[None]:
        """Impair all links while the block lasts."""
        self.network.impair(_WEATHER)
        try:
            yield
        finally:
            self.network.impair(_CALM)


@contextlib.contextmanager
def impaired(names: Sequence[str]) -> Iterator[Impaired]:
    """Make the network, without delay or loss at first.

    Raises:
        NotPossibleError: Without root or the tools; the text says what is missing.
    """
    with Network(names, _CALM, seed=_SEED) as network:
        yield Impaired(network, {name: network.place(name) for name in names})
