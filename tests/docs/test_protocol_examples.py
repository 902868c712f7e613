"""The protocol's document, held against the program: examples, fields, reasons and numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from inspector import messages, protocol
from inspector.inspection import Outcome, Reason
from inspector.messages import Entry, FromEjector, FromLine, decode_from_ejector, decode_from_line, encode

TEXT = (Path(__file__).parents[2] / "docs" / "PROTOCOL.md").read_text()
EXAMPLES = re.findall(r"^```json\n(.*?)\n```$", TEXT, re.MULTILINE | re.DOTALL)
LINE_SAYS, EJECTOR_SAYS = TEXT.split("\n## From the line\n")[1].split("\n## From the ejector\n")
MESSAGES: tuple[type[msgspec.Struct], ...] = (*get_args(FromLine), *get_args(FromEjector))


def tag(message: type[msgspec.Struct]) -> str:
    return str(message.__struct_config__.tag)


def decode(text: str) -> FromLine | FromEjector:
    """As the end would that it is meant for."""
    return (decode_from_line if text in LINE_SAYS else decode_from_ejector)(text.encode())


def section(heading: str) -> str:
    """The text below a heading, up to the next one."""
    found = re.search(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {heading}"
    return found[1]


def table(text: str, header: str) -> list[list[str]]:
    """The rows of the table whose first column has that header, the backticks removed."""
    found = next(block for block in text.split("\n\n") if block.strip().startswith(f"| {header} |"))
    return [[cell.strip("`") for cell in line.strip("| ").split(" | ")] for line in found.strip().splitlines()[2:]]


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: re.findall(r'"type":"(\w+)"', text)[0])
def test_an_example_is_what_the_program_sends(text: str) -> None:
    assert encode(decode(text)).decode() == text


@pytest.mark.parametrize("message", MESSAGES, ids=tag)
def test_a_message_has_an_example_and_all_its_fields_in_their_order(message: type[msgspec.Struct]) -> None:
    text = section(f"`{tag(message)}`")
    shown = [type(decode(example)) for example in EXAMPLES if example in text]
    assert shown == [message]
    assert [row[0] for row in table(text, "field")] == list(message.__struct_fields__)


def test_an_entry_has_all_its_fields_in_their_order() -> None:
    assert [row[0] for row in table(section("An entry"), "field")] == list(Entry.__struct_fields__)


def test_every_reason_is_explained_with_its_outcome() -> None:
    rows = table(section("An entry"), "reason")
    assert [row[0] for row in rows] == [reason.value for reason in Reason]
    assert [row[1] for row in rows] == [
        (Outcome.REJECT if reason is Reason.ABOVE_LIMIT else Outcome.ERROR).value for reason in Reason
    ]


def test_the_numbers_are_those_of_the_program() -> None:
    rows = table(section("Numbers"), "constant")
    assert len(rows) == 13
    for name, value, _ in rows:
        number, _, unit = value.partition(" ")
        expected = int(number) * (protocol.MS if unit == "ms" else 1)
        assert expected == getattr(protocol, name, getattr(messages, name, None)), name


def test_every_constant_of_the_protocol_is_in_the_table() -> None:
    named = {row[0] for row in table(section("Numbers"), "constant")}
    constants = {name for name, value in vars(protocol).items() if name.isupper() and isinstance(value, int)}
    assert constants - {"MS", "VERSION"} <= named


def test_the_document_is_about_the_version_that_the_program_speaks() -> None:
    assert TEXT.startswith(f"# The reject protocol, version {messages.VERSION}\n")
