"""Printing for people, and JSON for machines."""

import json
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

out = Console()
err = Console(stderr=True)


def print_error(message: str) -> None:
    """Print one error in a sentence on one line, on stderr."""
    text = f"[bold red]error:[/] {escape(message)}"
    err.print(text, highlight=False, soft_wrap=True)


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
        table.add_row(*map(escape, row))
    out.print(table)
