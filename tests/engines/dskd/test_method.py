"""Switches: what they build, and which contradict each other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.dskd.method import METHODS, STRIDES, LossWeights, Method, find_method
from engines.errors import TrainingError

some_levels = st.lists(st.sampled_from(STRIDES), min_size=1, unique=True).map(lambda levels: tuple(sorted(levels)))


def test_the_presets_share_loss_levels_and_width() -> None:
    assert [(name, m.has_encoder, m.has_decoder) for name, m in METHODS.items()] == [
        ("dskd", True, True),
        ("plain", True, True),
        ("rd4ad", False, True),
        ("stfpm", True, False),
    ]
    assert len({(m.loss, m.mining, m.levels, m.width) for m in METHODS.values()}) == 1
    assert find_method("dskd") == Method()


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(TrainingError, match="dskd, plain, rd4ad, stfpm"):
        find_method("patchcore")


@pytest.mark.parametrize(
    ("switches", "why"),
    [
        ({"scored": "encoder", "embedding_input": "teacher"}, "builds no embedding"),
        ({"scored": "encoder", "detach": True}, "builds no decoder"),
        ({"embedding_input": "teacher", "detach": True}, "none flows"),
        ({"scored": "teacher"}, "scored 'teacher' is none of decoder, encoder, both"),
        ({"embedding_input": "decoder"}, "embedding_input 'decoder' is none of"),
        ({"metric": "l1"}, "metric 'l1'"),
        ({"loss": LossWeights(cosine_over="picture")}, "loss.cosine_over 'picture'"),  # type: ignore[arg-type]
        ({"levels": ()}, "empty"),
        ({"levels": (8, 4)}, "ascending"),
        ({"levels": (4, 4)}, "ascending"),
        ({"levels": (4, 64)}, "ascending strides of"),
        ({"levels": (4, 8), "scored_levels": (16,)}, "not all among the matched"),
        ({"loss": LossWeights(cosine=0, l2=0)}, "one of them > 0"),
        ({"loss": LossWeights(cosine=-1)}, ">= 0"),
        ({"mining": 1.5}, "mining 1.5"),
        ({"mining": float("nan")}, "mining nan"),
        ({"width": 0}, "width 0"),
        ({"painted": -0.1, "segmentation": False}, "painted -0.1"),
        ({"painted": 0.0}, "learns from painted and clean"),
        ({"painted": 1.0}, "learns from painted and clean"),
    ],
)
def test_switches_that_contradict_each_other_say_why(switches: dict[str, Any], why: str) -> None:
    with pytest.raises(TrainingError, match=why):
        Method(**switches)


@given(some_levels, st.data())
def test_any_matched_levels_may_be_scored(levels: tuple[int, ...], data: st.DataObject) -> None:
    scored = tuple(level for level in levels if data.draw(st.booleans()))
    method = Method(levels=levels, scored_levels=scored)
    assert method.maps == (scored or levels)
    assert method.size_multiple == 2 * levels[-1]
