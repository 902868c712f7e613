"""What each block costs at inference: python benchmarks/cost.py --teacher resnet18 --method dskd --size 256."""

from __future__ import annotations

import argparse

from engines.dskd.backbones import TEACHERS, teacher_spec
from engines.dskd.cost import measure_cost
from engines.dskd.method import METHODS, find_method
from engines.dskd.network import Dskd


def main() -> None:
    """Print the table; weights don't matter for it, so none are needed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", default="efficientnet_lite0", choices=sorted(TEACHERS))
    parser.add_argument("--method", default="dskd", choices=sorted(METHODS))
    parser.add_argument("--size", type=int, default=256, help="side of the input, px")
    given = parser.parse_args()
    spec, method = teacher_spec(given.teacher), find_method(given.method)
    blocks = measure_cost(Dskd(spec.build(method.levels), spec, method), given.size)
    print(f"{given.method}, teacher {given.teacher}, {given.size} px")
    print(f"{'block':<16}{'parameters / M':>16}{'GMAC':>8}")
    for block in blocks:
        print(f"{block.name:<16}{block.parameters / 1e6:>16.2f}{block.macs / 1e9:>8.3f}")
    total = sum(block.parameters for block in blocks), sum(block.macs for block in blocks)
    print(f"{'total':<16}{total[0] / 1e6:>16.2f}{total[1] / 1e9:>8.3f}")


if __name__ == "__main__":
    main()
