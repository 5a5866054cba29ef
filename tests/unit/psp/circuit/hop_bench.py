"""The relay's end of a circuit, against the layers of an origin."""

from psp.circuit.commands import WHOLE_SIZES, to_messages
from psp.circuit.hop import HopCircuit
from psp.circuit.layers import Layers
from psp.circuit.state import HopState
from psp.circuit.stats import HopStats
from psp.crypto.circuit_handshake import HopKeys
from psp.crypto.kdf import LayerKeys
from psp.ids import CircuitId, NodeId
from psp.units import Monotonic
from psp.wire.endpoint import Endpoint
from psp.wire.extend import Extend
from psp.wire.onion import Kind, inner_size
from psp.wire.relay_message import RelayCommand, RelayMessage

START = Monotonic(100.0)
KEYS = HopKeys(LayerKeys(b"f" * 32, 7, b"f"), LayerKeys(b"b" * 32, 9, b"b"), b"h" * 32)
EXTEND = Extend(NodeId(b"n" * 32), Endpoint("192.0.2.9", 9), b"c" * 1344).encode()


class Bench:
    """One hop on a bench: we play the origin and the relay around it."""

    def __init__(self, hop=1):
        self.layers = Layers(CircuitId(1))
        for _ in range(hop):
            self.layers.add(KEYS)
        self.hop = HopCircuit(CircuitId(1), hop, KEYS, HopStats(), START)
        self.index = hop
        self.stream_id = -1
        self.marks = 0

    def cell(self, inner, kind):
        plaintext = bytes([kind]) + inner
        body = self.layers[self.index].sealing.seal(plaintext)
        return bytes(5) + body + self.hop.padding

    def send(self, message, kind=Kind.MESSAGE, now=START):
        inner = message.encode().ljust(inner_size(self.index), b"\0")
        return self.hop.open_forward(self.cell(inner, kind), now)

    def ask(self, command, data=None, now=START):
        self.stream_id += 2
        if data is None:
            data = b"" if command is RelayCommand.TRUNCATE else b"d"
            data = EXTEND if command is RelayCommand.EXTEND else data
            if command is RelayCommand.INTRODUCE:
                data = bytes(WHOLE_SIZES[command])
        is_extend = command is RelayCommand.EXTEND
        kind = Kind.MESSAGE | (Kind.EARLY if is_extend else 0)
        for message in to_messages(command, self.stream_id, data, 1106):
            assert self.send(message, kind, now) is None
        return self.stream_id

    def told(self, now=START):
        """Return the messages to the origin."""
        messages = []
        for cell in self.hop.cells_to_send(now):
            assert len(cell) == 1200
            plaintext = self.layers[self.index].opening.open(cell, 5, self.hop.body_end)
            assert plaintext[0] & ~Kind.CONGESTED == Kind.MESSAGE
            self.marks += bool(plaintext[0] & Kind.CONGESTED)
            messages.append(RelayMessage.decode(plaintext[1:]))
        return messages

    def events(self):
        return list(iter(self.hop.next_event, None))

    def extend(self, now=START):
        stream_id = self.ask(RelayCommand.EXTEND, now=now)
        self.hop.extended(stream_id, CircuitId(55), bytes(1184), now)
        self.told(now)
        self.events()

    def enter(self, state):
        if state is HopState.EXTENDING:
            self.ask(RelayCommand.EXTEND)
            self.events()
        elif state is HopState.PASSING:
            self.extend()
        elif state is HopState.CLOSED:
            self.hop.close()
        assert self.hop.state is state
