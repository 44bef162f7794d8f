"""Boxes from maps inside a TensorFlow graph, as exported models do, against OpenCV.

python -m benchmarks.boxes

Both find the box of the largest component of the same maps at 224 x 224; it stops if a box differs.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks.results import print_machine, record
from benchmarks.timing import interleaved
from keras_has.ops.boxes import boxes_from_maps
from keras_has.ops.cam import upsample_maps
from keras_has.ops.component_boxes import component_boxes

COUNT = 64
SIDE = 224
THRESHOLD = 0.2


def compare(title: str, maps: np.ndarray) -> None:
    """Times both on maps of full size."""
    large = upsample_maps(tf.constant(maps, tf.float32), (SIDE, SIDE))
    array = large.numpy()
    find = tf.function(component_boxes)
    ours, expected = find(large, THRESHOLD).numpy(), boxes_from_maps(array, THRESHOLD)
    assert np.array_equal(ours, expected, equal_nan=True), "the boxes differ"
    seconds = interleaved(
        {
            "OpenCV, one map after another": lambda number: boxes_from_maps(array, THRESHOLD),
            "in the graph": lambda number: find(large, THRESHOLD).numpy(),
        },
        repeats=15,
    )
    record(
        "boxes",
        f"{title}; boxes equal",
        seconds,
        base="OpenCV, one map after another",
        items=len(maps),
    )


def main() -> None:
    """Runs it on smooth maps and on noise."""
    print_machine()
    random = np.random.default_rng(0)
    noise = random.normal(size=(COUNT, 14, 14))
    compare(f"{COUNT} maps of 14 x 14, noise, at {SIDE} px", noise)
    y, x = np.mgrid[:14, :14]
    centre = random.uniform(2, 12, (2, COUNT, 1, 1))
    hills = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / 18) + noise / 30
    compare(f"{COUNT} maps of 14 x 14, hills, at {SIDE} px", hills)
    compare(f"{COUNT} maps of {SIDE} x {SIDE}, noise", random.normal(size=(COUNT, SIDE, SIDE)))


if __name__ == "__main__":
    main()
