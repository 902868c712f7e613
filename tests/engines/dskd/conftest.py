"""Small trainings on one thread, since two would wait for each other longer than they work; and teachers of noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from engines.dskd.backbones import load_teacher, teacher_spec
from engines.dskd.method import Method
from engines.dskd.network import Dskd

MakeNetwork = Callable[[str, Method], Dskd]


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Of a teacher, a file of random weights with all levels; a public file also has a classifier."""
    folder = tmp_path_factory.mktemp("weights")

    def make(name: str) -> Path:
        path = folder / f"{name}.pth"
        if not path.exists():
            torch.manual_seed(0)
            teacher = teacher_spec(name).build((4, 8, 16, 32))
            _settle(teacher)
            torch.save({**teacher.state_dict(), "fc.weight": torch.zeros(1000, 512)}, path)
        return path

    return make


@pytest.fixture(scope="session")
def make_network(random_weights: Callable[[str], Path]) -> MakeNetwork:
    """An untrained network over a teacher of random weights, ready for inference."""

    def make(name: str, method: Method) -> Dskd:
        teacher = load_teacher(name, random_weights(name), method.levels)
        torch.manual_seed(1)
        return Dskd(teacher, teacher_spec(name), method).eval()

    return make


def _settle(teacher: nn.Module) -> None:
    """Running statistics of noise, as training would leave them: without them deep features vanish."""
    norms = [module for module in teacher.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        teacher.train()(torch.randn((2, 3, 64, 64)))
