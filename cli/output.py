"""Printing for people, and JSON for machines."""

import json
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

out = Console()
err = Console(stderr=True)


def print_error(message: str) -> None:
    """Print one error in a sentence, on stderr."""
    err.print(f"[bold red]error:[/] {_plain(message)}", highlight=False)


def print_json(value: Mapping[str, object]) -> None:
    """Print one line of JSON on stdout."""
    out.out(json.dumps(value, separators=(",", ":")), highlight=False)


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Print a table on stdout; all columns but the first are right-aligned."""
    table = Table(title=title, title_justify="left", show_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*map(_plain, row))
    out.print(table)


def _plain(text: str) -> str:
    """Keep brackets in paths and ids from being taken for markup."""
    return text.replace("[", "\\[")
