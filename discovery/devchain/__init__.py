"""The embedded development chain: an EVM chain in one file, served over JSON-RPC.

::

    HTTP  service ── dispatch ── methods ── node ──┬─ mempool
                                                   └─ chain ──┬─ evm    (py-evm)
                                                              ├─ state_trie
                                                              └─ store  (SQLite)

`node` is the sum of it and is told the time; only `service`, `process` and `ownership`
know sockets, clocks and processes. It is for development and tests: the accounts' keys
are public and anybody who reaches the port may use them.
"""

import os
import sys

RECURSION_LIMIT = min(sys.getrecursionlimit(), 10_000)
"""Before py-evm is imported, which raises it for the whole process; `evm` puts it back.
Bounded in case something else has raised it already."""

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")
# py-evm hashes through eth-hash, which would take pycryptodome, a dependency of
# eth-account: a transaction then takes a third longer. Read when eth-hash is imported.
