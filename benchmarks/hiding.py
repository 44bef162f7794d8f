"""HideAndSeek against a plain copy, the authors' loop and `keras.layers.RandomErasing`.

  python -m benchmarks.hiding

The seed changes at each call: with a constant one XLA would fold the mask into a constant.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.timing import interleaved, print_machine, print_table
from keras_has.data import hide_images
from keras_has.layers import HideAndSeek

SHAPE = (64, 224, 224, 3)
MIXED = (0, 16, 32, 44, 56)


def authors_loop(images: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Hides as the published demonstration does: image by image and cell by cell, after a copy."""
    images = images.copy()
    for image in images:
        for y in range(0, image.shape[0], size):
            for x in range(0, image.shape[1], size):
                if random.random() < 0.5:
                    image[y : y + size, x : x + size] = 0
    return images


def layer_on_batches() -> None:
    """One batch of float32, compiled and not."""
    images = tf.random.stateless_uniform(SHAPE, (1, 2))
    array = images.numpy()
    random = np.random.default_rng(0)
    layers = {
        "HideAndSeek, one size (56)": HideAndSeek(56, seed=1),
        "HideAndSeek, one size (16)": HideAndSeek(16, seed=1),
        "HideAndSeek, mixed sizes": HideAndSeek(MIXED, seed=1),
        "RandomErasing, constant fill": keras.layers.RandomErasing(
            factor=(1.0, 1.0), fill_value=0.0, value_range=(0, 1), seed=1
        ),
    }

    def call(function: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[int], Any]:
        return lambda number: function(images)[0, 0, 0, 0].numpy()

    candidates: dict[str, Callable[[int], Any]] = {}
    copy = tf.function(lambda x: x + 0, jit_compile=True)
    candidates["plain copy, XLA"] = call(copy)
    for compiled in (True, False):
        for name, layer in layers.items():
            function = tf.function(
                lambda x, layer=layer: layer(x, training=True), jit_compile=compiled
            )
            title = f"{name}, {'XLA' if compiled else 'not compiled'}"
            try:
                function(images)
            except Exception as error:  # a peer that XLA cannot compile is told, not hidden
                print(f"{title}: fails: {str(error).splitlines()[0][:120]}")
                continue
            candidates[title] = call(function)
    for size in (56, 16):
        candidates[f"the authors' loop in NumPy ({size})"] = lambda number, size=size: authors_loop(
            array, size, random
        )
    print_table(
        f"one batch of {' x '.join(map(str, SHAPE))}, float32",
        interleaved(candidates),
        "plain copy, XLA",
    )


def datasets_of_uint8() -> None:
    """Single images of uint8 in `Dataset.map(num_parallel_calls=2)`."""
    count = 512
    images = np.random.default_rng(0).integers(0, 256, (64, *SHAPE[1:]), dtype="uint8")
    source = tf.data.Dataset.from_tensor_slices(images).repeat(count // 64)
    fill = (124, 116, 103)
    mixed, one_size = HideAndSeek(MIXED, fill_value=fill, seed=1), HideAndSeek(56, fill_value=fill)
    erase = keras.layers.RandomErasing(
        factor=(1.0, 1.0), fill_value=110.0, value_range=(0, 255), seed=1
    )
    transform = hide_images(MIXED, fill_value=fill, seed=1, num_parallel_calls=2)

    def mapped(function: Callable[[tf.Tensor], tf.Tensor]) -> tf.data.Dataset:
        return source.map(function, num_parallel_calls=2)

    datasets = {
        "map that only copies": mapped(lambda x: tf.identity(x) + 0),
        "HideAndSeek, one size (56)": mapped(lambda x: one_size(x, training=True)),
        "HideAndSeek, mixed sizes": mapped(lambda x: mixed(x, training=True)),
        "hide_images, mixed sizes": source.apply(transform),
        "hide_images on batches of 64": source.batch(64).apply(transform).unbatch(),
        "RandomErasing, constant fill": mapped(lambda x: erase(x, training=True)),
    }

    def drain(dataset: tf.data.Dataset) -> Callable[[int], Any]:
        return lambda number: dataset.reduce(0, lambda total, x: total + 1).numpy()

    candidates = {name: drain(dataset) for name, dataset in datasets.items()}
    seconds = interleaved(candidates, repeats=7, warm_up=1)
    print_table(
        f"{count} images of 224 x 224 x 3, uint8, in tf.data", seconds, "map that only copies"
    )
    for name, values in seconds.items():
        print(f"  {name:<44}{count / np.median(values):>12.0f} images a second")


def main() -> None:
    """Runs all of it."""
    print_machine()
    layer_on_batches()
    datasets_of_uint8()


if __name__ == "__main__":
    main()
