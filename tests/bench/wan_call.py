"""Calls as `psp bench call` makes them, in namespaces with 40 ms and 1 % loss between.

::

    python -m tests.bench.wan_call [--quick]

The figures are printed as JSON on standard output, whatever ends the run.
"""

import argparse
import json
import sys

from cli.bench.call import FULL, QUICK, Figures, run
from cli.bench.call_network import RELAYS, CallPlaces
from psp.errors import PspError
from tests.bench.net.network import Impairment, Network, NotPossibleError

LINK = Impairment(delay=0.040, loss=0.01)
SEED = 5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter calls")
    amount = QUICK if parser.parse_args().quick else FULL
    figures: Figures = {}
    relays = [f"relay-{number}" for number in range(RELAYS)]
    try:
        with Network([*relays, "caller", "callee"], LINK, seed=SEED) as network:
            places = CallPlaces(
                tuple(network.place(name) for name in relays),
                network.place("caller"),
                network.place("callee"),
            )
            run(amount, places=places, say=say, figures=figures)
            counts = network.counts()
            figures["link_loss"] = counts.lost / (counts.lost + counts.carried)
            figures["switch_overrun"] = counts.overrun + counts.refused
            figures["switch_cpu_s"] = network.cpu_seconds()
    except (NotPossibleError, PspError) as error:
        say(f"error: {error}")
        return 1
    finally:
        print(json.dumps(figures))  # noqa: T201
    return 0


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
