"""The reference pages name everything that there is: each error, limit, command, option, setting and public name."""

import dataclasses
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

import streamrnn
from streamrnn import decode, errors
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


SETTINGS = (*get_args(decode.Settings), decode.EndpointSettings, decode.AnomalySettings, decode.Generation)


def settings_fields(settings):
    """Name and default of each field; a default that is no plain value is None."""
    if dataclasses.is_dataclass(settings):
        return {field.name: field.default for field in dataclasses.fields(settings)}
    return {field.name: field.default for field in msgspec.structs.fields(settings)}


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__name__)
def test_every_field_of_a_decoders_settings_stands_in_its_section_with_its_default(settings):
    section = page("decoders.md").split(f"### {settings.__name__}\n")[1].split("\n##")[0]
    rows = {row[0]: row[1] for row in rows_of(section)}
    for name, default in settings_fields(settings).items():
        assert name in rows
        if isinstance(default, bool):
            assert rows[name] == str(default).lower()
        elif isinstance(default, int | float):
            assert float(rows[name]) == default
        elif isinstance(default, str):
            assert rows[name] == {"": "empty", " ": "a space"}.get(default, default)


def test_every_endpoint_rule_stands_with_its_defaults():
    rows = {row[0]: row[1:] for row in rows_of(page("decoders.md")) if len(row) == 4}
    for name in decode.EndpointSettings.__struct_fields__:
        rule = getattr(decode.EndpointSettings(), name)
        told = [str(value).lower() for value in msgspec.structs.astuple(rule)]
        assert rows[name] == told
    assert [cell.split("`")[1] for cell in find_row("`must_contain_nonsilence`")[1:]] == list(
        decode.Rule.__struct_fields__
    )


def find_row(text):
    """The cells of the first table row in the decoders' page that holds a text, as they are."""
    line = next(line for line in page("decoders.md").splitlines() if line.startswith("|") and text in line)
    return line.strip("| ").split("|")


def test_every_kind_and_field_of_an_event_stands_in_the_decoders():
    rows = {row[0] for row in rows_of(page("decoders.md"))}
    assert not {*decode.KINDS, *decode.Event.__struct_fields__} - rows
    words = next(row[1] for row in rows_of(page("decoders.md")) if row[0] == "words")
    assert [name for name in decode.Word.__struct_fields__ if f"`{name}`" not in words] == []
    tags = [settings.__struct_config__.tag for settings in get_args(decode.Settings)]
    assert [tag for tag in tags if f'`"kind": "{tag}"`' not in page("decoders.md")] == []
