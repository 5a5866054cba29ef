"""Calls in namespaces with 40 ms and 1 % loss between: psp bench call --wan runs it.

::

    python -m tests.bench.wan_call [--quick] [--json]
"""

import argparse
import signal
import sys

from cli.bench.call_network import RELAYS, CallPlaces
from cli.commands.bench_call import measure
from cli.exit_codes import ExitCode
from cli.output import err, print_error
from psp.errors import PspError
from tests.bench.net.network import Impairment, Network, NotPossibleError

LINK = Impairment(delay=0.040, loss=0.01)
SEED = 5


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(prog="psp bench call --wan", description=__doc__)
    for option in ("--json", "--quick"):
        parser.add_argument(option, action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    relays = [f"relay-{number}" for number in range(RELAYS)]
    try:
        with Network([*relays, "caller", "callee"], LINK, seed=SEED) as network:
            places = CallPlaces(
                tuple(network.place(name) for name in relays),
                network.place("caller"),
                network.place("callee"),
            )
            measure(places, quick=options.quick, json_output=options.json)
            counts = network.counts()
    except (NotPossibleError, PspError) as error:
        print_error(f"--wan: {error}")
        return ExitCode.FAILED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    if counts.overrun or counts.refused:
        err.print(f"the network between was overrun, so this says little: {counts}")
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
