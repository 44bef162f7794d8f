"""A training step with hiding and without, and the hiding alone as a share of the step.

  python -m benchmarks.training_step
  KERAS_BACKEND=jax python -m benchmarks.training_step  (on a GPU that TensorFlow has no build for)

On a CPU XLA and half precision, which are slow there, are measured on AlexNet alone; on a GPU all
is, with larger batches. A step of a second varies by more than the one
per cent that is asked about, so that the hiding is measured on its own, too.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import gc
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks.results import device, print_machine, record
from benchmarks.timing import compiled, interleaved
from keras_has.layers import HideAndSeek
from keras_has.models import AlexNetGAP, GAPClassifier

CLASSES = 1000
SIDE = 224
AIM = 1.01


def network(name: str, hides: bool) -> keras.Model:
    """Builds a network with or without hiding behind its normalisation."""
    keras.utils.set_random_seed(0)
    layers: list[keras.layers.Layer] = [keras.layers.Rescaling(1 / 127.5, offset=-1)]
    if hides:
        layers.append(HideAndSeek(seed=1))
    if name == "AlexNetGAP":
        return AlexNetGAP(CLASSES, (SIDE, SIDE, 3), preprocessing=layers)
    return GAPClassifier("ResNet50", CLASSES, (SIDE, SIDE, 3), preprocessing=layers)


def compare(name: str, mode: str, policy: str, batch_size: int, repeats: int) -> None:
    """Times steps of two networks that differ in hiding only."""
    if mode == "graph" and keras.backend.backend() != "tensorflow":
        return  # graphs are TensorFlow's
    keras.config.set_dtype_policy(policy)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (batch_size, SIDE, SIDE, 3)).astype("float32")
    images = keras.ops.convert_to_tensor(pixels)
    labels = keras.ops.convert_to_tensor(random.integers(0, CLASSES, batch_size))

    def step(hides: bool) -> Callable[[int], Any]:
        model = network(name, hides)
        model.compile(
            keras.optimizers.SGD(1e-3, momentum=0.9),
            "sparse_categorical_crossentropy",
            run_eagerly=mode == "eager",
            jit_compile=mode == "XLA",
        )
        return lambda number: float(model.train_on_batch(images, labels))

    layer = HideAndSeek(seed=1)
    hide = compiled(lambda x: layer(x, training=True), mode)
    # As the network does it, the images come out of the step before in the dtype of its policy.
    given = keras.ops.cast(images, keras.config.dtype_policy().compute_dtype)
    candidates = {
        "without hiding": step(False),
        "with hiding": step(True),
        "the hiding alone": lambda number: np.asarray(
            keras.ops.convert_to_numpy(keras.ops.cast(hide(given)[0, 0, 0, 0], "float32"))
        ),
    }
    record(
        "training_step",
        f"{name}, {mode}, {policy}, batch of {batch_size} at {SIDE} px ({keras.backend.backend()})",
        interleaved(candidates, repeats, warm_up=2),
        base="without hiding",
        aims={"with hiding": AIM, "the hiding alone": AIM - 1},
        items=batch_size,
    )
    keras.config.set_dtype_policy("float32")
    keras.backend.clear_session()
    gc.collect()


def main() -> None:
    """Runs what suits the device."""
    print_machine()
    if device() == "CPU":
        compare("AlexNetGAP", "graph", "float32", batch_size=32, repeats=9)
        compare("AlexNetGAP", "eager", "float32", batch_size=32, repeats=9)
        compare("AlexNetGAP", "XLA", "float32", batch_size=32, repeats=5)
        compare("AlexNetGAP", "graph", "mixed_bfloat16", batch_size=32, repeats=5)
        compare("AlexNetGAP", "graph", "mixed_float16", batch_size=8, repeats=3)
        for mode in ("graph", "eager"):
            compare("ResNet-50", mode, "float32", batch_size=8, repeats=5)
        return
    for name in ("AlexNetGAP", "ResNet-50"):
        for policy in ("float32", "mixed_bfloat16", "mixed_float16"):
            for mode in ("XLA", "graph"):
                compare(name, mode, policy, batch_size=256, repeats=15)
        compare(name, "eager", "float32", batch_size=256, repeats=5)


if __name__ == "__main__":
    main()
