"""What a gateway decides: how much is asked of it, and whose voices it passes on."""

from presence.config import GatewayConfig
from presence.dht import findings
from presence.dht.findings import LookupResult
from presence.gateway import GatewaySearches, SearchKey, choose_voices
from psp.ids import NodeId
from psp.netdoc.voice import Voice
from psp.wire.lookup import LookupRequest

REQUEST = LookupRequest(b"l" * 20, 0, b"n" * 16)


def key(circuit, nonce=b"n" * 16):
    return SearchKey(circuit, b"l" * 20, nonce)


def said(number, *claims, is_retiring=False, is_doubted=False):
    """Return what node ``number`` said; the lowest number is the nearest."""
    sequences = (*claims, 0, 0, 0, 0)[:4]
    voice = Voice(NodeId(bytes([number]) * 32)[:8], 0, sequences, bytes(64))
    member = bytes([number]) * 20
    return findings.Testimony(
        member, voice, None, is_retiring=is_retiring, is_doubted=is_doubted
    )


def chosen(*testimonies, must_retiring_speak=True, turn=0, far=()):
    result = LookupResult(None, 0, 0, 0, (), testimonies=testimonies)
    voices = choose_voices(
        result,
        holders={each.member for each in testimonies if each.member[0] not in far},
        turn=turn,
        must_retiring_speak=must_retiring_speak,
    )
    return [Voice.decode(each).short_id[0] for each in voices]


def test_all_requests_of_a_circuit_under_one_nonce_are_one_search():
    slots = [LookupRequest(b"l" * 20, slot, b"n" * 16) for slot in (0, 255)]

    assert {SearchKey.of(7, request) for request in slots} == {key(7)}
    assert SearchKey.of(8, REQUEST) != key(7)
    assert key(7, b"o" * 16) != key(7)


def test_circuit_asks_a_few_times_only_and_is_forgotten_when_it_closes():
    searches = GatewaySearches(GatewayConfig(lookups_per_circuit=2))
    searches.keep(key(7), "seven")
    searches.keep(key(8), "eight")

    assert [searches.admit(7) for _ in range(3)] == [True, True, False]
    assert searches.admit(8)
    searches.circuit_closed(7)
    searches.circuit_closed(99)
    assert searches.admit(7)
    assert searches.get(key(7)) is None
    assert searches.get(key(8)) == "eight"


def test_too_many_searches_push_the_oldest_out():
    searches = GatewaySearches(GatewayConfig(kept_searches=2))
    for circuit in range(3):
        searches.keep(key(circuit), circuit)

    assert len(searches) == 2
    assert [searches.get(key(circuit)) for circuit in range(3)] == [None, 1, 2]


def test_the_six_nearest_voices_are_passed_on():
    assert chosen(*(said(n, 5) for n in range(8))) == [0, 1, 2, 3, 4, 5]
    assert chosen(said(1, 5), said(2, 5)) == [1, 2]
    assert chosen() == []


def test_whoever_claims_what_nobody_else_knows_of_comes_last():
    claims = [said(0, 99), said(1, 5, 0, 77)]
    claims += [said(n, 5) for n in range(2, 8)]

    assert chosen(*claims) == [2, 3, 4, 5, 6, 7]
    assert chosen(*claims[:4]) == [2, 3, 0, 1]


def test_what_two_claim_is_no_outlier():
    claims = [
        said(0, 99),
        said(1, 99),
        *(said(n, 5) for n in range(2, 8)),
    ]

    assert chosen(*claims) == [0, 1, 2, 3, 4, 5]


def test_doubted_members_come_behind_the_others():
    claims = [said(0, 5, is_doubted=True), *(said(n, 5) for n in range(1, 7))]

    assert chosen(*claims) == [1, 2, 3, 4, 5, 6]


def test_retiring_members_have_half_of_the_room_as_far_as_they_need_it():
    elected = [said(n, 5) for n in range(8)]
    retiring = [said(n, 5, is_retiring=True) for n in range(10, 18)]

    assert chosen(*elected, *retiring) == [0, 1, 2, 10, 11, 12]
    assert chosen(*elected, *retiring[:1]) == [0, 1, 2, 3, 4, 10]
    assert chosen(*elected[:1], *retiring) == [0, 10, 11, 12, 13, 14]


def test_where_most_were_elected_again_they_have_the_room():
    elected = [said(n, 5) for n in range(5)]
    retiring = [said(n, 5, is_retiring=True) for n in range(10, 13)]

    everybody = chosen(*elected, *retiring, must_retiring_speak=False)
    assert everybody == [0, 1, 2, 3, 4, 10]


def test_who_is_left_out_is_another_one_each_turn():
    everybody = [said(n, 5) for n in range(8)]

    turns = [chosen(*everybody, turn=turn) for turn in (3, 6, 8)]
    assert turns == [[3, 4, 5, 6, 7, 0], [6, 7, 0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]


def test_members_that_are_not_to_hold_it_come_behind_those_that_are():
    # Farther ones have been asked for those that are dead.
    everybody = [said(n, 5) for n in range(8)]

    assert chosen(*everybody, far=(6, 7), turn=5) == [5, 0, 1, 2, 3, 4]
    assert chosen(*everybody, far=(4, 5, 6, 7), turn=1) == [1, 2, 3, 0, 4, 5]
