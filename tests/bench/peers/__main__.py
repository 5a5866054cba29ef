"""python -m tests.bench.peers [--json] [--quick] [--wan]; psp bench peers runs it."""

import argparse
import signal
import sys

from cli.exit_codes import ExitCode
from cli.output import err, print_error, print_json
from tests.bench.net.network import NotPossibleError
from tests.bench.peers.amounts import FULL, QUICK, WAN, WAN_QUICK
from tests.bench.peers.report import print_comparison
from tests.bench.peers.run import Comparison


def main() -> int:
    """Compare; return the exit code."""
    parser = argparse.ArgumentParser(prog="psp bench peers", description=__doc__)
    for option in ("--json", "--quick", "--wan"):
        parser.add_argument(option, action="store_true")
    options = parser.parse_args()
    if options.wan:
        amount = WAN_QUICK if options.quick else WAN
    else:
        amount = QUICK if options.quick else FULL
    comparison = Comparison(amount, lambda text: err.print(text, highlight=False))
    code = ExitCode.OK
    try:
        comparison.run()
    except NotPossibleError as error:
        print_error(f"--wan: {error}")
        return ExitCode.FAILED
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
        err.print("interrupted; this is what was measured until then", highlight=False)
    figures = comparison.as_json()
    if options.json:
        print_json(figures)
    else:
        print_comparison(figures)
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
