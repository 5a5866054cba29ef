"""A network in memory with a clock of its own, for tests.

An app tests against a whole network in one line::

    async with psp.testing.network() as net:
        alice, bob = await net.client("alice"), await net.client("bob")

With ``loopback=True`` other processes reach it too: ``net.files("bob")`` writes the
settings and the key file of one.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psp.testing.testbed import LocalNetwork as LocalNetwork
    from psp.testing.testbed import network as network

__all__ = ["LocalNetwork", "network"]


def __getattr__(name: str) -> object:
    # Whoever only needs a fake clock must not load a whole client.
    if name in __all__:
        from psp.testing import testbed  # noqa: PLC0415

        value: object = getattr(testbed, name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
