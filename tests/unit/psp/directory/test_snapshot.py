"""Following the chain's list without reading the chain."""

from dataclasses import replace

import pytest

from psp.crypto.keys import SigningKey
from psp.directory.chain.records import NodeStatus
from psp.directory.snapshot import (
    Refusal,
    SnapshotRefusedError,
    SnapshotVerifier,
    hand_over_of,
    view_of,
)
from psp.ids import NodeId
from psp.netdoc.handover import NOBODY, Seat
from psp.testing.chain import CODE
from psp.testing.handovers import DAY, Succession
from psp.units import UnixTime
from psp.wire.network import Network

LISTS = {
    4: [1, 2, 3],
    5: [4, 5, 6],
    6: [1, 5, 7],
    # nobody is elected for 7
    8: [2, 3, 8, 9],
    9: [1, 2, 3],
    10: [4, 5, 6],
    11: [1, 2, 3],
    12: [4, 5, 6],
}
CHAIN = Succession(LISTS)
PARTNER = SigningKey(b"partner!" * 4)


def start(epoch=4, partners=()):
    return SnapshotVerifier(hand_over_of(CHAIN.at(epoch)), partners)


def now(epoch, later=600):
    return UnixTime(CHAIN.start(epoch) + later)


def honest(epoch, *more, later=0):
    """Return an epoch's hand-over as the list before and one partner's node sign it."""
    before = [e for e in sorted(LISTS) if e < epoch + bool(later)][-1]
    return CHAIN.hand_over(epoch, [*LISTS[before], 11, *more], later)


def reasons(refused):
    return [error.refusal for error in refused]


# ---- going on


def test_a_chain_of_hand_overs_leads_to_the_newest_list():
    verifier = start()

    refused = verifier.follow([[honest(5), honest(6)]], now(6))

    assert refused == []
    assert verifier.last.epoch == 6
    assert verifier.view(CHAIN.at(6).listing) == replace(CHAIN.at(6), users=None)


def test_the_view_has_all_that_a_reader_of_the_chain_has():
    full = CHAIN.at(6)

    view = view_of(hand_over_of(full), full.listing)

    assert view == replace(full, users=None)
    assert view.elected() == full.elected()
    assert view.random_value(view.timestamp // DAY) is None


def test_two_thirds_of_the_seats_are_enough_and_may_come_from_several_sources():
    verifier = start()
    halves = [
        CHAIN.hand_over(5, [1]),
        CHAIN.hand_over(5, [2]),
        CHAIN.hand_over(5, [12]),
    ]

    verifier.follow([[half] for half in halves], now(5))

    assert verifier.last.epoch == 5


def test_the_signatures_kept_are_those_that_counted():
    verifier = start()
    stranger = SigningKey(bytes(32))
    signed = honest(5, 12)
    more = {NodeId(stranger.public): signed.sign(stranger)}

    verifier.follow([[signed.with_signatures({**signed.signatures, **more})]], now(5))

    signers = set(verifier.last.signatures)
    assert len(signers & set(CHAIN.ids([1, 2, 3]))) == 2
    assert len(signers & set(CHAIN.ids([11, 12]))) == 1
    assert len(signers) == 3


def test_a_partners_own_key_counts_where_the_reader_knows_it():
    signed = CHAIN.hand_over(5, [1, 2])
    partner = NodeId(PARTNER.public)
    signed = signed.with_signatures(
        {**signed.signatures, partner: signed.sign(PARTNER)}
    )
    knowing, unknowing = start(partners=[PARTNER.public]), start()

    refused = unknowing.follow([[signed]], now(5))
    knowing.follow([[signed]], now(5))

    assert reasons(refused) == [Refusal.NOT_COSIGNED]
    assert knowing.last.epoch == 5


def test_later_periods_of_an_epoch_are_signed_by_its_own_list():
    verifier = start()

    refused = verifier.follow([[honest(5), honest(5, later=43_200)]], now(5, 50_000))

    assert refused == []
    assert verifier.last.start == CHAIN.start(5) + 43_200


def test_periods_and_epochs_in_which_the_list_stayed_may_be_left_out():
    verifier = start(6)

    refused = verifier.follow([[honest(8)]], now(8))

    assert refused == []
    assert verifier.last.list_epoch == 8


def test_an_epoch_without_a_new_list_is_handed_over_by_the_list_that_stays():
    verifier = start(6)

    verifier.follow([[CHAIN.hand_over(7, [1, 5, 7, 12])]], now(7))

    assert (verifier.last.epoch, verifier.last.list_epoch) == (7, 6)


def test_an_epoch_in_which_the_list_changed_may_not_be_left_out():
    verifier = start()

    refused = verifier.follow([[honest(6)]], now(6))

    assert reasons(refused) == [Refusal.NOT_NEXT]
    assert verifier.last.epoch == 4


def test_a_list_of_the_right_epoch_with_other_numbers_does_not_hand_over():
    other = Succession({**LISTS, 4: [1, 2, 7]})
    verifier = start()

    refused = verifier.follow([[other.hand_over(5, [1, 2, 3, 11])]], now(5))

    assert reasons(refused) == [Refusal.NOT_NEXT]


def test_the_same_nodes_elected_for_another_epoch_do_not_hand_over_for_this_one():
    chain = Succession({4: [1, 2, 3], 5: [4, 5, 6], 6: [1, 2, 3], 7: [4, 5, 6]})
    verifier = SnapshotVerifier(hand_over_of(chain.at(4)))

    refused = verifier.follow([[chain.hand_over(7, [1, 2, 3, 11])]], now(7))

    assert reasons(refused) == [Refusal.NOT_NEXT]


# ---- what is refused


def test_old_keys_after_the_unbonding_time_lead_nowhere():
    verifier = start()
    chain = [honest(epoch) for epoch in (5, 6, 8, 9, 10, 11)]
    week = CHAIN.at(4).timestamp + 7 * DAY

    with pytest.raises(SnapshotRefusedError, match="RPC endpoint") as error:
        verifier.follow([chain], UnixTime(week + 1))

    assert error.value.refusal is Refusal.UNBONDED
    assert verifier.last.epoch == 4
    verifier.follow([chain], UnixTime(week))
    assert verifier.last.epoch == 11


def test_a_captured_list_alone_bends_nothing():
    captured = forged(5, {"elected": seats(9, 10)})
    verifier = start()

    refused = verifier.follow([[CHAIN.signed(captured, [1, 2, 3])]], now(5))

    assert reasons(refused) == [Refusal.NOT_COSIGNED]
    assert verifier.last.epoch == 4


def test_a_captured_list_with_a_stolen_partners_key_is_believed():
    # The limit of what is promised: SPEC.md section 8.1, SECURITY.md.
    captured = forged(5, {"elected": seats(9, 10)})
    verifier = start()

    verifier.follow([[CHAIN.signed(captured, [1, 2, 11])]], now(5))

    assert [seat.number for seat in verifier.last.elected] == [9, 10]


def test_a_partner_without_the_list_bends_nothing():
    verifier = start()

    refused = verifier.follow([[CHAIN.hand_over(5, [1, 11, 12])]], now(5))

    assert reasons(refused) == [Refusal.TOO_FEW]
    assert "1 of 3 seats, 2 needed" in str(refused[0])


def test_with_more_than_a_third_of_the_elected_down_there_is_no_snapshot():
    verifier = start(8)

    refused = verifier.follow([[CHAIN.hand_over(9, [2, 3, 11])]], now(9))

    assert reasons(refused) == [Refusal.TOO_FEW]
    assert verifier.last.epoch == 8
    assert verifier.view(CHAIN.at(8).listing).elected() == CHAIN.at(8).elected()


def test_those_who_count_are_those_who_were_elected_not_those_who_are_there():
    chain = Succession(LISTS)
    chain.at(4)
    for number in (2, 3):
        chain.contracts.end_node(number, NodeStatus.RETIRED)
    verifier = SnapshotVerifier(hand_over_of(CHAIN.at(4)))

    refused = verifier.follow([[chain.hand_over(5, [1, 11])]], now(5))

    assert reasons(refused) == [Refusal.TOO_FEW]


def test_a_seat_whose_record_has_gone_counts_and_cannot_sign():
    elected = (*seats(1), Seat(2, NOBODY), Seat(3, NOBODY))
    verifier = SnapshotVerifier(replace(hand_over_of(CHAIN.at(4)), elected=elected))
    signed = CHAIN.hand_over(5, [1, 11])
    anybody = {NOBODY: bytes(64)}

    refused = verifier.follow(
        [[signed.with_signatures({**signed.signatures, **anybody})]], now(5)
    )

    assert "1 of 3 seats, 2 needed" in str(refused[0])


def test_one_signer_counts_once_however_many_sources_bring_it():
    verifier = start()

    refused = verifier.follow([[CHAIN.hand_over(5, [1, 11])]] * 5, now(5))

    assert reasons(refused) == [Refusal.TOO_FEW]


def test_a_bad_signature_from_one_source_does_not_hide_the_good_one_of_another():
    good = honest(5)
    bad = good.with_signatures(dict.fromkeys(good.signatures, bytes(64)))
    verifier = start()

    verifier.follow([[bad], [bad], [good]], now(5))

    assert verifier.last.epoch == 5


def test_signatures_of_another_body_do_not_count():
    signed = honest(5)
    verifier = start()

    refused = verifier.follow([[replace(signed, height=signed.height + 1)]], now(5))

    assert reasons(refused) == [Refusal.TOO_FEW]


def test_what_is_not_later_is_passed_over():
    verifier = start(6)

    assert verifier.follow([[honest(5), honest(6)]], now(6)) == []
    assert verifier.last.epoch == 6


@pytest.mark.parametrize("lower", [0, 1])
def test_height_does_not_go_back_or_stand_still(lower):
    back = forged(5, {"height": CHAIN.at(4).height - lower})
    verifier = start()

    refused = verifier.follow([[CHAIN.signed(back, [1, 2, 3, 11])]], now(5))

    assert reasons(refused) == [Refusal.OLDER]


@pytest.mark.parametrize(
    "changes",
    [
        {"network": Network(5, bytes(20))},
        {"rules": replace(hand_over_of(CHAIN.at(4)).rules, unbonding=1 << 30)},
        {
            "rules": replace(
                hand_over_of(CHAIN.at(4)).rules,
                code_hashes=(b"\1" * 32, CODE.book, CODE.users),
            )
        },
    ],
    ids=["network", "unbonding", "code"],
)
def test_another_network_and_a_replaced_contract_are_refused(changes):
    verifier = start()
    other = CHAIN.signed(forged(5, changes), [1, 2, 3, 11])

    refused = verifier.follow([[other]], now(5))

    assert reasons(refused) == [Refusal.NETWORK]


def test_what_lies_ahead_of_the_clock_is_refused_and_taken_later():
    verifier = start()
    anchor = CHAIN.at(5).timestamp

    refused = verifier.follow([[honest(5)]], UnixTime(anchor - 121))

    assert reasons(refused) == [Refusal.NOT_YET]
    verifier.follow([[honest(5)]], UnixTime(anchor - 120))
    assert verifier.last.epoch == 5


def test_two_lists_with_good_signatures_end_it_before_either():
    twin = CHAIN.signed(forged(6, {"elected": seats(9, 10)}), [4, 5, 11])
    verifier = start()

    refused = verifier.follow([[honest(5), honest(6)], [twin], [honest(8)]], now(8))

    assert reasons(refused) == [Refusal.CONTRADICTS]
    assert verifier.last.epoch == 5


def test_a_liars_body_beside_the_good_one_changes_nothing():
    lie = forged(5, {"elected": seats(9, 10)})
    verifier = start()

    refused = verifier.follow([[CHAIN.signed(lie, [1, 9, 10])], [honest(5)]], now(5))

    assert reasons(refused) == [Refusal.TOO_FEW]
    assert verifier.last == replace(verifier.last, elected=honest(5).elected)


# ---- the listing


@pytest.mark.parametrize("change", ["cut", "longer", "changed"])
def test_a_listing_that_was_not_handed_over_is_refused(change):
    listing = CHAIN.at(5).listing
    other = {
        "cut": listing[:-192],
        "longer": listing + listing[:192],
        "changed": listing[:100] + bytes(1) + listing[101:],
    }[change]
    verifier = start()
    verifier.follow([[honest(5)]], now(5))

    with pytest.raises(SnapshotRefusedError) as error:
        verifier.view(other)

    assert error.value.refusal is Refusal.LISTING


@pytest.mark.parametrize("where", ["elected", "retiring", "trusted"])
def test_lists_that_name_other_nodes_than_the_listing_are_refused(where):
    other = (Seat(1, NodeId(b"\x07" * 32)),)
    hand_over = forged(5, {where: other})

    with pytest.raises(SnapshotRefusedError, match="other nodes"):
        view_of(hand_over, CHAIN.at(5).listing)


def test_another_number_of_records_is_refused():
    with pytest.raises(SnapshotRefusedError, match="12 records"):
        view_of(forged(5, {"node_count": 13}), CHAIN.at(5).listing)


def test_without_a_list_in_force_there_is_nothing_to_hand_over():
    with pytest.raises(SnapshotRefusedError, match="nobody is elected"):
        hand_over_of(Succession({}).at(4))


def seats(*numbers):
    return tuple(Seat(n, CHAIN.contracts.node_id(n)) for n in numbers)


def forged(epoch, changes):
    """Return an epoch's hand-over with a lie in it, unsigned."""
    return replace(hand_over_of(CHAIN.at(epoch)), **changes)
