"""Printing for people, and JSON for machines."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

out = Console()
err = Console(stderr=True)


def print_error(message: str) -> None:
    """Print one error in a sentence on one line, on stderr."""
    text = f"[bold red]error:[/] {escape(message)}"
    err.print(text, highlight=False, soft_wrap=True)


def note(message: str) -> None:
    """Print what a person should know on the way to the result, on stderr."""
    err.print(f"[dim]{escape(message)}[/]", highlight=False, soft_wrap=True)


def print_warning(message: str) -> None:
    """Print a warning in a sentence on one line, on stderr."""
    text = f"[bold yellow]warning:[/] {escape(message)}"
    err.print(text, highlight=False, soft_wrap=True)


def print_json(value: Mapping[str, object]) -> None:
    """Print one line of JSON on stdout."""
    out.out(json.dumps(value, separators=(",", ":")), highlight=False)


@contextmanager
def progress(text: str, *, is_quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Show on a terminal's stderr what is waited for; yields what changes the text."""
    if is_quiet or not err.is_terminal:
        yield lambda _: None
        return
    with err.status(text) as status:
        yield status.update


def print_facts(
    title: str, rows: Sequence[Sequence[str]], console: Console = out
) -> None:
    """Print names and values below a title, one a line, never cut."""
    width = max((len(name) for name, _ in rows), default=0)
    console.print(f"[bold]{escape(title)}[/]", highlight=False, soft_wrap=True)
    for name, value in rows:
        line = f"  {name:<{width}}  {value}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    texts: Sequence[str] = (),
) -> None:
    """Print a table on stdout; the first column and ``texts`` are left-aligned."""
    table = Table(title=title, title_justify="left", show_edge=False)
    for number, column in enumerate(columns):
        is_text = number == 0 or column in texts
        table.add_column(column, justify="left" if is_text else "right")
    for row in rows:
        table.add_row(*map(escape, row))
    out.print(table)
