"""What an app uses: `connect`, then look up, announce, watch, call, accept.

::

    async with psp.connect("client.toml", identity="alice.key") as client:
        await client.announce()
        session = await client.call("bob")
        connection = session.peer_connection()

An app writes ``import psp`` and finds all of this there, loaded when it is first used.
"""

from psp.client.client import Client
from psp.client.client_status import ClientStatus
from psp.client.connecting import connect
from psp.client.whom import Who

__all__ = ["Client", "ClientStatus", "Who", "connect"]
