"""Relays: nodes that carry other people's cells."""
