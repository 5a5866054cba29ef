"""A network in memory with a clock of its own, for tests.

An app tests against a whole network in one line::

    async with psp.testing.network() as net:
        alice, bob = await net.client("alice"), await net.client("bob")
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psp.testing.testbed import network

__all__ = ["network"]


def __getattr__(name: str) -> object:
    # Whoever only needs a fake clock must not load a whole client.
    if name == "network":
        from psp.testing.testbed import network  # noqa: PLC0415

        return network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
