"""How a session ends: closed by an end, given up, or broken by the peer."""

from psp.endpoint.session import SessionClosed, SessionConfig, SessionSilent
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.session_block import MAX_PIECE, BlockType, Piece, pack_plain
from tests.unit.psp.endpoint.rig import one_leg, sealed, two_legs


def test_a_peer_that_never_comes_is_given_up():
    wire = one_leg(config=SessionConfig(give_up_after=Seconds(5.0)))
    wire.silent.add(0)

    wire.run(5.1)

    assert wire.told(0, SessionClosed) == [SessionClosed(Reason.TIMEOUT)]
    assert wire.told(0, SessionSilent) == []


def test_a_session_is_given_up_after_a_long_silence():
    wire = one_leg(config=SessionConfig(give_up_after=Seconds(5.0)))
    wire.run(1.0)
    wire.silent.add(0)

    wire.run(4.0)
    assert not wire.ends[0].is_closed
    wire.run(1.1)

    assert wire.told(0, SessionClosed) == [SessionClosed(Reason.TIMEOUT)]
    assert wire.ends[0].next_timeout() is None


def test_the_peer_learns_of_a_close_even_if_most_blocks_are_lost():
    wire = two_legs()
    wire.ends[0].close()
    wire.loss = 0.5

    wire.run(0.5)

    assert wire.told(0, SessionClosed) == [SessionClosed(Reason.REQUESTED)]
    assert wire.told(1, SessionClosed) == [SessionClosed(Reason.REQUESTED)]


def test_closing_twice_and_what_comes_after_is_harmless():
    wire = one_leg()
    wire.ends[1].send_datagram(b"too late")
    wire.ends[0].close()
    wire.ends[0].close()
    wire.run(0.1)
    wire.ends[0].handle_timeout(wire.now)

    assert wire.told(0, SessionClosed) == [SessionClosed(Reason.REQUESTED)]
    assert wire.datagrams(0) == []


def test_a_message_without_end_closes_the_session():
    wire = one_leg()
    pieces = [
        pack_plain(
            BlockType.MESSAGE,
            Piece(number, is_last=False, data=bytes(MAX_PIECE)).encode(),
        )
        for number in range(70)
    ]

    wire.ends[1].receive_blocks(0, sealed(*pieces), wire.now)
    wire.flush()

    assert wire.told(1, SessionClosed) == [SessionClosed(Reason.PROTOCOL)]


def test_an_unknown_reason_to_close_is_no_error():
    wire = one_leg()

    wire.ends[1].receive_blocks(0, sealed(pack_plain(BlockType.CLOSE, b"")), wire.now)
    wire.flush()

    assert wire.told(1, SessionClosed) == [SessionClosed(Reason.NONE)]
