"""What the page says, in each language."""

from __future__ import annotations

import string

import pytest

from inspector.page.texts import TEXTS, preferred


def names_in(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", TEXTS)
def test_a_text_says_the_same_values_in_each_language(key: str) -> None:
    english, german = TEXTS[key]
    assert english
    assert german
    assert names_in(english) == names_in(german)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr,de;q=0.5", "de"),
        ("en-GB,de", "en"),
        ("fr", "en"),
        ("", "en"),
        ("*", "en"),
    ],
)
def test_the_first_language_that_the_page_knows_is_spoken(accepted: str, language: str) -> None:
    assert preferred(accepted) == language
