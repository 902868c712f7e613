"""The protocol's document, held against the program."""

from __future__ import annotations

from pathlib import Path

from inspector.errors import LinkError
from inspector.messages import FromEjector, FromLine, decode_from_ejector, decode_from_line

DOCUMENT = Path(__file__).parents[2] / "docs" / "PROTOCOL.md"


def decode(text: str) -> FromLine | FromEjector:
    try:
        return decode_from_line(text.encode())
    except LinkError:
        return decode_from_ejector(text.encode())


def test_every_example_is_a_message_and_every_message_has_an_example() -> None:
    examples = [line.strip() for line in DOCUMENT.read_text().splitlines() if line.startswith('    {"')]
    shown = {type(decode(text)) for text in examples}
    assert shown == {*FromLine.__args__, *FromEjector.__args__}
