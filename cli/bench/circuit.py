"""How long a three-hop circuit takes to build: three real relay processes on loopback.

Circuits are built one after another over links that are already up, as a client with a
guard does. The time is the client's own: from CREATE to the last EXTENDED, its own
key generation included.
"""

import contextlib
import statistics

from cli.bench.neighbours import Source, pump
from cli.bench.processes import RelayProcess
from cli.bench.relay import CONFIG, BenchError

HOPS = 3
_WITHIN = 10.0


def run(*, circuits: int = 200) -> dict[str, float]:
    """Build circuits; return ``build_ms_p50``, ``build_ms_p95`` and ``failures``.

    Raises:
        BenchError: If a circuit was neither built nor refused in time.
    """
    with contextlib.ExitStack() as stack:
        relays = [stack.enter_context(RelayProcess(CONFIG)) for _ in range(HOPS)]
        source = Source()
        stack.callback(source.udp.close)
        nodes = [relay.node for relay in relays]
        for relay in relays:
            relay.introduce(nodes)
        path = [node.spec for node in nodes]
        # The first circuit brings the links up, which is not what is measured.
        for _ in range(circuits + 1):
            source.open(path)
            if not pump((source,), lambda: not source.is_building, _WITHIN):
                raise BenchError(f"a circuit is not built after {_WITHIN} s")
        times = sorted(source.build_times[1:])
        return {
            "build_ms_p50": statistics.median(times) * 1e3,
            "build_ms_p95": times[int(len(times) * 0.95)] * 1e3,
            "failures": float(source.failures),
            "circuits": float(circuits),
        }
