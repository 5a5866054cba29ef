"""Circuits: both ends of a telescoped path through relays."""
