"""PSP: live media over onion-routed circuits (the library an app imports).

`psp.connect` is the door for apps; it is loaded when it is first used, so that relays
and tools do not carry the client.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psp.client.api import connect as connect

__version__ = "0.1.0"
__all__ = ["__version__", "connect"]


def __getattr__(name: str) -> object:
    if name == "connect":
        from psp.client.api import connect as door  # noqa: PLC0415

        return door
    raise AttributeError(f"module 'psp' has no attribute {name!r}")
