"""Every example in a docstring runs and gives what it says."""

import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras_has  # noqa: E402

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(keras_has.__path__, prefix="keras_has.")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    known = {"keras": keras, "keras_has": keras_has, "np": np, "tf": tf}
    results = doctest.testmod(
        module, extraglobs=known, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    assert results.failed == 0


def test_public_classes_and_functions_have_an_example():
    public = [
        getattr(package, name)
        for package in (
            keras_has.callbacks,
            keras_has.evaluation,
            keras_has.cams,
            keras_has.layers,
            keras_has.metrics,
            keras_has.models,
        )
        for name in getattr(package, "__all__", None) or dir(package)
        if name[0].isupper()
    ]
    assert len(public) > 10
    without = [thing.__name__ for thing in public if "Example:" not in (thing.__doc__ or "")]
    assert without == []
