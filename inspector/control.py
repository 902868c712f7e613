"""Control: questions and orders to a running line, over a socket that only the line's own user can open.

ZeroMQ REQ to REP, one JSON object each way, told apart by `type`. The socket lies in a folder of mode 0700 below the
line's data directory; whoever may open it may change the product.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Union

import msgspec
import structlog
import zmq

from inspector.errors import ControlError

MAX_BYTES = 64 * 1024
POLL_MS = 200
FOLDER, SOCKET = "control", "line"

log = structlog.get_logger("control")


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="products"):
    """Which products there are and what state they are in."""


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="change"):
    """Put another product in force."""

    product: str
    operator: str


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="listed"):
    """The products of a line.

    Attributes:
        in_force: judges the parts that are numbered now.
        recipe: its recipe's checksum.
        engine: that its recipe was calibrated on, which is the one that judges.
        loading: is being opened to be put in force; "": none.
        failure: why the last change failed; "": it did not.
        open_mb: that are open, and what opening each took.
    """

    in_force: str
    recipe: str
    engine: str
    loading: str
    failure: str
    open_mb: dict[str, float]


class Changed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="changed"):
    """What became of a change.

    Attributes:
        state: "changed"; "loading": it will be in force once it is loaded; "failed": the old product goes on.
        detail: why.
        first: the number of the first part that the new product judges.
        took_ms: from the request to the new product in force.
    """

    state: Literal["changed", "loading", "failed"]
    detail: str = ""
    first: int = 0
    took_ms: float = 0.0


class Refused(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="refused"):
    """The request was none."""

    why: str


Request = Union[Ask, Change]
Reply = Union[Listed, Changed, Refused]


class Control:
    """The line's end, on a thread of its own."""

    def __init__(self, data_dir: Path, answer: Callable[[Request], Reply]) -> None:
        self._data_dir, self._answer = data_dir, answer
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop listening; may be called twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            (self._data_dir / FOLDER).mkdir(mode=0o700, exist_ok=True)
            os.chmod(self._data_dir / FOLDER, 0o700)
            with zmq.Context() as context, context.socket(zmq.REP) as socket:
                socket.linger = 0
                socket.setsockopt(zmq.MAXMSGSIZE, MAX_BYTES)
                socket.bind(endpoint(self._data_dir))
                self._serve(socket)
        except (OSError, zmq.ZMQError) as error:  # parts are judged without it too
            log.error("no control socket; the product can't be changed while the line runs", why=str(error))

    def _serve(self, socket: zmq.Socket[bytes]) -> None:
        while not self._stopping.is_set():
            if socket.poll(POLL_MS):
                socket.send(msgspec.json.encode(self._reply(socket.recv())))

    def _reply(self, data: bytes) -> Reply:
        try:
            return self._answer(msgspec.json.decode(data, type=Request))
        except msgspec.MsgspecError as error:
            return Refused(f"not a request that this line knows: {error}")


def ask(data_dir: Path, request: Request, timeout_s: float = 5.0) -> Listed | Changed:
    """Ask the line that runs on a data directory.

    Raises:
        ControlError: no line answers, or it refuses.
    """
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_BYTES)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        try:
            socket.connect(endpoint(data_dir))
            if not socket.poll(round(timeout_s * 1e3), zmq.POLLOUT):
                raise ControlError(f"no line runs on {data_dir}, or it is another user's; start it: inspector run")
            socket.send(msgspec.json.encode(request))
            if not socket.poll(round(timeout_s * 1e3)):
                raise ControlError(f"the line on {data_dir} does not answer within {timeout_s:g} s; see its log")
            reply: Reply = msgspec.json.decode(socket.recv(), type=Reply)
        except (zmq.ZMQError, msgspec.MsgspecError) as error:
            raise ControlError(f"cannot talk to the line on {data_dir}: {error}") from error
    if isinstance(reply, Refused):
        raise ControlError(reply.why)
    return reply


def endpoint(data_dir: Path) -> str:
    """Of a line's control socket."""
    return f"ipc://{(data_dir / FOLDER / SOCKET).absolute()}"
