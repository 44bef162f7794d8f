"""Mutated models, weights and checkpoints: each is loaded or refused by name."""

import json

import keras
import pytest

from keras_has import export
from keras_has.models import C3D, SmallGAP, TemporalGAP
from keras_has.models.keras_files import load_keras_model
from keras_has.models.layer_type_weights import load_layer_type_weights
from trainers.engine.run_directory import RunDirectory
from trainers.engine.run_error import RunError

MODEL = 5_000
C3D_ARGUMENTS = {
    "feature_layer": "conv1a",
    "input_shape": (16, 32, 32, 3),
    "width_multiplier": 0.05,
}


def small_model():
    keras.utils.set_random_seed(1)
    layers = [
        keras.Input((4, 4, 3)),
        keras.layers.Conv2D(2, 3),
        keras.layers.BatchNormalization(),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dropout(0.5, seed=3),
        keras.layers.Dense(2),
    ]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse")
    return model


@pytest.fixture(scope="module")
def network():
    """One network for all checkpoints, because building it takes longer than loading them."""
    return small_model()


def temporal_model(folder):
    model = TemporalGAP(2, (None, 3), widths=(2,))
    export.export_temporal_localizer(model, folder / "model", ["a", "b"])


def image_model(folder):
    export.export_localizer(SmallGAP(2, (32, 32, 3), widths=(2, 2)), folder / "model", ["a", "b"])


def without_checksums(build):
    """Writes what older versions wrote."""

    def build_without(folder):
        build(folder)
        for path in folder.rglob("*.json"):
            fields = json.loads(path.read_text())
            fields.pop("sha256", None)
            path.write_text(json.dumps(fields))

    return build_without


def checkpoint(folder):
    RunDirectory(folder).save_checkpoint(small_model(), [{"loss": 0.5, "val_loss": None}])


def keras_file(folder):
    small_model().save(folder / "a.keras")


def hdf5_file(folder):
    small_model().save(folder / "a.h5")


def weights(folder):
    small_model().save_weights(folder / "a.weights.h5")


def c3d_weights(folder):
    C3D(**C3D_ARGUMENTS).save_weights(folder / "a.weights.h5")


def load_image_model(folder):
    return export.load_localizer(folder / "model")


def load_temporal_model(folder):
    return export.load_temporal_localizer(folder / "model")


# The files, their loader, and the numbers of inputs.
LOADERS = {
    "metadata for images": (
        image_model,
        "model/*.json",
        lambda folder: export.read_metadata(folder / "model"),
        1_000,
        100_000,
    ),
    "metadata for sequences": (
        temporal_model,
        "model/*.json",
        lambda folder: export.read_temporal_metadata(folder / "model"),
        1_000,
        100_000,
    ),
    "exported model for images": (
        without_checksums(image_model),
        ["model/*", "model/variables/*"],
        load_image_model,
        10,
        MODEL,
    ),
    "exported model for sequences": (
        without_checksums(temporal_model),
        ["model/*", "model/variables/*"],
        load_temporal_model,
        10,
        MODEL,
    ),
    ".keras file": (
        keras_file,
        "*.keras",
        lambda folder: load_keras_model(folder / "a.keras"),
        100,
        MODEL,
    ),
    "whole HDF5 model": (
        hdf5_file,
        "*.h5",
        lambda folder: load_keras_model(folder / "a.h5"),
        5,
        MODEL,
    ),
    "C3D weights": (
        c3d_weights,
        "*.h5",
        lambda folder: C3D(**C3D_ARGUMENTS, weights=folder / "a.weights.h5"),
        10,
        MODEL,
    ),
}


@pytest.mark.parametrize("name", LOADERS)
def test_damaged_models_are_loaded_or_refused_by_name(name, fuzz):
    build, patterns, load, inputs, soak = LOADERS[name]
    fuzz(name, build, patterns, load, inputs, soak)


@pytest.mark.parametrize("build", [image_model, temporal_model])
def test_every_damaged_file_of_an_exported_model_is_refused(build, fuzz):
    load = load_image_model if build is image_model else load_temporal_model
    name = f"checksums of {build.__name__}"
    patterns = ["model/*.pb", "model/variables/*"]
    outcomes = fuzz(name, build, patterns, load, 300, MODEL)
    assert outcomes["accepted"] == 0


def test_damaged_weights_by_layer_types_are_loaded_or_refused(network, fuzz):
    def load(folder):
        load_layer_type_weights(folder / "a.weights.h5", network.layers)

    fuzz("weights of layers", weights, "*.h5", load, 10, MODEL)


def test_damaged_weights_of_a_checkpoint_are_all_refused(network, fuzz):
    def load(folder):
        assert RunDirectory(folder).restore_checkpoint(network)[0]["loss"] == 0.5

    outcomes = fuzz("checkpoint", checkpoint, "*.h5", load, 300, MODEL, (RunError,))
    assert outcomes["accepted"] == 0


def test_damaged_checkpoints_without_a_checksum_are_loaded_or_refused(network, fuzz):
    def load(folder):
        RunDirectory(folder).restore_checkpoint(network)

    patterns, name = ["*.h5", "checkpoint.json"], "checkpoint without checksum"
    fuzz(name, without_checksums(checkpoint), patterns, load, 60, MODEL, (RunError,))
