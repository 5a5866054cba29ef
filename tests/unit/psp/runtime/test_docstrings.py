"""Docs of attributes (psp/runtime/docstrings.py)."""

from psp.runtime.docstrings import attribute_docs


class Documented:
    """Has attributes.

    Attributes:
        first: One line.
        second: Two lines, the
            second of which: goes on.

        third: After a gap.

    Raises:
        nothing: Is not an attribute.
    """


class Plain:
    """Has none."""


class Bare:
    pass


def test_entries_are_read_whole_and_in_order():
    assert list(attribute_docs(Documented).items()) == [
        ("first", "One line."),
        ("second", "Two lines, the second of which: goes on."),
        ("third", "After a gap."),
    ]


def test_classes_without_the_section_have_no_entries():
    assert attribute_docs(Plain) == attribute_docs(Bare) == {}
