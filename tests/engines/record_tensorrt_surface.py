"""What a version of TensorRT's Python module has, without a GPU and without TensorRT: names and signatures, as JSON.

The wheel of the bindings alone is on PyPI. What it links against can be stubs, since nothing is called:

    pip download --no-deps tensorrt-cu12-bindings==10.3.0 && unzip *.whl
    for name in nvinfer nvinfer_plugin nvonnxparser; do
        gcc -shared -fPIC -Wl,-soname,lib$name.so.10 -o lib$name.so.10 stub.c     # .so.11 for 11.x
    done                     # stub.c: void *NAME() { return 0; } for each U line of `nm -D tensorrt.so` without @
    LD_LIBRARY_PATH=. PYTHONPATH=tensorrt_bindings python record_tensorrt_surface.py tensorrt_surface.json 10.3.0

adds the version to the file. Recorded so: 10.3.0, 10.16.1.11 (CUDA 12) and 11.4.0.106 (CUDA 13).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

CLASSES = (
    "BuilderFlag", "Builder", "DataType", "EngineInspector", "IBuilderConfig", "ICudaEngine", "IExecutionContext",
    "IHostMemory", "ILogger", "IProgressMonitor", "ITimingCache", "LayerInformationFormat",
    "NetworkDefinitionCreationFlag", "OnnxParser", "ProfilingVerbosity", "Runtime", "TensorIOMode",
)  # fmt: skip


def signatures(owner: object, name: str) -> list[str]:
    """Its signatures, one per overload; empty: it is a value or a property."""
    text = getattr(owner, name).__doc__ or ""
    return re.findall(rf"^(?:\d+\. )?({name}\(self.*\) -> .*)$", text, re.MULTILINE)


def main() -> None:
    import tensorrt

    path = Path(sys.argv[1])
    known = json.loads(path.read_text()) if path.exists() else {}
    known[sys.argv[2]] = {
        owner: {name: signatures(getattr(tensorrt, owner), name) for name in dir(getattr(tensorrt, owner))
                if not name.startswith("_") or name == "__init__"}
        for owner in CLASSES
    }  # fmt: skip
    path.write_text(json.dumps(known, indent=0, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
