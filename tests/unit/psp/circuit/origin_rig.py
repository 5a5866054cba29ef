"""What relays say to an origin as they like, and how that may end."""

from psp.circuit.events import CircuitClosed
from psp.wire.cell import Reason
from psp.wire.onion import Kind, inner_size

CLOSED = CircuitClosed(Reason.PROTOCOL, None, is_remote=False)


def closed_for(reason, hop):
    return CircuitClosed(reason, hop, is_remote=False)


def say(rig, hop, message, kind=Kind.MESSAGE):
    """Let the relay at ``hop`` say something to the origin, as it likes."""
    inner = message if isinstance(message, bytes) else message.encode()
    end = rig.relays[hop - 1].route.hop
    body = end.sealing.seal(bytes([kind]) + inner.ljust(inner_size(hop), b"\0"))
    cell = end.head + body + end.padding
    for relay in reversed(rig.relays[: hop - 1]):
        cell = relay.route.hop.backward_cell(cell)
    rig.origins[0].receive([cell], rig.now)
    rig.flush()
