"""Where the discovery nodes stand in the DHT: who is to hold what lies at a location.

A member's DHT id is BLAKE2b-160 of its node id and the network: fixed by its key. What
keeps it from being chosen beside a user's records is that their location depends on the
random value of the day, which is known hours before the day, while a node must be
registered for longer than a day before it can be elected.
"""

from psp.crypto.kdf import Label
from psp.crypto.primitives import blake2b
from psp.ids import NodeId
from psp.netdoc.presence_record import LOCATION_SIZE
from psp.wire.network import Network

REPLICAS = 8
"""Nodes that hold a record: with half of them dead 0.4 % of the records are lost."""
HANDOVER_GRACE = 1_200
"""Seconds after an election in which look-ups ask the retiring nodes, too."""


def must_retiring_speak(elected: int, retiring: int) -> bool:
    """Tell whether there is no being sure without the retiring nodes.

    Where most have been elected again, these hold what there is.

    Args:
        elected: How many are.
        retiring: How many are asked besides while the election is fresh.
    """
    return retiring > 0 and 2 * retiring >= elected


def dht_id(node_id: NodeId, network: Network) -> bytes:
    """Return a node's DHT id, 20 bytes."""
    return blake2b(Label.DHT_ID, node_id, network.encode(), size=LOCATION_SIZE)
