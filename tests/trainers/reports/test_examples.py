"""Every example in a docstring of the reports gives what it says."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "box_failures",
        "occlusion",
        "page",
        "plots",
        "proportions",
        "samples",
        "segment_failures",
        "tiles",
    ],
)
def test_examples_run(name):
    results = doctest.testmod(importlib.import_module(f"trainers.reports.{name}"))
    assert results.attempted > 0
    assert results.failed == 0
