"""The wire: what is not a message is refused, whatever it is."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.errors import LinkError
from inspector.inspection import Outcome, Reason
from inspector.messages import (
    MAX_BYTES,
    PAGE,
    Ack,
    Entries,
    Entry,
    Fetch,
    FromEjector,
    FromLine,
    Heartbeat,
    Hello,
    Pulse,
    Refusal,
    Tell,
    Welcome,
    decode_from_ejector,
    decode_from_line,
    encode,
)

whole = st.integers(-(2**63), 2**63 - 1)
names = st.text(max_size=32)
entries = st.builds(
    Entry,
    sequence=st.integers(1, 2**53 - 1),
    boot=names,
    outcome=st.sampled_from(Outcome),
    reason=st.none() | st.sampled_from(Reason),
    captured_us=st.none() | whole,
    part_ref=st.none() | st.text(max_size=128),
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
from_line = st.one_of(
    st.builds(Hello, whole, st.text(), names, whole),
    st.builds(Fetch, whole),
    st.builds(Tell, names, entries, whole),
    st.builds(Heartbeat, names, whole, st.floats(allow_nan=False, allow_infinity=False), whole),
)
from_ejector = st.one_of(
    st.builds(Welcome, st.text(), whole, whole, whole, whole),
    st.builds(Entries, whole, st.lists(entries, max_size=4), st.booleans()),
    st.builds(Ack, entries),
    st.builds(Pulse, st.text(), whole, whole),
    st.builds(Refusal, st.text()),
)


def read_from_line(data: bytes) -> FromLine | None:
    """None: refused, in the one way that the ejector expects."""
    try:
        return decode_from_line(data)
    except LinkError:
        return None


def read_from_ejector(data: bytes) -> FromEjector | None:
    try:
        return decode_from_ejector(data)
    except LinkError:
        return None


@given(from_line)
def test_every_message_of_the_line_arrives_as_it_was_sent(message: FromLine) -> None:
    assert decode_from_line(encode(message)) == message


@given(from_ejector)
def test_every_message_of_the_ejector_arrives_as_it_was_sent(message: FromEjector) -> None:
    assert decode_from_ejector(encode(message)) == message


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_by_both_ends(data: bytes) -> None:
    assert read_from_line(data) is None
    assert read_from_ejector(data) is None


@given(message=from_line | from_ejector, share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_message_is_refused(message: FromLine | FromEjector, share: float) -> None:
    data = encode(message)
    cut = data[: int(len(data) * share)]
    assert read_from_line(cut) is None
    assert read_from_ejector(cut) is None


@given(message=from_line | from_ejector, at=st.integers(0), byte=st.integers(0, 255))
def test_a_damaged_message_is_refused_or_still_a_message(message: FromLine | FromEjector, at: int, byte: int) -> None:
    data = bytearray(encode(message))
    data[at % len(data)] = byte
    for seen in (read_from_line(bytes(data)), read_from_ejector(bytes(data))):
        assert seen is None or isinstance(seen, FromLine | FromEjector)


@given(message=from_line, key=st.text(min_size=1), value=st.none() | st.integers(0, 9) | st.text())
def test_an_unknown_field_is_refused(message: FromLine, key: str, value: object) -> None:
    document = msgspec.json.decode(encode(message))
    known = key in document
    document[key] = value
    refused = read_from_line(msgspec.json.encode(document)) is None
    assert refused or known


@given(from_ejector)
def test_each_end_refuses_the_messages_that_it_sends_itself(message: FromEjector) -> None:
    assert read_from_line(encode(message)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'{"type":"unknown"}',
        b'{"type":"fetch"}',
        b'{"type":"fetch","after":"1"}',
        b'{"type":"fetch","after":1.5}',
        b'{"type":"fetch","after":NaN}',
        b'{"type":"hello","version":1,"line":"\xff","boot":"a","sent_ns":1}',
        b'{"a":' + b"[" * 100_000,
        b'{"type":"fetch","after":' + b"9" * 5000 + b"}",
    ],
    ids=["empty", "null", "list", "type", "missing", "text", "float", "nan", "utf8", "nesting", "digits"],
)
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(LinkError, match="refused"):
        decode_from_line(data)
    with pytest.raises(LinkError, match="refused"):
        decode_from_ejector(data)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sequence": 0},
        {"sequence": -1},
        {"sequence": 2**53},
        {"outcome": "PASS"},
        {"outcome": None},
        {"reason": "fine"},
        {"boot": "b" * 33},
        {"part_ref": "r" * 129},
    ],
    ids=str,
)
def test_an_entry_that_no_line_would_send_is_refused(wrong: dict[str, object]) -> None:
    entry = {"sequence": 1, "boot": "b", "outcome": "GOOD", "reason": None}
    right = msgspec.json.encode({"type": "verdict", "ejector": "e", "entry": entry, "deadline_ns": 1})
    forged = msgspec.json.encode({"type": "verdict", "ejector": "e", "entry": {**entry, **wrong}, "deadline_ns": 1})
    assert read_from_line(right) is not None
    assert read_from_line(forged) is None


def test_a_message_over_the_limit_is_refused_before_it_is_read() -> None:
    message = encode(Refusal("x" * MAX_BYTES))
    with pytest.raises(LinkError, match=str(MAX_BYTES)):
        decode_from_ejector(message)
    with pytest.raises(LinkError, match=str(MAX_BYTES)):
        decode_from_line(b" " * (MAX_BYTES + 1))


def test_a_page_of_the_longest_entries_is_within_the_limit() -> None:
    longest = Entry(
        sequence=2**53 - 1,
        boot="\0" * 32,  # six bytes each in JSON: the worst case
        outcome=Outcome.REJECT,
        reason=Reason.UNACKNOWLEDGED,
        captured_us=-(2**63),
        part_ref="\0" * 128,
        score=-1.2345678901234567e-300,
    )
    data = encode(Entries(2**53 - 1, [longest] * PAGE, False))
    message = decode_from_ejector(data)
    assert isinstance(message, Entries)
    assert len(message.entries) == PAGE
