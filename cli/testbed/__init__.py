"""A whole network in one process: relays, users and faults, in memory or on loopback."""
