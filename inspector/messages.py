"""What the line and the ejector say to each other: JSON objects, one per ZeroMQ message, told apart by `type`.

Unknown types, unknown fields, wrong types and oversized messages are refused. Times in the ejector's clock are meant
for the ejector alone: the line converts (see `protocol.py`).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from inspector.errors import LinkError
from inspector.inspection import Outcome, Reason

VERSION = 1
MAX_BYTES = 256 * 1024  # the largest honest message is one page of entries
PAGE = 200  # entries per page; so many of the longest fit into `MAX_BYTES`

Number = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]  # larger ones are not exact in every JSON reader
Boot = Annotated[str, msgspec.Meta(max_length=32)]
Reference = Annotated[str, msgspec.Meta(max_length=128)]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line of the ejector's journal: the one verdict of one part, for ever.

    Attributes:
        boot: the line's run that sent it.
        captured_us: when the part was seen, UTC microseconds; None: unknown (`unrecorded`).
        score: raw score, where there was one.
    """

    sequence: Number
    boot: Boot
    outcome: Outcome
    reason: Reason | None
    captured_us: int | None = None
    part_ref: Reference | None = None
    score: float | None = None


# -- line to ejector -----------------------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="hello"):
    """The line introduces one run of itself. Repeated until it is welcomed."""

    version: int
    line: str
    boot: Boot
    sent_ns: int


class Fetch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="fetch"):
    """Asks for journal entries with a sequence above `after`."""

    after: int


class Tell(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="verdict"):
    """A verdict; its times are in the clock of this run of the ejector. Resent until acknowledged.

    Attributes:
        seen_ns: when the line saw the part, which says where it is on the belt; None: the line no longer knows.
    """

    ejector: str
    entry: Entry
    deadline_ns: int
    seen_ns: int | None = None


class Heartbeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="heartbeat"):
    """The line lives. `loop_age_ms`: since its inference loop last came round; `settled`: all up to here are safe."""

    boot: str
    sent_ns: int
    loop_age_ms: float
    settled: int


# -- ejector to line -----------------------------------------------------------------------------------------------


class Welcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="welcome"):
    """Answer to Hello.

    Attributes:
        forgotten: entries up to this sequence may be deleted: the line had confirmed them; 0: none.
        last: largest sequence that the journal holds; 0 when it is empty.
    """

    ejector: str
    echo_ns: int
    now_ns: int
    forgotten: int
    last: int


class Entries(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="entries"):
    """Answer to Fetch, ascending; `more`: fetch again after the last one."""

    after: int
    entries: list[Entry]
    more: bool


class Ack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="ack"):
    """The verdict is in the journal: as sent, or as it already stood there."""

    entry: Entry


class Pulse(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="pulse"):
    """Answer to Heartbeat."""

    ejector: str
    echo_ns: int
    now_ns: int


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="refusal"):
    """The ejector will not take what was sent, and why."""

    why: str


FromLine = Hello | Fetch | Tell | Heartbeat
FromEjector = Welcome | Entries | Ack | Pulse | Refusal

_from_line: msgspec.json.Decoder[FromLine] = msgspec.json.Decoder(FromLine)
_from_ejector: msgspec.json.Decoder[FromEjector] = msgspec.json.Decoder(FromEjector)
_encoder = msgspec.json.Encoder()
# msgspec reports broken UTF-8 and bottomless nesting in Python's own words.
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def encode(message: FromLine | FromEjector) -> bytes:
    """A message as JSON."""
    return _encoder.encode(message)


def decode_from_line(data: bytes) -> FromLine:
    """What the ejector received.

    Raises:
        LinkError: it is not a message of the line.
    """
    try:
        return _from_line.decode(_bounded(data))
    except _REFUSED as error:
        raise LinkError(f"refused {len(data)} bytes that are no message of a line: {error}") from error


def decode_from_ejector(data: bytes) -> FromEjector:
    """What the line received.

    Raises:
        LinkError: it is not a message of the ejector.
    """
    try:
        return _from_ejector.decode(_bounded(data))
    except _REFUSED as error:
        raise LinkError(f"refused {len(data)} bytes that are no message of an ejector: {error}") from error


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise LinkError(f"refused a message of {len(data)} bytes, the limit is {MAX_BYTES}")
    return data
