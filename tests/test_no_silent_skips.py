"""INSPECTOR_TESTS=all forbids skipping: what the machine lacks is a failure with a name."""

from __future__ import annotations

from pathlib import Path

import pytest

SKIPPING = """
import pytest

def test_that_lacks_something():
    pytest.skip("needs the package frobnicator")

@pytest.mark.gpu
def test_of_a_gpu():
    raise AssertionError("must not run without -m gpu")
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\nmarkers =\n    gpu: x\n    camera: x")
    hooks = (Path(__file__).parent / "conftest.py").read_text()
    pytester.makeconftest(hooks.replace('pytest_plugins = ["pytester"]', ""))
    pytester.makepyfile(SKIPPING)
    return pytester


def test_a_skipped_test_fails_when_all_are_asked_for(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSPECTOR_TESTS", "all")
    result = project.runpytest()
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*needs the package frobnicator*"])


def test_a_skipped_test_is_skipped_otherwise(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INSPECTOR_TESTS", raising=False)
    project.runpytest().assert_outcomes(skipped=2)
