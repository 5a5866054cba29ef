"""State files (psp/runtime/statefile.py)."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import ConfigError
from psp.runtime.statefile import StateFile

OLD = {"guards": ["a", "b"], "since": 1.5, "odd": None}


@pytest.fixture
def state(tmp_path):
    return StateFile(tmp_path / "state" / "guards.json", form="psp-guards", version=1)


def test_state_comes_back(state):
    assert state.load() is None

    state.save(OLD)
    assert state.load() == OLD

    state.save({})
    assert state.load() == {}


def test_file_cut_at_any_byte_is_refused_never_half(state):
    state.save(OLD)
    data = state.path.read_bytes()

    for length in range(len(data)):
        state.path.write_bytes(data[:length])
        with pytest.raises(ConfigError, match="is damaged"):
            state.load()


def test_any_changed_byte_is_noticed_or_harmless(state):
    state.save(OLD)
    data = state.path.read_bytes()

    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        state.path.write_bytes(changed)
        with suppress(ConfigError):
            assert state.load() == OLD


def test_other_formats_and_versions_are_refused(state):
    state.save(OLD)
    other_form = StateFile(state.path, form="psp-cache", version=1)
    other_version = StateFile(state.path, form="psp-guards", version=2)

    with pytest.raises(ConfigError, match="not a file of psp-cache"):
        other_form.load()
    with pytest.raises(ConfigError, match="has version 1, this program reads 2"):
        other_version.load()


@pytest.mark.parametrize("document", [[], 1, {"format": "psp-guards", "version": 1}])
def test_json_that_is_no_state_is_refused(state, document):
    state.save(OLD)
    state.path.write_text(json.dumps(document))

    with pytest.raises(ConfigError, match="is damaged"):
        state.load()


def test_deep_json_is_refused(state):
    state.save(OLD)
    state.path.write_text("[" * 200_000)

    with pytest.raises(ConfigError, match="is damaged"):
        state.load()


def test_size_is_bounded_both_ways(tmp_path):
    path = tmp_path / "state" / "file"
    small = StateFile(path, form="x", version=1, max_bytes=200)
    large = StateFile(path, form="x", version=1)
    small.save({"a": "b"})

    with pytest.raises(ConfigError, match="at most 200"):
        small.save({"a": "b" * 200})
    assert small.load() == {"a": "b"}

    large.save({"a": "b" * 200})
    with pytest.raises(ConfigError, match="more than 200 bytes"):
        small.load()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_any_json_comes_back(tmp_path_factory, content):
    directory = tmp_path_factory.getbasetemp() / "any-state"
    state = StateFile(directory / "file", form="x", version=1)

    state.save(content)

    assert state.load() == content
