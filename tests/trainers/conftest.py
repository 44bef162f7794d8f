"""Runs small enough for a test."""

import sys

import pytest

pytest.importorskip("tensorflow")

import keras_has.data
from trainers.recipes import find_recipe


@pytest.fixture
def few_parts(monkeypatch):
    """Makes `parts` a set of 96 training and 40 validation images."""
    module = sys.modules[keras_has.data.parts.__module__]
    monkeypatch.setattr(module, "SPLITS", {"train": 96, "val": 40})


@pytest.fixture
def tiny_recipe():
    """Returns a recipe that trains for seconds."""

    def recipe(name="parts_has", **fields):
        small = {"epochs": 3, "batch_size": 32, "widths": (8, 16), "patch_size": (0, 8), **fields}
        return find_recipe(name).override(**small)

    return recipe
