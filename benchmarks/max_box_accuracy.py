"""MaxBoxAcc and MaxBoxAccV2 against a plain implementation with 1,000 thresholds for each.

python -m benchmarks.max_box_accuracy

One process on one core; the maps are 14 x 14, resized to 224 x 224 as in the protocol. It runs
with and without Numba, if Numba is installed, and stops if the counts differ at any threshold.
"""

import os
import time
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np

from benchmarks.plain_protocol import plain_hits
from benchmarks.results import print_machine, record
from benchmarks.timing import interleaved
from keras_has.metrics import MaxBoxAccuracy, MaxBoxAccuracyV2, max_box_metric
from keras_has.metrics.max_box_metric import numbers
from keras_has.ops import contour_boxes
from keras_has.ops.contour_boxes import compiled_loops, contour_boxes_of_score_maps

COUNT = 16
STEPS = np.arange(0, 1, 0.001)
DELTAS = (0.3, 0.5, 0.7)


def noise(random: np.random.Generator, side: int = 14) -> np.ndarray:
    """A map of independent values, which has as many hills and pits as possible."""
    return random.uniform(size=(side, side))


def blobs(random: np.random.Generator, side: int = 14) -> np.ndarray:
    """A map like those of a network: one to three hills on uneven ground."""
    y, x = np.mgrid[:side, :side] * 14 / side
    hills = np.zeros((side, side))
    for _ in range(random.integers(1, 4)):
        row, column, spread = *random.uniform(2, 12, 2), random.uniform(1.5, 4)
        distance = (y - row) ** 2 + (x - column) ** 2
        hills += random.uniform(0.3, 1) * np.exp(-distance / (2 * spread**2))
    return hills + random.normal(0, 0.03, hills.shape)


def compare(title: str, maps: np.ndarray, boxes: np.ndarray, repeats: int = 5) -> None:
    """Times both on the same maps and compares their counts."""
    sizes = np.full((len(maps), 2), (375, 500))
    metrics = MaxBoxAccuracy(), MaxBoxAccuracyV2()

    def plainly(number: int) -> list[np.ndarray]:
        rows = boxes - [0, 0, 1, 1]
        return [
            sum(
                plain_hits(score_map, row, (375, 500), STEPS, deltas, all_contours)
                for score_map, row in zip(maps, rows, strict=True)
            )
            for deltas, all_contours in (((0.5,), False), (DELTAS, True))
        ]

    def together(number: int) -> list[np.ndarray]:
        found = contour_boxes_of_score_maps(maps)
        for metric in metrics:
            metric.reset_state()
            metric.update_state(boxes, found, sizes)
        return [numbers(metric.hits) for metric in metrics]

    def without_numba(number: int) -> list[np.ndarray]:
        with (
            mock.patch.object(contour_boxes, "compiled_loops", lambda: None),
            mock.patch.object(max_box_metric, "compiled_loops", lambda: None),
        ):
            return together(number)

    candidates = {
        "1,000 thresholds each": plainly,
        "MaxBoxAccuracy and V2, one pass": together,
        "of it: contour_boxes_of_score_maps": lambda number: contour_boxes_of_score_maps(maps),
        "MaxBoxAccuracy and V2 without Numba": without_numba,
    }
    if compiled_loops() is None:
        del candidates["MaxBoxAccuracy and V2 without Numba"]
    expected = plainly(0)
    for function in (together, without_numba):
        for one, other in zip(function(0), expected, strict=True):
            assert np.array_equal(one, other), "the counts differ"
    seconds = interleaved(candidates, repeats, warm_up=1)
    # The target, also without Numba, is a tenth of the time.
    aims = dict.fromkeys(set(candidates) - {"1,000 thresholds each"}, 0.1)
    aims.pop("of it: contour_boxes_of_score_maps")
    record(
        "max_box_accuracy",
        f"{title}, {len(maps)} maps; counts equal",
        seconds,
        base="1,000 thresholds each",
        aims=aims,
        items=len(maps),
    )


def main() -> None:
    """Runs all comparisons."""
    cv2.setNumThreads(1)
    print_machine()
    began = time.perf_counter()
    found = "compiled or loaded" if compiled_loops() else "not installed"
    print(f"Numba's loops: {found}, {time.perf_counter() - began:.1f} s")
    random = np.random.default_rng(0)
    corners = np.sort(random.integers(0, 375, size=(COUNT, 2, 2, 2)), axis=2)
    corners[:, :, 1] += 2
    boxes = corners.reshape(COUNT, 2, 4).astype(np.float32)
    compare("hills on uneven ground", np.stack([blobs(random) for _ in range(COUNT)]), boxes)
    compare("noise", np.stack([noise(random) for _ in range(COUNT)]), boxes)
    rectified = np.stack([np.maximum(blobs(random) - 0.2, 0) for _ in range(COUNT)])
    compare("hills, rectified", rectified, boxes)
    fine = np.stack([blobs(random, 28) for _ in range(COUNT)])
    compare("28 x 28 hills on uneven ground", fine, boxes)


if __name__ == "__main__":
    main()
