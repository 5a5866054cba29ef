"""What can go wrong, for a program (psp/gateway/problems.py)."""

import pytest

from psp.client import errors
from psp.client.watching.watcher import WatchLimitError
from psp.errors import ConfigError, DecodeError, PspError
from psp.gateway.problems import Kind, ProblemError, kind_of, problem_of


def classes(base):
    return {base} | {found for each in base.__subclasses__() for found in classes(each)}


OF_CLIENT = sorted(
    (each for each in classes(PspError) if each.__module__ == errors.__name__),
    key=lambda each: each.__name__,
)


@pytest.mark.parametrize("error", OF_CLIENT)
def test_every_error_of_the_client_has_a_kind_of_its_own(error):
    kinds = [kind_of(each("x")) for each in OF_CLIENT]

    assert kind_of(error("x")) not in {Kind.INTERNAL, Kind.FAILED}
    assert kinds.count(kind_of(error("x"))) == 1


def test_names_never_change():
    """Programs of others rely on them: a change of this list breaks them."""
    assert " ".join(sorted(kind.label for kind in Kind)) == (
        "bad-name bad-request busy call-failed call-refused card-in-address "
        "changed-identity clock contact-revoked damaged-card failed foreign-host "
        "foreign-origin internal keys-ended method-not-allowed no-answer not-found "
        "not-possible presence timeout too-large too-many-streams too-many-watches "
        "unauthorized unknown-call unknown-contact unknown-watch unreachable "
        "unsupported-media-type user-offline user-revoked words-differ wrong-network"
    )


@pytest.mark.parametrize(
    ("error", "kind", "detail"),
    [
        (DecodeError("a typing error"), Kind.DAMAGED_CARD, "a typing error"),
        (ConfigError("the book is full"), Kind.NOT_POSSIBLE, "the book is full"),
        (WatchLimitError("1,000"), Kind.TOO_MANY_WATCHES, "1,000"),
        (PspError("x"), Kind.FAILED, "x"),
        (TimeoutError(), Kind.TIMEOUT, "It took too long"),
        (ValueError("secret"), Kind.INTERNAL, "A fault in the gateway"),
        (ProblemError(Kind.BUSY), Kind.BUSY, Kind.BUSY.title),
    ],
)
def test_an_error_is_told_in_its_own_words_unless_it_is_our_fault(error, kind, detail):
    problem = problem_of(error)

    assert problem.type == f"urn:psp:problem:{kind.label}"
    assert (problem.status, problem.title) == (kind.status, kind.title)
    assert problem.detail == detail
