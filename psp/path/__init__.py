"""Choosing the relays of a path."""
