"""Listings and what leads from one to the next."""

import pytest

from discovery.handover.listings import MAX_DIFFERENCES, Listings
from psp.crypto.primitives import sha256
from psp.directory.difference import patched
from psp.directory.listing import Snapshot
from psp.errors import DecodeError
from psp.testing.chain import MemoryContracts
from psp.testing.entropy import SeededEntropy


def growing(count):
    """Return listings of a book to which a node is added each time."""
    contracts = MemoryContracts.with_nodes(SeededEntropy("book"), 3)
    listings = []
    for number in range(count):
        contracts.add_node(SeededEntropy(number))
        listings.append(b"".join(contracts.nodes))
    return listings


BOOK = growing(20)
NAMES = [Snapshot(listing).name for listing in BOOK]


def holding(*listings, kept=8):
    held = Listings(kept)
    for listing in listings:
        held.add(listing)
    return held


def test_nothing_is_served_before_it_is_said():
    held = holding(BOOK[0])

    assert held.listing() is None
    assert held.difference(NAMES[0]) is None


def test_the_listing_that_is_handed_over_is_served():
    held = holding(*BOOK[:3])

    held.serve(sha256(BOOK[1]))
    held.serve(sha256(b"one that is not held"))

    assert held.listing().data == BOOK[1]


def test_a_difference_leads_from_what_the_asker_holds_to_what_is_served():
    held = holding(*BOOK[:3])
    held.serve(sha256(BOOK[2]))

    made = held.difference(NAMES[0])

    assert patched(BOOK[0], made.data) == BOOK[2]
    assert held.difference(made.name) is made, "further pages go by its own name"
    assert held.difference(NAMES[0]) is made


def test_there_is_none_from_an_unknown_or_a_newer_listing():
    held = holding(*BOOK[:3])
    held.serve(sha256(BOOK[1]))

    assert held.difference(NAMES[5]) is None
    assert held.difference(NAMES[2]) is None


def test_a_download_goes_on_when_another_listing_is_served():
    held = holding(*BOOK[:3])
    held.serve(sha256(BOOK[1]))
    made = held.difference(NAMES[0])

    held.serve(sha256(BOOK[2]))

    assert held.difference(made.name) is made
    assert patched(BOOK[0], held.difference(NAMES[0]).data) == BOOK[2]


def test_the_oldest_listing_goes_first():
    held = holding(*BOOK[:10])
    held.serve(sha256(BOOK[9]))

    assert held.digests == [sha256(listing) for listing in BOOK[2:10]]
    assert held.difference(NAMES[1]) is None
    assert held.difference(NAMES[2]) is not None
    assert held.get(sha256(BOOK[2])) == BOOK[2]


def test_one_that_comes_again_is_held_once():
    held = holding(BOOK[0], BOOK[1], BOOK[0])

    assert held.digests == [sha256(BOOK[1]), sha256(BOOK[0])]


def test_differences_are_bounded():
    held = holding(*BOOK, kept=20)
    held.serve(sha256(BOOK[19]))
    first = held.difference(NAMES[0])
    for name in NAMES[1 : MAX_DIFFERENCES + 1]:
        held.difference(name)

    assert held.difference(first.name) is None
    assert held.difference(NAMES[0]).data == first.data


def test_what_two_listings_have_in_common_is_held_once():
    held = holding(*BOOK, kept=20)
    records = [listing.records for listing in held._held.values()]

    first = {id(record) for record in records[0]}
    assert first <= {id(record) for record in records[-1]}
    assert held.get(sha256(BOOK[0])) == BOOK[0]


def test_what_is_no_listing_is_refused():
    with pytest.raises(DecodeError):
        holding(b"junk")
