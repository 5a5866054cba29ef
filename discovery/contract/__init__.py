"""The contracts of registry and election: Vyper sources, what they compile to, how."""
