"""Printing (cli/output.py)."""

import json

from cli.output import print_error, print_json, print_table


def test_json_is_one_line_that_reads_back(capsys):
    value = {"text": "[bold]x[/]", "list": [1, 2.5, None], "long": "y" * 500}

    print_json(value)

    text = capsys.readouterr().out
    assert text.count("\n") == 1
    assert json.loads(text) == value


def test_an_error_goes_to_stderr_as_it_is(capsys):
    print_error("/tmp/[odd]/path: [/no] markup")

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: /tmp/[odd]/path: [/no] markup\n"


def test_a_table_shows_every_cell(capsys):
    print_table("title", ["name", "value"], [["a[b]", "1"], ["c", "22"]])

    text = capsys.readouterr().out
    assert "a[b]" in text
    assert "22" in text
