"""Where a network is trained, and in which precision. The CUDA side has not yet run on a GPU."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping

import torch

from engines.errors import TrainingError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def choose_device(wanted: str = "auto") -> torch.device:
    """The device of a run; under torchrun each process of a machine takes the GPU of its local rank.

    Args:
        wanted: "auto" (a GPU if there is one), "cpu" or "cuda".

    Raises:
        TrainingError: unknown, or there is no GPU.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise TrainingError(f"unknown device {wanted!r}; choose auto, cpu or cuda")
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise TrainingError("device 'cuda': PyTorch finds no GPU; train with --device cpu, or mend driver and PyTorch")
    torch.backends.cudnn.deterministic = True  # the same seed gives the same network
    torch.backends.cudnn.benchmark = False
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, instead of giving large blocks back at once.

    Every step frees and asks for the same blocks again, and glibc's default maps each anew: the kernel's zeroing of
    their pages took a third of the teacher's time. Elsewhere than on glibc nothing happens (mallopt(3)).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 2**30)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def fast_precision(device: torch.device) -> torch.autocast:
    """What the convolutions are computed in: the fastest that holds on this device.

    CPU: BF16 where it multiplies BF16 in hardware, plain FP32 elsewhere: without AVX512-BF16 or AMX a BF16 step takes
    ten times as long as one in FP32 (measured on an AVX2 machine). CUDA: BF16, or FP16 before Ampere.
    """
    if device.type == "cuda":
        return torch.autocast("cuda", torch.float16 if needs_loss_scale(device) else torch.bfloat16)
    known = getattr(torch.cpu, "get_capabilities", dict)  # older PyTorch can't tell: FP32 there
    return torch.autocast("cpu", torch.bfloat16, enabled=has_bf16(known()))


def has_bf16(capabilities: Mapping[str, object]) -> bool:
    """Whether a CPU of these capabilities (`torch.cpu.get_capabilities`) multiplies BF16 in hardware."""
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16"))


def needs_loss_scale(device: torch.device) -> bool:
    """Whether gradients are FP16, whose small values vanish unless the loss is scaled up."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0)
