"""TemporalHideAndSeek against a plain copy, dropout of whole steps and a loop over segments.

  python -m benchmarks.temporal_hiding

A batch as large as the paper's: 32 videos of 2,000 steps with 4,096 features, 1 GiB. It needs 4 GiB
of memory. The seed changes at each call: with a constant one XLA would fold the mask into a
constant.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.hiding import COPY, IN_DATASETS, MAP, working
from benchmarks.results import print_machine, record
from benchmarks.timing import interleaved
from keras_has.data import hide_video_segments
from keras_has.layers import TemporalHideAndSeek

SHAPE = (32, 2000, 4096)
SEGMENTS = 20


def loop_over_segments(features: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Hides segment by segment, after a copy."""
    features = features.copy()
    length = features.shape[1] // SEGMENTS
    for sequence in features:
        for segment in range(SEGMENTS):
            if random.random() < 0.5:
                sequence[segment * length : (segment + 1) * length] = 0
    return features


def layer_on_batches() -> None:
    """One batch of float32, with and without padding, compiled and not."""
    features = tf.random.stateless_uniform(SHAPE, (1, 2))
    array = np.asarray(features)  # shares the memory
    random = np.random.default_rng(0)
    lengths = np.linspace(SHAPE[1] // 2, SHAPE[1], SHAPE[0]).astype(int)
    mask = tf.constant(np.arange(SHAPE[1]) < lengths[:, None])
    layer = TemporalHideAndSeek(num_segments=SEGMENTS, seed=1)
    of_length = TemporalHideAndSeek(segment_length=SHAPE[1] // SEGMENTS, seed=1)
    steps = keras.layers.Dropout(0.5, noise_shape=(None, None, 1), seed=1)
    functions: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
        "20 segments": lambda x: layer(x, training=True),
        "segments of 100 steps": lambda x: of_length(x, training=True),
        "20 segments, padding": lambda x: layer(x, training=True, mask=mask),
        "keras Dropout of whole steps": lambda x: steps(x, training=True),
    }

    def call(function: Callable[[tf.Tensor], tf.Tensor], is_xla: bool) -> Callable[[int], Any]:
        compiled = tf.function(function, jit_compile=is_xla, autograph=False)
        return lambda number: compiled(features)[0, 0, 0].numpy()

    makers: dict[str, Callable[[], Callable[[int], Any]]] = {
        COPY: lambda: call(lambda x: x + 0, True)
    }
    aims: dict[str, float] = {}
    for is_xla in (True, False):
        for name, function in functions.items():
            title = f"{name}, {'XLA' if is_xla else 'not compiled'}"
            makers[title] = lambda function=function, is_xla=is_xla: call(function, is_xla)
            if not name.startswith("keras"):
                aims[title] = 1.15 if is_xla else 2.0
    makers["loop over segments, NumPy"] = lambda: lambda number: loop_over_segments(array, random)
    candidates = working(makers)
    title = f"TemporalHideAndSeek: one batch of {' x '.join(map(str, SHAPE))}, float32"
    seconds = interleaved(candidates, repeats=5, warm_up=1)
    record("temporal_hiding", title, seconds, COPY, aims, items=SHAPE[0])


def datasets_of_features(count: int = 32) -> None:
    """Features of single videos in `Dataset.map(num_parallel_calls=2)`."""
    features = tf.random.stateless_uniform(SHAPE[1:], (1, 2))
    source = tf.data.Dataset.from_tensors(features).repeat(count)
    layer = TemporalHideAndSeek(num_segments=SEGMENTS, seed=1)

    def drain(dataset: tf.data.Dataset) -> Callable[[int], Any]:
        return lambda number: dataset.reduce(0, lambda total, x: total + 1).numpy()

    def mapped(function: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[int], Any]:
        return drain(source.map(function, num_parallel_calls=2))

    candidates = {
        MAP: mapped(lambda x: tf.identity(x) + 0),
        "hide_video_segments": drain(
            source.apply(hide_video_segments(num_segments=SEGMENTS, num_parallel_calls=2))
        ),
        "TemporalHideAndSeek": mapped(lambda x: layer(x, training=True)),
    }
    title = f"Dataset.map: {count} videos of {' x '.join(map(str, SHAPE[1:]))}, float32"
    seconds = interleaved(candidates, repeats=7, warm_up=1)
    aims = {name: IN_DATASETS for name in candidates if name != MAP}
    record("temporal_hiding", title, seconds, MAP, aims, items=count)


def main() -> None:
    """Runs all comparisons."""
    print_machine()
    layer_on_batches()
    datasets_of_features()


if __name__ == "__main__":
    main()
