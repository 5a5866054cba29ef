"""What an origin keeps for each hop it has: layer, exchange and expectations."""

from psp.circuit.commands import TO_ORIGIN
from psp.circuit.events import ExchangeEvent, RequestReceived
from psp.circuit.exchange import FIRST_ORIGIN_STREAM, Exchange
from psp.circuit.expectations import Expectations
from psp.circuit.layers import Layers
from psp.crypto.circuit_handshake import HopKeys
from psp.ids import CircuitId
from psp.units import Monotonic
from psp.wire.cell import Reason
from psp.wire.onion import message_capacity


class Hops:
    """The hops of one circuit, which come and go at its far end.

    Attributes:
        layers: Seal and open cells.
        exchanges: Requests and answers, hop 1 at index 0.
        expectations: What hops may say unasked.
    """

    __slots__ = ("exchanges", "expectations", "layers")

    def __init__(self, circuit_id: CircuitId) -> None:
        self.layers = Layers(circuit_id)
        self.exchanges: list[Exchange] = []
        self.expectations = Expectations()

    def __len__(self) -> int:
        return len(self.layers)

    def add(self, keys: HopKeys) -> int:
        """Add a hop; return its index."""
        self.layers.add(keys)
        hop = len(self.layers)
        self.exchanges.append(
            Exchange(
                hop,
                first_stream_id=FIRST_ORIGIN_STREAM,
                accepts=TO_ORIGIN,
                capacity=message_capacity(hop),
            )
        )
        self.expectations.add_hop()
        return hop

    def cut(self, hop: int, reason: Reason, now: Monotonic) -> list[ExchangeEvent]:
        """Drop the hops behind ``hop``; return what becomes of requests to them."""
        gone = self.exchanges[hop:]
        del self.exchanges[hop:]
        self.layers.cut(hop)
        self.expectations.cut(hop, now)
        events: list[ExchangeEvent] = []
        for exchange in gone:
            exchange.abandon(reason, now)
            while (event := exchange.next_event()) is not None:
                if not isinstance(event, RequestReceived):
                    events.append(event)
        return events
