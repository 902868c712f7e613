"""Distances by their formulas."""

from __future__ import annotations

import torch

from engines.dskd.anomaly_map import cosine_distance, discrepancy, squared_distance


def test_the_distances_are_those_of_their_formulas() -> None:
    generator = torch.Generator().manual_seed(0)
    t, s = (torch.randn((2, 4, 8, 8), generator=generator) for _ in range(2))
    torch.testing.assert_close(squared_distance(t, s), ((t - s) ** 2).sum(1) / 4)
    expected = 1 - (t * s).sum(1) / (t.norm(dim=1) * s.norm(dim=1))
    torch.testing.assert_close(cosine_distance(t, s), expected)
    torch.testing.assert_close(discrepancy((t, s), (s, s), "cosine")[0], expected)
    assert float(discrepancy((t, s), (s, s), "l2")[1].abs().max()) == 0
