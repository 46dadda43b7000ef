"""The reference pages name everything that there is: each error, limit, command, option and public name."""

import dataclasses
import re
from pathlib import Path
from typing import get_args

import pytest

import streamrnn
from streamrnn import errors
from streamrnn.cli import main
from streamrnn.model.kinds import Kind

REFERENCE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference"


def page(name):
    """The text of a reference page."""
    return (REFERENCE / name).read_text(encoding="utf-8")


def rows_of(text):
    """The cells of every table row, without backticks."""
    return [
        [cell.strip().strip("`") for cell in line.strip("| ").split("|")] for line in text.splitlines() if "|" in line
    ]


def test_every_error_stands_with_its_code_scope_and_flag():
    rows = {row[0]: row[1:4] for row in rows_of(page("errors.md")) if len(row) == 5}
    tree = [errors.StreamrnnError]
    for cls in tree:
        tree += cls.__subclasses__()
    for cls in tree[1:]:
        if cls.__module__ == errors.__name__:
            assert rows[cls.__name__] == [cls.code, cls.scope, "yes" if cls.retryable else "no"]


def test_every_limit_stands_with_its_default():
    rows = {row[0]: row[1] for row in rows_of(page("limits.md"))}
    for field in dataclasses.fields(streamrnn.Limits):
        assert rows[field.name] == str(field.default)


@pytest.mark.parametrize("command", ["serve", "stream", "generate", "inspect", "convert", "warmup", "demo"])
def test_every_option_stands_in_the_section_of_its_command(command, capsys):
    assert main([command, "--help"]) == 0
    options = set(re.findall(r"(?<!\S)--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    section = page("cli.md").split(f"## {command}\n")[1].split("\n## ")[0]
    missing = {option for option in options if option not in section} - {"--measure", "--header", "--no-header"}
    assert not missing


def test_every_public_name_stands_in_the_api():
    text = page("api.md")
    missing = [name for name in streamrnn.__all__ if not re.search(rf"\b{name}\b", text)]
    assert set(missing) <= {"StreamrnnError"}


def test_every_kind_and_field_of_a_node_stands_in_the_spec():
    text = page("spec.md")
    fields = [field for struct in (streamrnn.Node, streamrnn.Spec) for field in struct.__struct_fields__]
    kinds = [kind for family in get_args(Kind) for kind in get_args(family)]
    assert kinds
    assert [name for name in (*fields, *kinds) if f"`{name}`" not in text] == []
