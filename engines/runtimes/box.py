"""What an engine's figures hold for: the versions of the libraries that computed them, and the processor."""

from __future__ import annotations

import importlib.metadata
import platform
from functools import lru_cache
from pathlib import Path

from engines.runtimes.base import ENGINES, REFERENCE, engine_name

# Instruction sets that choose a kernel. The kernel's other flags come and go with the operating system.
DECISIVE = ("avx", "amx", "fma", "f16c", "sse4", "ssse3", "asimd", "sve", "bf16", "i8mm")


def box(engine: str) -> dict[str, str]:
    """Facts that a certificate of this engine depends on, beside bundle and recipe.

    Raises:
        RuntimeUnavailable: there is no such engine, or not the GPU that it runs on.
    """
    used = ENGINES[engine_name(engine)]
    libraries = dict.fromkeys((REFERENCE, used.library))
    return {**{library: version(library) for library in libraries}, "processor": processor(), **used.facts()}


def version(library: str) -> str:
    """Version of an installed package; "" where it has none."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""


@lru_cache(maxsize=1)
def processor() -> str:
    """Model and instruction sets of this CPU."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    facts = dict(reversed([line.split(":", 1) for line in lines if ":" in line]))  # the first core's
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    flags = facts.get("flags", facts.get("Features", "")).split()
    decisive = sorted(flag for flag in flags if flag.startswith(DECISIVE))
    return f"{facts.get('model name') or platform.machine()}: {' '.join(decisive)}"
