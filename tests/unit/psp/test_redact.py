"""Values that must not be read in a log (psp/redact.py)."""

import traceback

import pytest

from psp.redact import Sensitive

SECRET = Sensitive("192.0.2.77")


@pytest.mark.parametrize(
    "text",
    [
        str(SECRET),
        repr(SECRET),
        f"{SECRET}",
        f"{SECRET!r:>20}",
        f"{[SECRET]}",
        "%s" % SECRET,  # noqa: UP031 - every way of printing counts
    ],
    ids=["str", "repr", "format", "format repr", "in a list", "percent"],
)
def test_no_way_of_printing_shows_it(text):
    assert "192.0.2.77" not in text
    assert "[scrubbed]" in text


def test_tracebacks_do_not_show_it():
    with pytest.raises(ValueError, match="scrubbed") as caught:
        raise ValueError(SECRET)

    shown = "".join(traceback.format_exception(caught.value))
    assert "192.0.2.77" not in shown


def test_value_is_there_for_whoever_needs_it():
    assert SECRET.value == "192.0.2.77"
    assert Sensitive("192.0.2.77") == SECRET
    assert Sensitive("x") != SECRET
