"""What a setting's value may be, and how TOML and the environment write it."""

import enum
import json
import math
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_NAMES: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
}


@dataclass(frozen=True, slots=True)
class SettingType:
    """The type of one key.

    Attributes:
        kind: str, int, float, bool, Path or a string enum.
        is_many: A list of ``kind``.
        is_optional: The key may be left without a value.
    """

    kind: type
    is_many: bool = False
    is_optional: bool = False

    @classmethod
    def of(cls, annotation: object) -> Self | None:
        """Return the type for an annotation, or None if it is no setting's type."""
        plain, is_optional = unwrap_optional(annotation)
        if typing.get_origin(plain) is tuple:
            inner = typing.get_args(plain)
            if len(inner) != 2 or inner[1] is not Ellipsis:
                return None
            kind, is_many = unwrap_new_type(inner[0]), True
        else:
            kind, is_many = plain, False
        if not isinstance(kind, type) or not _is_scalar(kind):
            return None
        return cls(kind, is_many, is_optional)

    def from_toml(self, value: object, directory: Path) -> object:
        """Check a value read from a file that lies in ``directory``.

        Raises:
            ValueError: Saying what it must be.
        """
        if not self.is_many:
            return self._one(value, directory)
        if not isinstance(value, list):
            raise ValueError(  # noqa: TRY004 - a wrong setting, not a wrong program
                f"must be a list, each item {self.name}"
            )
        return tuple(self._one(item, directory) for item in value)

    def from_text(self, text: str) -> object:
        """Read a value from an environment variable; lists are separated by commas.

        Raises:
            ValueError: Saying what it must be.
        """
        if self.is_optional and not text:
            return None
        if not self.is_many:
            return self._one(self._guess(text), Path())
        items = [item.strip() for item in text.split(",") if item.strip()]
        return tuple(self._one(self._guess(item), Path()) for item in items)

    def render(self, value: object) -> str:
        """Return how TOML writes ``value``."""
        if isinstance(value, tuple):
            return "[" + ", ".join(self.render(item) for item in value) + "]"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return repr(value)
        return json.dumps(str(value), ensure_ascii=False)

    @property
    def name(self) -> str:
        """What one value must be, in words."""
        if issubclass(self.kind, enum.StrEnum):
            return "one of " + ", ".join(json.dumps(item.value) for item in self.kind)
        return _NAMES[self.kind]

    def _guess(self, text: str) -> object:
        """Turn text into what TOML would have given; wrong text stays text."""
        if self.kind is bool:
            return _WORDS.get(text.lower(), text)
        if self.kind is int or self.kind is float:
            try:
                return self.kind(text)
            except ValueError:
                return text
        return text

    def _one(self, value: object, directory: Path) -> object:
        if self.kind is bool or isinstance(value, bool):
            fits = self.kind is bool and isinstance(value, bool)
        elif self.kind is float:
            fits = isinstance(value, int | float) and math.isfinite(value)
        elif self.kind is int:
            fits = isinstance(value, int)
        else:
            fits = isinstance(value, str)
        if not fits:
            raise ValueError(f"must be {self.name}")
        if self.kind is Path:
            return directory / Path(str(value)).expanduser()
        try:
            return self.kind(value)
        except ValueError:
            raise ValueError(f"must be {self.name}") from None


def unwrap_new_type(annotation: object) -> object:
    """Return what a ``NewType`` is made of."""
    while isinstance(annotation, typing.NewType):
        annotation = annotation.__supertype__
    return annotation


def unwrap_optional(annotation: object) -> tuple[object, bool]:
    """Return ``X`` and whether the annotation was ``X | None``."""
    plain = unwrap_new_type(annotation)
    if typing.get_origin(plain) in (typing.Union, types.UnionType):
        members = [arg for arg in typing.get_args(plain) if arg is not types.NoneType]
        if len(members) == 1:
            return unwrap_new_type(members[0]), True
    return plain, False


def _is_scalar(kind: type) -> bool:
    return kind in _NAMES or issubclass(kind, enum.StrEnum)
