"""The tables and keys that a settings dataclass stands for."""

import dataclasses
import typing
from dataclasses import dataclass

from psp.runtime.docstrings import attribute_docs
from psp.runtime.setting_types import SettingType, unwrap_optional

MISSING = dataclasses.MISSING
"""The default of a key that must be given."""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting.

    Attributes:
        name: As in the file.
        type: What its value may be.
        doc: What the docstring says of it.
        default: Its value when it is not given, or `MISSING`.
    """

    name: str
    type: SettingType
    doc: str
    default: object


@dataclass(frozen=True, slots=True)
class Table:
    """A dataclass and what may be set in it.

    Attributes:
        kind: The dataclass.
        path: Names of the tables above and of this one; empty for the file itself.
        doc: First line of the docstring, or what the table above says of it.
        keys: By name, in the dataclass's order.
        tables: Tables within, by name.
        is_optional: None stands for a table that is not given.
    """

    kind: type
    path: tuple[str, ...]
    doc: str
    keys: dict[str, Key]
    tables: dict[str, "Table"]
    is_optional: bool = False


def read_schema(
    kind: type,
    path: tuple[str, ...] = (),
    doc: str = "",
    *,
    is_optional: bool = False,
) -> Table:
    """Return the table for a dataclass; fields of other types are left out."""
    docs = attribute_docs(kind)
    hints = typing.get_type_hints(kind)
    keys: dict[str, Key] = {}
    tables: dict[str, Table] = {}
    for field in dataclasses.fields(kind):
        name, field_doc = field.name, docs.get(field.name, "")
        plain, may_be_none = unwrap_optional(hints[name])
        if isinstance(plain, type) and dataclasses.is_dataclass(plain):
            tables[name] = read_schema(
                plain, (*path, name), field_doc, is_optional=may_be_none
            )
            continue
        value_type = SettingType.of(hints[name])
        if value_type is not None:
            keys[name] = Key(name, value_type, field_doc, _default(field))
    first_line = (kind.__doc__ or "").strip().partition("\n")[0]
    return Table(kind, path, doc or first_line, keys, tables, is_optional)


def _default(field: "dataclasses.Field[object]") -> object:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default
