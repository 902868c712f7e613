"""What a run needs to go on after kill -9: written whole or not at all, used only for the very same run.

The file is the sha256 of its payload, then the payload (torch.save of tensors and plain values): PyTorch itself does
not notice a flipped bit.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engines.dskd.features import Pictures
from engines.dskd.network import Dskd

FILE = "checkpoint.pt"
DIGEST_BYTES = 32
Say = Callable[[str], None]


@dataclass(slots=True)
class TrainingState:
    """Everything that changes while training. The batches need no state: each follows from seed and step.

    Attributes:
        step: steps that are done.
        steps: of the whole run; settled before its first.
        spent_s: time that went into the run so far, earlier processes included.
        best_weights: the students', where the select parts liked them best.
        select_loss: of the last look; None before the first.
    """

    network: Dskd
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    scaler: torch.amp.GradScaler
    steps: int
    step: int = 0
    spent_s: float = 0.0
    best_loss: float = float("inf")
    best_step: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    select_loss: float | None = None

    def weights(self) -> dict[str, Tensor]:
        """The network's state but for the teacher's, which never changes."""
        state: dict[str, Tensor] = self.network.state_dict()
        return {name: value.clone() for name, value in state.items() if not name.startswith("teacher.")}

    def students(self) -> dict[str, Tensor]:
        """The state of the students alone: what good parts say of the head says nothing, it is silent on them."""
        return {name: value for name, value in self.weights().items() if not name.startswith("segmentation.")}

    def pack(self) -> dict[str, Any]:
        """As tensors and plain values."""
        return {
            "weights": self.weights(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": torch.get_rng_state(),
            **{name: getattr(self, name) for name in _PLAIN},
        }

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Go back to where `pack` was called."""
        self.network.load_state_dict(packed["weights"], strict=False)
        self.optimiser.load_state_dict(packed["optimiser"])
        self.schedule.load_state_dict(packed["schedule"])
        self.scaler.load_state_dict(packed["scaler"])
        torch.set_rng_state(packed["random"])
        for name in _PLAIN:
            setattr(self, name, packed[name])


_PLAIN = ("steps", "step", "spent_s", "best_loss", "best_step", "best_weights", "select_loss")


def run_fingerprint(network: nn.Module, fit: Pictures, select: Pictures, *facts: object) -> str:
    """SHA-256 of all that a run's result depends on: weights to start from, pictures, and `facts` by their repr."""
    digest = hashlib.sha256(repr((str(torch.__version__), fit.shape, select.shape, facts)).encode())
    for value in network.state_dict().values():
        digest.update(value.cpu().contiguous().numpy().tobytes())
    for pictures in (fit, select):
        for picture in pictures:
            digest.update(picture.tobytes())
    return digest.hexdigest()


def save_checkpoint(folder: Path, run: str, state: TrainingState, say: Say) -> None:
    """Write the state of the run with that fingerprint; a full disk costs the checkpoint, not the run."""
    buffer = io.BytesIO()
    torch.save({"run": run, **state.pack()}, buffer)
    try:
        _write(folder, buffer.getbuffer())
    except OSError as error:
        say(f"no checkpoint in {folder}: {error.strerror}; the run goes on, but could not be resumed")


def load_checkpoint(folder: Path, run: str, say: Say) -> dict[str, Any] | None:
    """The packed state of the run with that fingerprint, or None to start afresh; `say` is told which and why."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        packed = read_checkpoint(folder)
    except (OSError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        say(f"checkpoint {path} is damaged ({error}); training starts afresh")
        return None
    if packed.get("run") != run:
        say(f"checkpoint {path} is of other pictures or settings; training starts afresh")
        return None
    say(f"going on at step {packed['step']} of {packed['steps']}, from {path}")
    return packed


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """The packed state in a folder, whichever run's it is.

    Raises:
        OSError, ValueError, RuntimeError, EOFError, UnpicklingError: there is none, or it is damaged.
    """
    data = (folder / FILE).read_bytes()
    payload = data[DIGEST_BYTES:]
    if hashlib.sha256(payload).digest() != data[:DIGEST_BYTES]:
        raise ValueError("its checksum is wrong")
    packed: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    return packed


def remove_checkpoint(folder: Path) -> None:
    """Forget the run: its result is safe, or it is not worth going on."""
    for name in (FILE, f".{FILE}.draft"):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _write(folder: Path, payload: memoryview) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{FILE}.draft"
    with open(draft, "wb") as file:
        file.write(hashlib.sha256(payload).digest())
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / FILE)
