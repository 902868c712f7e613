"""The control socket answers its own user, refuses what it doesn't know, and never keeps the line from running."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from inspector.control import FOLDER, Ask, Change, Changed, Control, Listed, Reply, Request, ask, endpoint
from inspector.errors import ControlError


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="li") as path:  # a socket's path may have 107 characters at most
        yield Path(path)


@pytest.fixture
def control(folder: Path) -> Iterator[Control]:
    def answer(request: Request) -> Reply:
        if isinstance(request, Change):
            return Changed("changed", request.product, 7, 0.5)
        return Listed("ring", "c", "onnxruntime", "", "", {"ring": 0.0})

    made = Control(folder, answer)
    made.start()
    yield made
    made.close()


def test_each_question_has_its_answer(control: Control, folder: Path) -> None:
    assert ask(folder, Ask()) == Listed("ring", "c", "onnxruntime", "", "", {"ring": 0.0})
    assert ask(folder, Change("disc", "anna")) == Changed("changed", "disc", 7, 0.5)


def test_only_the_lines_own_user_can_reach_it(control: Control, folder: Path) -> None:
    ask(folder, Ask())
    assert stat.S_IMODE((folder / FOLDER).stat().st_mode) == 0o700


@pytest.mark.parametrize("data", [b"", b"{}", b'{"type":"stop"}', b'{"type":"products","more":1}', b"\xff\x00"])
def test_what_is_no_request_is_refused_and_the_next_one_is_answered(
    control: Control, folder: Path, data: bytes
) -> None:
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.connect(endpoint(folder))
        socket.send(data)
        assert socket.poll(20_000)
        assert b"refused" in socket.recv()
    assert isinstance(ask(folder, Ask()), Listed)


def test_without_a_line_the_question_says_so(folder: Path) -> None:
    with pytest.raises(ControlError, match="no line runs on"):
        ask(folder, Ask(), timeout_s=0.05)


def test_a_socket_that_cannot_be_made_is_no_reason_to_stop(folder: Path) -> None:
    (folder / FOLDER).write_text("in the way")
    control = Control(folder, lambda request: Changed("failed"))
    control.start()
    control._thread.join(20)
    assert not control._thread.is_alive()
    control.close()
