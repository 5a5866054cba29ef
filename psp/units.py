"""Numbers with a unit in their type."""

from typing import NewType

Monotonic = NewType("Monotonic", float)
"""Seconds on a clock that never jumps; only differences mean anything."""

Seconds = NewType("Seconds", float)
"""A length of time."""

UnixTime = NewType("UnixTime", int)
"""Whole seconds since 1970-01-01 UTC, for signed documents."""
