"""What both ends of a link must agree on before they know each other (R-LNK-3)."""

from psp.crypto.kdf import Label
from psp.wire.network import Network
from psp.wire.packet import VERSION


def link_prologue(network: Network, responder_port: int) -> bytes:
    """Return the Noise prologue of SPEC.md section 1.

    The port keeps a handshake for one worker of a node from being played to another.
    """
    head = Label.LINK_PROLOGUE + bytes([VERSION])
    return head + network.encode() + responder_port.to_bytes(2)
