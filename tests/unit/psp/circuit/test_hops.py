"""What comes and goes at the far end of a circuit."""

from psp.circuit.events import RequestFailed
from psp.circuit.hops import Hops
from psp.circuit.stats import OriginStats
from psp.crypto.circuit_handshake import HopKeys
from psp.crypto.kdf import LayerKeys
from psp.ids import CircuitId
from psp.units import Monotonic
from psp.wire.cell import Reason
from psp.wire.onion import MAX_EARLY
from psp.wire.relay_message import RelayCommand, RelayMessage

KEYS = HopKeys(LayerKeys(b"f" * 32, 1, b""), LayerKeys(b"b" * 32, 2, b""), b"h" * 32)
START = Monotonic(0.0)


def three_hops():
    stats = OriginStats()
    hops = Hops(CircuitId(4), stats)
    assert [hops.add(KEYS) for _ in range(3)] == [1, 2, 3]
    return hops, stats


def test_requests_to_hops_that_go_fail():
    hops, _ = three_hops()
    hops.exchanges[0].request(RelayCommand.FETCH, b"", START)
    stream_id = hops.exchanges[2].request(RelayCommand.FETCH, b"", START)
    for part in (b"\1", b"\2"):
        half = RelayMessage(RelayCommand.INTRODUCTION, 2, part + bytes(760))
        hops.exchanges[2].receive(half, START)

    events = hops.cut(1, Reason.REQUESTED, START)

    assert len(hops) == 1
    assert events == [
        RequestFailed(
            3, stream_id, RelayCommand.FETCH, Reason.REQUESTED, is_refused=False
        )
    ]


def test_cells_of_all_hops_are_sent_and_the_earliest_deadline_counts():
    hops, _ = three_hops()
    assert hops.next_timeout() is None

    hops.exchanges[0].request(RelayCommand.FETCH, b"", Monotonic(1.0))
    hops.exchanges[2].request(RelayCommand.FETCH, b"", START)

    assert hops.next_timeout() == 0.25
    assert len(hops.cells_to_send()) == 2
    assert hops.cells_to_send() == []


def test_an_extend_beyond_the_limit_of_early_cells_is_not_sent():
    hops, stats = three_hops()
    stats.early_sent = MAX_EARLY - 1

    hops.exchanges[0].request(RelayCommand.EXTEND, bytes(1432), START)

    assert len(hops.cells_to_send()) == 1
    assert stats.early_sent == MAX_EARLY
