"""State that only its owner's keys open (psp/client/sealed_file.py)."""

import json

import pytest

from psp.client.sealed_file import SealedFile
from psp.errors import ConfigError
from psp.runtime.statefile import StateFile
from psp.testing.entropy import SeededEntropy

KEY = b"k" * 32
STATE = {"names": ["Bob", "Carol"], "count": 2, "nested": {"a": None}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "book.json"


def sealed(path, key: bytes = KEY, form: str = "psp-book", **options) -> SealedFile:
    return SealedFile(path, key, SeededEntropy(1), form, 1, **options)


@pytest.mark.parametrize("key", [KEY, b""])
def test_what_was_saved_last_comes_back(path, key):
    sealed(path, key).save({"old": 1})
    sealed(path, key).save(STATE)

    assert sealed(path, key).load() == STATE


def test_a_file_that_never_was_is_empty(path):
    assert sealed(path).load() == {}


def test_the_disk_does_not_show_what_is_sealed(path):
    sealed(path).save(STATE)

    assert b"Bob" not in path.read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        {"key": b"o" * 32},
        {"key": b""},
        {"form": "psp-other"},
        {"associated": b"psp-other"},
    ],
)
def test_another_key_or_form_does_not_open_it(path, other):
    sealed(path).save(STATE)

    with pytest.raises(ConfigError, match=r"book\.json"):
        sealed(path, **other).load()


def test_a_file_of_another_form_is_not_opened_under_the_same_key_by_a_new_cover(path):
    sealed(path).save(STATE)
    stored = StateFile(path, form="psp-book", version=1).load()
    assert stored is not None
    StateFile(path, form="psp-other", version=1).save({"sealed": str(stored["sealed"])})

    with pytest.raises(ConfigError, match="not this identity's state"):
        sealed(path, form="psp-other").load()


@pytest.mark.parametrize(
    ("before", "now", "words"), [(b"", KEY, "without"), (KEY, b"", "with an")]
)
def test_a_folder_is_of_one_identity_or_of_none_and_that_is_said(
    path, before, now, words
):
    sealed(path, before).save(STATE)

    with pytest.raises(ConfigError, match=rf"{words}.*; use another state_dir, or"):
        sealed(path, now).load()


@pytest.mark.parametrize(
    "stored",
    [
        {"sealed": 5},
        {"sealed": ""},
        {"sealed": "%%%"},
        {"sealed": "\u00e9"},
        {"sealed": "AAAA"},
        {"plain": json.dumps(STATE)},
        {},
    ],
)
def test_what_was_not_sealed_by_us_is_refused_and_nothing_else(path, stored):
    StateFile(path, form="psp-book", version=1).save(stored)

    with pytest.raises(ConfigError):
        sealed(path).load()


@pytest.mark.parametrize("text", ["[]", "{", "7", "null", "[" * 100_000])
def test_a_plain_file_of_another_shape_is_refused(path, text):
    StateFile(path, form="psp-book", version=1).save({"plain": text})

    with pytest.raises(ConfigError):
        sealed(path, b"").load()


def test_a_state_that_outgrows_its_limit_leaves_the_old_one(path):
    file = sealed(path, max_bytes=2_000)
    file.save(STATE)

    with pytest.raises(ConfigError, match="2000"):
        file.save({"names": ["x" * 3_000]})

    assert file.load() == STATE
