import pytest

from discovery.symbol.answers import Entry, Page
from discovery.symbol.listing import MAX_ENTRIES, EntryList
from psp.errors import DecodeError, LocalProtocolError

KEY = 0x83C991368522889A


def entry(number, *, key=KEY, owner=None):
    cursor = f"636CF1F45ED31320FD{number:06X}"
    account = number.to_bytes(20) if owner is None else owner.to_bytes(20)
    return Entry(cursor, account, account, key, b"")


def page(*numbers, number=1, size=3, total=None):
    return Page(tuple(entry(n) for n in numbers), number, size, total)


def cursors(**settings):
    return EntryList(KEY, by_cursor=True, **settings)


def numbered(**settings):
    return EntryList(KEY, by_cursor=False, **settings)


def test_the_first_question_names_key_type_and_page():
    entries = cursors(select={"sourceAddress": "TADP"})

    assert entries.params() == {
        "sourceAddress": "TADP",
        "scopedMetadataKey": "83C991368522889A",
        "metadataType": "0",
        "pageSize": "100",
        "pageNumber": "1",
    }


def test_a_list_with_cursors_goes_on_behind_the_last_entry_until_a_short_page():
    entries = cursors()

    entries.take(page(1, 2, 3))
    assert not entries.is_complete
    assert entries.params()["offset"] == "636CF1F45ED31320FD000003"
    assert entries.params()["pageNumber"] == "1"

    entries.take(page(4))
    assert entries.is_complete
    assert entries.entries == [entry(n) for n in (1, 2, 3, 4)]


def test_a_last_page_may_be_empty():
    entries = cursors()

    entries.take(page(1, 2, 3))
    entries.take(page())

    assert entries.is_complete


def test_a_numbered_list_ends_when_all_are_there():
    entries = numbered()

    entries.take(page(1, 2, 3, total=5))
    assert entries.params()["pageNumber"] == "2"
    assert "offset" not in entries.params()

    entries.take(page(4, 5, number=2, total=5))
    assert entries.is_complete


def test_an_empty_list_is_complete_at_once():
    for entries, first in ((cursors(), page()), (numbered(), page(total=0))):
        entries.take(first)

        assert entries.is_complete
        assert entries.entries == []


def test_a_complete_list_takes_no_more():
    entries = cursors()
    entries.take(page())

    with pytest.raises(LocalProtocolError):
        entries.take(page())


@pytest.mark.parametrize(
    ("entries", "pages", "text"),
    [
        (cursors, [page(1, 2, 3, 4)], "4 entries on a page of 3"),
        (cursors, [page(1, number=2)], "page 2 instead of 1"),
        (cursors, [page(1, 2, 3), page(3, 4)], "twice"),
        (cursors, [page(1, 1)], "twice"),
        (cursors, [page(1, 3, 2)], "not in rising order"),
        (cursors, [page(1, 2, 3), page(1)], "twice"),
        (numbered, [page(1, 2, 3, total=5), page(4, total=5)], "page 1 instead of 2"),
        (
            numbered,
            [page(1, 2, 3, total=5), page(4, 5, number=2, total=6)],
            "changed while it was read",
        ),
        (
            numbered,
            [page(1, 2, 3, total=5), page(number=2, total=5)],
            "ends after 3 of 5 entries",
        ),
        (numbered, [page(1, 2, 3, total=2)], "does not end at 2 entries"),
        (
            numbered,
            [page(1, total=MAX_ENTRIES + 1)],
            f"{MAX_ENTRIES + 1} entries, more than {MAX_ENTRIES}",
        ),
    ],
)
def test_a_list_that_contradicts_itself_is_refused_as_a_whole(entries, pages, text):
    started = entries()
    for earlier in pages[:-1]:
        started.take(earlier)

    with pytest.raises(DecodeError, match=text):
        started.take(pages[-1])


def test_an_account_moved_behind_the_cursor_is_a_double_too():
    entries = cursors()
    moved = Page((entry(9, owner=2),), 1, 3, None)
    entries.take(page(1, 2, 3))

    with pytest.raises(DecodeError, match="twice"):
        entries.take(moved)


def test_an_entry_under_another_key_is_refused():
    with pytest.raises(DecodeError, match="another key"):
        cursors().take(Page((entry(1, key=KEY + 1),), 1, 3, None))


@pytest.mark.parametrize("kind", [cursors, numbered])
def test_a_gateway_without_end_is_left_at_the_limit(kind):
    entries = kind(most=10)
    total = None if kind is cursors else 10**6
    pages = iter(
        page(
            *range(start, start + 3),
            number=1 if kind is cursors else start // 3 + 1,
            total=total,
        )
        for start in range(0, 30, 3)
    )

    def read():
        while not entries.is_complete:
            entries.take(next(pages))

    with pytest.raises(DecodeError, match=r"10 entries|more than 10"):
        read()
    assert len(entries.entries) <= 10
