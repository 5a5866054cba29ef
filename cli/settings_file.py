"""Writes settings dataclasses as the TOML that `psp.runtime.settings` reads."""

import dataclasses
import json
from pathlib import Path


def to_toml(config: object) -> str:
    """Return every setting of a frozen dataclass and of those within it.

    Raises:
        TypeError: If a value has no place in a settings file.
    """
    lines: list[str] = []
    _write(config, (), lines)
    return "\n".join(lines) + "\n"


def _write(config: object, path: tuple[str, ...], lines: list[str]) -> None:
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"{type(config)} is not a settings dataclass")
    tables: list[tuple[str, object]] = []
    if path:
        lines += ["", f"[{'.'.join(path)}]"]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            tables.append((field.name, value))
        elif value is not None:
            lines.append(f"{field.name} = {_literal(value)}")
    for name, table in tables:
        _write(table, (*path, name), lines)


def _literal(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str() | Path():
            # A JSON string is a TOML basic string.
            return json.dumps(str(value))
        case tuple() | list():
            return "[" + ", ".join(map(_literal, value)) + "]"
        case _:
            raise TypeError(f"{type(value)} has no place in a settings file")
