"""Writing to the chain: calls, accounts, fees, nonces, sending.

``abi`` and ``calls`` say what is called, ``wallet`` signs, ``fees`` and ``journal`` are
the rules of money and of nonces, ``client`` asks several endpoints, ``sender`` sees one
transaction after another through, ``deploy`` puts the contracts there.
"""
