"""The listing of the book: complete, paged, and telling where each record ends."""

import pytest

from tests.chain.conftest import CHAINS
from tests.chain.deployment import Deployment, Head, record

FIRST = [
    ("a", 1, None),
    ("b", 4, "retire"),
    ("c", 2, "revoke"),
    ("d", 3, None),
    ("e", 4, None),
]
"""Label, endpoint words, how it ended."""


@pytest.fixture(scope="module", params=CHAINS)
def filled(request):
    """A registry that these tests only read."""
    deployed = Deployment.deploy(request.getfixturevalue(request.param))
    for number, (label, words, end) in enumerate(FIRST, start=1):
        deployed.register(label, words=words)
        if end:
            deployed.send(end, number)
    return deployed


def split(words):
    """Read a listing the way a reader does; return head and other words of each."""
    found, rest = [], list(words)
    while rest:
        head = Head.of(int.from_bytes(rest.pop(0), "big"))
        length = 0 if head.words == 0 else 4 + head.words
        found.append((head, rest[:length]))
        del rest[:length]
    return found


def expected(deployed, number):
    label, words, end = FIRST[number - 1]
    identity, onion, sig, endpoints = record(label, words=words)
    fields = [] if end == "retire" else [identity, onion, *sig, *endpoints[:words]]
    return deployed.head(number), fields


def test_page_lists_records_one_behind_the_other(filled):
    listing = split(filled.book.functions.page(1, 240).call())

    assert listing == [expected(filled, n) for n in range(1, 6)]


@pytest.mark.parametrize(
    ("first", "n", "numbers"),
    [
        (1, 2, [1, 2]),
        (2, 3, [2, 3, 4]),
        (4, 240, [4, 5]),
        (6, 240, []),
        (2**256 - 1, 240, []),
        (3, 0, []),
    ],
)
def test_page_ends_with_the_last_node(filled, first, n, numbers):
    listing = split(filled.book.functions.page(first, n).call())

    assert listing == [expected(filled, number) for number in numbers]


def test_records_of_chosen_nodes_come_in_their_order(filled):
    words = filled.book.functions.records_of([5, 3, 2, 3]).call()

    assert split(words) == [expected(filled, number) for number in (5, 3, 2, 3)]


def test_node_that_does_not_exist_is_listed_as_a_zero_word(filled):
    words = filled.book.functions.records_of([0, 99, 1]).call()

    assert words[:2] == [bytes(32)] * 2
    assert split(words[2:]) == [expected(filled, 1)]


def test_versions_show_what_changed(deployed):
    for label in "abcdefghij":
        deployed.register(label)
    deployed.send("update", 4, *record("new"))
    deployed.send("retire", 5)

    words = deployed.book.functions.versions(1, 2400).call()

    assert len(words) == 2
    fields = [(word >> 32 * n) & 0xFFFFFFFF for word in words for n in range(8)]
    heads = [deployed.book.functions.head(n).call() for n in range(1, 11)]
    assert fields[:10] == [(head >> 160) & 0xFFFFFFFF for head in heads]
    assert fields[10:] == [0] * 6
    assert fields[3] >> 8 == 2


@pytest.mark.parametrize(
    ("first", "n", "numbers"),
    [(4, 9, [4, 5]), (2, 3, [2, 3, 4]), (6, 8, []), (2**256 - 1, 9, []), (1, 0, [])],
)
def test_versions_end_with_the_last_node(filled, first, n, numbers):
    words = filled.book.functions.versions(first, n).call()

    heads = [filled.book.functions.head(number).call() for number in numbers]
    fields = [(head >> 160) & 0xFFFFFFFF for head in heads]
    packed = sum(field << 32 * n for n, field in enumerate(fields))
    assert words == ([packed] if numbers else [])


def test_pages_are_bounded(deployed):
    book, relays, users = (
        deployed.book.functions,
        deployed.relays.functions,
        deployed.users.functions,
    )

    for call in [
        book.page(0, 1),
        book.page(1, 241),
        book.versions(0, 1),
        book.versions(1, 2401),
        relays.weights(0, 1),
        relays.weights(1, 401),
        users.page(0, 1),
        users.page(1, 401),
        users.versions(0, 1),
        users.versions(1, 2401),
    ]:
        assert deployed.chain.refusal(call) == "page"
    for call in [book.records_of([1] * 241), users.users_of([1] * 201)]:
        assert deployed.chain.refusal(call) == ""
