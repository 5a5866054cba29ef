"""Membership read from a chain: nothing that an endpoint says is taken on its word.

From the outside in::

    header  a block's fields hash to the hash that several endpoints agree on
    proof   accounts and storage words lie under the state root of that header
    state   elections, trusted nodes and daily values, from the words of Relays
    trie    the whole book of nodes hashes to the storage root of its account
    records which of the nodes count, by their own signatures and a few rules
    names   which user each registered name belongs to, the list proven in the same way
    view    all of it at one block; alarms judge it against the one before
    registry answers as `psp.directory.registry.Registry`; cache keeps it on disk

Fetching is `psp.runtime`'s affair. Contracts and rules are in `discovery/contract`.
"""
