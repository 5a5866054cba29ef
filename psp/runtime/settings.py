"""Settings: one TOML file into frozen dataclasses, nothing unknown, nothing unsaid.

A dataclass is a table, its fields are keys, a field that is a dataclass is a table in
it. Types: str, int, float, bool, Path, string enums, tuples of one of these, and any of
them or None. A field of another type is for callers only and cannot be set.

``PSP_LISTEN_PORT`` in the environment overrides ``port`` in ``[listen]``. Relative paths
are relative to the file, those from the environment to the working directory.
"""

import difflib
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar, cast

from psp.errors import ConfigError
from psp.runtime.schema import MISSING, Key, Table, read_schema

T = TypeVar("T")

PREFIX = "PSP"

_MAX_FILE = 1 << 20
"""Bytes. No settings file is near this; a wrong path may be far above."""

_WIDTH = 86


def load(
    kind: type[T], path: Path | None = None, environ: Mapping[str, str] | None = None
) -> T:
    """Read ``path``, apply the environment, and build ``kind``.

    Args:
        kind: A frozen dataclass that documents its attributes.
        path: The file; None for defaults and environment alone.
        environ: Usually ``os.environ``; None for no overrides.

    Raises:
        ConfigError: Naming the file or variable, the key, the value and the fix.
    """
    given = {} if path is None else _read(path)
    reader = _Reader("settings" if path is None else str(path), path, environ or {})
    return cast("T", reader.build(read_schema(kind), given))


def variables(kind: type) -> dict[str, str]:
    """Return every environment variable known to ``kind``, and the key it overrides."""
    return {
        _variable(table, name): ".".join((*table.path, name))
        for table in _tables(read_schema(kind))
        for name in table.keys
    }


def unknown_variables(kind: type, environ: Mapping[str, str]) -> list[str]:
    """Return variables that look like ours and override nothing, for a warning.

    They are not refused: container platforms set variables named after services.
    """
    known = variables(kind)
    return sorted(
        name for name in environ if name.startswith(PREFIX + "_") and name not in known
    )


def sample(kind: type) -> str:
    """Return a documented settings file: defaults commented out, the rest to fill in."""
    blocks: list[str] = []
    for table in _tables(read_schema(kind)):
        header = _comment(table.doc)
        if table.path:
            commented = "# " if table.is_optional else ""
            header += f"{commented}[{'.'.join(table.path)}]\n"
        blocks.append(header)
        for key in table.keys.values():
            line = _sample_line(key)
            is_live = key.default is MISSING and not table.is_optional
            blocks.append(_comment(key.doc) + ("" if is_live else "# ") + line)
    return "\n".join(blocks)


class _Reader:
    """Builds dataclasses from one file and one environment."""

    def __init__(
        self, source: str, path: Path | None, environ: Mapping[str, str]
    ) -> None:
        self._source = source
        self._directory = Path() if path is None else path.parent
        self._environ = environ

    def build(self, table: Table, given: Mapping[str, object]) -> object:
        self._refuse_unknown(table, given)
        values = {
            name: value
            for name, key in table.keys.items()
            if (value := self._value(table, key, given)) is not MISSING
        }
        for name, inner in table.tables.items():
            inner_given = given.get(name)
            if inner.is_optional and inner_given is None and not self._overrides(inner):
                continue
            if not isinstance(inner_given, Mapping | None):
                raise self._error(table, name, inner_given, "must be a table")
            values[name] = self.build(inner, inner_given or {})
        try:
            return table.kind(**values)
        except ConfigError as error:
            where = f"[{'.'.join(table.path)}] " if table.path else ""
            raise ConfigError(f"{self._sources(table)}: {where}{error}") from None

    def _sources(self, table: Table) -> str:
        """Say where a table's values are from: the file, and what overrides it."""
        names = (_variable(table, name) for name in table.keys)
        overrides = [name for name in names if name in self._environ]
        return " with ".join((self._source, *overrides))

    def _value(self, table: Table, key: Key, given: Mapping[str, object]) -> object:
        variable = _variable(table, key.name)
        if variable in self._environ:
            text = self._environ[variable]
            try:
                return key.type.from_text(text)
            except ValueError as error:
                raise ConfigError(f"{variable}={text!r:.100}: {error}") from None
        if key.name in given:
            value = given[key.name]
            try:
                return key.type.from_toml(value, self._directory)
            except ValueError as error:
                raise self._error(table, key.name, value, str(error)) from None
        if key.default is MISSING:
            full_name = ".".join((*table.path, key.name))
            raise ConfigError(
                f"{self._source}: {full_name} is missing; set it, or {variable}, to "
                f"{key.type.name} ({key.doc})"
            )
        return MISSING

    def _refuse_unknown(self, table: Table, given: Mapping[str, object]) -> None:
        known = [*table.keys, *table.tables]
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                fix = f"did you mean {near[0]}?" if near else f"known: {known}"
                full_name = ".".join((*table.path, name))
                raise ConfigError(f"{self._source}: unknown key {full_name}; {fix}")

    def _overrides(self, table: Table) -> bool:
        return any(
            _variable(inner, name) in self._environ
            for inner in _tables(table)
            for name in inner.keys
        )

    def _error(self, table: Table, name: str, value: object, fix: str) -> ConfigError:
        full_name = ".".join((*table.path, name))
        return ConfigError(f"{self._source}: {full_name} = {value!r:.100}: {fix}")


def _read(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give a readable file") from None
    if len(data) > _MAX_FILE:
        raise ConfigError(f"{path}: larger than {_MAX_FILE} bytes; not a settings file")
    try:
        return tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def _tables(table: Table) -> Iterator[Table]:
    """Yield a table and those within, each after the one that holds it."""
    yield table
    for inner in table.tables.values():
        yield from _tables(inner)


def _variable(table: Table, name: str) -> str:
    return "_".join((PREFIX, *table.path, name)).upper()


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, _WIDTH))


def _sample_line(key: Key) -> str:
    if key.default is MISSING:
        return f'{key.name} = ""  # must be set: {key.type.name}\n'
    if key.default is None:
        return f"{key.name} =\n"
    return f"{key.name} = {key.type.render(key.default)}\n"
