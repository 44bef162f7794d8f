"""HideAndSeek against a plain copy and peers: layers of Keras and keras-cv, the authors' loop.

  python -m benchmarks.hiding

The seed changes at each call: with a constant one XLA would fold the mask into a constant.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.results import print_machine, record
from benchmarks.timing import interleaved
from keras_has.data import hide_images
from keras_has.layers import HideAndSeek

SHAPE = (64, 224, 224, 3)
MIXED = (0, 16, 32, 44, 56)
COPY = "plain copy, XLA"
MAP = "map that only copies"
IN_DATASETS = 1.3

Candidates = dict[str, Callable[[int], Any]]


def authors_loop(images: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Hides as the published demonstration does: image by image and cell by cell, after a copy."""
    images = images.copy()
    for image in images:
        for y in range(0, image.shape[0], size):
            for x in range(0, image.shape[1], size):
                if random.random() < 0.5:
                    image[y : y + size, x : x + size] = 0
    return images


def peer_layers(fill: float, highest: float) -> dict[str, Callable[[], keras.Layer]]:
    """Returns what makes layers of others that hide parts of images, those that are installed.

    Args:
        fill: What hidden pixels become.
        highest: The images' highest value.
    """
    peers: dict[str, Callable[[], keras.Layer]] = {
        "keras RandomErasing": lambda: keras.layers.RandomErasing(
            factor=(1.0, 1.0), fill_value=fill, value_range=(0, highest), seed=1
        )
    }
    try:
        import keras_cv
    except Exception as error:  # it may be there and yet not go with this Keras
        print(f"keras-cv: left out: {type(error).__name__}: {error}")
        return peers
    peers["keras-cv GridMask"] = lambda: keras_cv.layers.GridMask(
        ratio_factor=(0.5, 0.5), rotation_factor=0.0, fill_value=fill, seed=1
    )
    peers["keras-cv RandomCutout"] = lambda: keras_cv.layers.RandomCutout(
        0.5, 0.5, fill_mode="constant", fill_value=fill, seed=1
    )
    return peers


def torch_loop(size: int) -> Callable[[int], Any] | None:
    """Returns the authors' loop on PyTorch tensors on the CPU; `None` without PyTorch."""
    try:
        import torch
    except Exception as error:
        print(f"PyTorch: left out: {type(error).__name__}: {error}")
        return None
    images = torch.rand((SHAPE[0], SHAPE[3], *SHAPE[1:3]))
    random = np.random.default_rng(0)

    def hide(number: int) -> Any:
        copies = images.clone()
        for image in copies:
            for y in range(0, SHAPE[1], size):
                for x in range(0, SHAPE[2], size):
                    if random.random() < 0.5:
                        image[:, y : y + size, x : x + size] = 0
        return copies

    return hide


def working(candidates: Mapping[str, Callable[[], Callable[[int], Any]]]) -> Candidates:
    """Returns the candidates that can be made and run; says of the others why they cannot."""
    found: Candidates = {}
    for name, make in candidates.items():
        try:
            candidate = make()
            candidate(0)
        except Exception as error:  # a peer that fails is reported, not hidden
            reason = f"{error}".partition("\n")[0][:100]
            print(f"{name}: fails: {type(error).__name__}: {reason}")
            continue
        found[name] = candidate
    return found


def layer_on_batches() -> None:
    """One batch of float32, compiled and not."""
    images = tf.random.stateless_uniform(SHAPE, (1, 2))
    array = images.numpy()
    random = np.random.default_rng(0)
    ours: dict[str, Callable[[], keras.Layer]] = {
        "one size (56)": lambda: HideAndSeek(56, seed=1),
        "one size (16)": lambda: HideAndSeek(16, seed=1),
        "mixed sizes": lambda: HideAndSeek(MIXED, seed=1),
    }

    def compiled(make: Callable[[], keras.Layer], is_xla: bool) -> Callable[[int], Any]:
        layer = make()
        function = tf.function(lambda x: layer(x, training=True), jit_compile=is_xla)
        return lambda number: function(images)[0, 0, 0, 0].numpy()

    def not_in_a_graph(make: Callable[[], keras.Layer]) -> Callable[[int], Any]:
        layer = make()
        return lambda number: layer(images, training=True)[0, 0, 0, 0].numpy()

    makers: dict[str, Callable[[], Callable[[int], Any]]] = {}
    for is_xla in (True, False):
        mode = "XLA" if is_xla else "not compiled"
        for name, make in {**ours, **peer_layers(0.0, 1.0)}.items():
            makers[f"{name}, {mode}"] = lambda make=make, is_xla=is_xla: compiled(make, is_xla)
    for name, make in {"mixed sizes": ours["mixed sizes"], **peer_layers(0.0, 1.0)}.items():
        makers[f"{name}, eager"] = lambda make=make: not_in_a_graph(make)
    for size in (56, 16):
        makers[f"the authors' loop, NumPy ({size})"] = lambda size=size: (
            lambda number: authors_loop(array, size, random)
        )
        loop = torch_loop(size)
        if loop:
            makers[f"the authors' loop, PyTorch ({size})"] = lambda loop=loop: loop
    copy = tf.function(lambda x: x + 0, jit_compile=True)
    makers = {COPY: lambda: lambda number: copy(images)[0, 0, 0, 0].numpy(), **makers}
    candidates = working(makers)
    aims = {
        f"{name}, {mode}": aim
        for mode, one, mixed in (("XLA", 1.15, 1.8), ("not compiled", 2.0, 4.0))
        for name, aim in (("one size (56)", one), ("one size (16)", one), ("mixed sizes", mixed))
    }
    title = f"HideAndSeek: one batch of {' x '.join(map(str, SHAPE))}, float32"
    seconds = interleaved(candidates, repeats=11, warm_up=2)
    record("hiding", title, seconds, COPY, aims, items=SHAPE[0])


def datasets_of_uint8(is_batched: bool, count: int = 512) -> None:
    """Images of uint8 in `Dataset.map(num_parallel_calls=2)`, one by one or in batches."""
    images = np.random.default_rng(0).integers(0, 256, SHAPE, dtype="uint8")
    if is_batched:
        source = tf.data.Dataset.from_tensors(images).repeat(count // len(images))
    else:
        source = tf.data.Dataset.from_tensor_slices(images).repeat(count // len(images))
    fill = (124, 116, 103)
    layers: dict[str, keras.Layer] = {
        "HideAndSeek, one size (56)": HideAndSeek(56, fill_value=fill, seed=1),
        "HideAndSeek, mixed sizes": HideAndSeek(MIXED, fill_value=fill, seed=1),
    }
    ours = {
        **layers,
        "hide_images, one size (56)": hide_images(56, fill_value=fill, num_parallel_calls=2),
        "hide_images, mixed sizes": hide_images(MIXED, fill_value=fill, num_parallel_calls=2),
    }

    def mapped(function: Callable[[tf.Tensor], tf.Tensor]) -> tf.data.Dataset:
        return source.map(function, num_parallel_calls=2)

    def drain(dataset: tf.data.Dataset) -> Callable[[int], Any]:
        return lambda number: dataset.reduce(0, lambda total, x: total + 1).numpy()

    def of_layer(make: Callable[[], keras.Layer]) -> Callable[[int], Any]:
        layer = make()
        return drain(mapped(lambda x: layer(x, training=True)))

    makers: dict[str, Callable[[], Callable[[int], Any]]] = {
        MAP: lambda: drain(mapped(lambda x: tf.identity(x) + 0))
    }
    for name, one in ours.items():
        if name in layers:
            makers[name] = lambda one=one: of_layer(lambda: one)
        else:
            makers[name] = lambda one=one: drain(source.apply(one))
    for name, make in peer_layers(110.0, 255.0).items():
        makers[name] = lambda make=make: of_layer(make)
    candidates = working(makers)
    what = "batches of 64" if is_batched else "single images"
    title = f"Dataset.map: {count} images of {' x '.join(map(str, SHAPE[1:]))}, uint8, {what}"
    seconds = interleaved(candidates, repeats=9, warm_up=1)
    record("hiding", title, seconds, MAP, dict.fromkeys(ours, IN_DATASETS), items=count)


def main() -> None:
    """Runs all comparisons."""
    print_machine()
    layer_on_batches()
    datasets_of_uint8(is_batched=False)
    datasets_of_uint8(is_batched=True)


if __name__ == "__main__":
    main()
