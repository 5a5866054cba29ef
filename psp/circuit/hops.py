"""What an origin keeps for each hop it has: layer, exchange and expectations."""

from psp.circuit.commands import TO_ORIGIN
from psp.circuit.events import ExchangeEvent, RequestReceived
from psp.circuit.exchange import FIRST_ORIGIN_STREAM, Exchange
from psp.circuit.expectations import Expectations
from psp.circuit.layers import Layers
from psp.circuit.report import Report
from psp.circuit.segments import Sample, SegmentLoss, SegmentWatch
from psp.circuit.stats import OriginStats
from psp.crypto.circuit_handshake import HopKeys
from psp.ids import CircuitId
from psp.units import Monotonic
from psp.wire.cell import Reason
from psp.wire.onion import MAX_EARLY, Kind, message_capacity
from psp.wire.relay_message import RelayCommand


class Hops:
    """The hops of one circuit, which come and go at its far end.

    Attributes:
        layers: Seal and open cells.
        exchanges: Requests and answers, hop 1 at index 0.
        expectations: What hops may say unasked.
        segments: Where cells get lost.
    """

    __slots__ = ("_stats", "exchanges", "expectations", "layers", "segments")

    def __init__(self, circuit_id: CircuitId, stats: OriginStats) -> None:
        self._stats = stats
        self.layers = Layers(circuit_id)
        self.exchanges: list[Exchange] = []
        self.expectations = Expectations()
        self.segments = SegmentWatch()

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
        self.segments.add_hop()
        return hop

    def cells_to_send(self) -> list[bytes]:
        """Return the cells of all requests and answers that must go out now."""
        cells: list[bytes] = []
        for hop, exchange in enumerate(self.exchanges, 1):
            for message in exchange.messages_to_send():
                kind = Kind.PASS
                if message.command is RelayCommand.EXTEND:
                    if self._stats.early_sent == MAX_EARLY:
                        continue  # One more would close the circuit: let it time out.
                    self._stats.early_sent += 1
                    kind = Kind.EARLY
                cells.append(self.layers.seal(hop, message, kind))
        return cells

    def next_timeout(self) -> Monotonic | None:
        """Return the earliest deadline of any exchange."""
        due = [exchange.next_timeout() for exchange in self.exchanges]
        return min((time for time in due if time is not None), default=None)

    def record(self, hop: int, report: Report, now: Monotonic) -> SegmentLoss:
        """Take in a hop's report; return the loss on the segment before it."""
        layer = self.layers[hop]
        return self.segments.record(
            hop,
            Sample(
                now,
                sealed=layer.sealed,
                got=report.forward.received,
                sent=layer.sent_by_hop,
                opened=layer.opening.received,
            ),
        )

    def cut(self, hop: int, reason: Reason, now: Monotonic) -> list[ExchangeEvent]:
        """Drop the hops behind ``hop``; return what becomes of requests to them."""
        gone = self.exchanges[hop:]
        del self.exchanges[hop:]
        self.layers.cut(hop)
        self.expectations.cut(hop, now)
        self.segments.cut(hop)
        events: list[ExchangeEvent] = []
        for exchange in gone:
            exchange.abandon(reason, now)
            while (event := exchange.next_event()) is not None:
                if not isinstance(event, RequestReceived):
                    events.append(event)
        return events
