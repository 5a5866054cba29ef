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
