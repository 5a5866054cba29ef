"""Timing of the client's end of a circuit."""

from dataclasses import dataclass

from psp.units import Seconds


@dataclass(frozen=True, slots=True)
class CircuitConfig:
    """Settings of an `OriginCircuit`.

    Attributes:
        build_timeout: How long building, or extending, may take in all. Each hop gives
            up by itself after 3.3 s (`psp.circuit.retry`); three in a row that are
            nearly lost each are not worth waiting for.
    """

    build_timeout: Seconds = Seconds(8.0)
