"""`import keras_has` alone registers what saved models need, and loads nothing heavy."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

pytest.importorskip("tensorflow")

from keras_has import layers, models

ROOT = Path(__file__).parents[1]


def run(code, *arguments):
    done = subprocess.run(  # noqa: S603, our own code
        [sys.executable, "-W", "error::DeprecationWarning:keras_has", "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": keras.backend.backend()},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_load_model_finds_every_layer_after_import_keras_has_alone(tmp_path):
    image = models.SmallGAP(
        2,
        (32, 32, 3),
        widths=(4, 4),
        preprocessing=[
            models.pixel_scaling("ResNet50"),
            layers.InputDropout(0.1),
            layers.HideAndSeek(8),
        ],
    )
    image.save(tmp_path / "image.keras")
    hide = layers.TemporalHideAndSeek(4)
    models.TemporalGAP(2, (None, 6), widths=(4,), preprocessing=hide).save(tmp_path / "time.keras")
    code = """if True:
        import sys
        import keras, keras_has
        for path in sys.argv[1:]:
            model = keras.models.load_model(path)
            print(*(type(layer).__name__ for layer in model.layers))
    """
    printed = run(code, str(tmp_path / "image.keras"), str(tmp_path / "time.keras"))
    for name in ("InputDropout", "HideAndSeek", "TemporalHideAndSeek", "TemporalPooling"):
        assert name in printed.split()


def test_the_import_needs_nothing_heavy_beyond_keras():
    code = """if True:
        import sys
        import keras  # It may have imported some of these itself.
        for name in ("cv2", "matplotlib", "tensorboard", "numba", "PIL", "trainers"):
            sys.modules[name] = None  # From here on, importing them fails.
        import keras_has
    """
    run(code)


def test_every_public_module_is_found_and_an_unknown_one_is_not():
    import keras_has

    for name in keras_has.__all__:
        assert getattr(keras_has, name).__name__ == f"keras_has.{name}"
    assert set(keras_has.__all__) <= set(dir(keras_has))
    with pytest.raises(AttributeError, match="utils"):
        keras_has.utils  # noqa: B018
