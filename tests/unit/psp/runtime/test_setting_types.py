"""Types of settings (psp/runtime/setting_types.py)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from psp.runtime.setting_types import SettingType
from psp.units import Seconds, UnixTime


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, SettingType(int)),
        (Seconds, SettingType(float)),
        (UnixTime, SettingType(int)),
        (Path | None, SettingType(Path, is_optional=True)),
        (tuple[str, ...], SettingType(str, is_many=True)),
        (
            tuple[Seconds, ...] | None,
            SettingType(float, is_many=True, is_optional=True),
        ),
        (tuple[str, int], None),
        (list[str], None),
        (dict[str, str], None),
        (int | str, None),
        (Callable[[], None], None),
        (bytes, None),
    ],
)
def test_annotations_that_can_be_set(annotation, expected):
    assert SettingType.of(annotation) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (1.5, "1.5"),
        ('a"b\\é\n', '"a\\"b\\\\é\\n"'),
        (Path("/x"), '"/x"'),
        (("a", "b"), '["a", "b"]'),
    ],
)
def test_values_are_written_as_toml(value, text):
    assert SettingType(str).render(value) == text


def test_home_is_expanded_and_absolute_paths_stay(monkeypatch):
    monkeypatch.setenv("HOME", "/home/psp")
    path = SettingType(Path)

    assert path.from_toml("~/x", Path("/etc")) == Path("/home/psp/x")
    assert path.from_toml("/x", Path("/etc")) == Path("/x")
    assert path.from_toml("x", Path("/etc")) == Path("/etc/x")
