"""Twenty images with everything that happens: no box, many boxes, NaN maps, NaN probabilities."""

from types import SimpleNamespace

import numpy as np
import pytest

THRESHOLDS = (0.1, 0.2, 0.3, 0.5)


@pytest.fixture
def images():
    """`y_true`, `y_pred` of one box an image, and `y_pred_curve` of one box a threshold."""
    random = np.random.default_rng(11)
    true_boxes = np.full((20, 3, 4), -1.0, "float32")
    for image, count in enumerate(random.integers(0, 4, size=20)):
        corners = np.sort(random.integers(0, 40, size=(count, 2, 2)), axis=1)
        corners[:, 1] += 1
        true_boxes[image, :count] = corners.reshape(count, 4)
    true_boxes[3] = -1
    true_boxes[7, 0] = [4, 5, 30, 20]
    boxes = np.repeat(true_boxes[:, :1], len(THRESHOLDS), axis=1)
    boxes[..., 2:] += random.integers(0, 14, size=(20, len(THRESHOLDS), 2))
    boxes[5] = boxes[17] = np.nan
    probabilities = random.dirichlet(np.ones(8), size=20).astype("float32")
    is_easy = random.uniform(size=20) < 0.5
    label = np.where(is_easy, probabilities.argmax(1), random.integers(0, 8, size=20))
    probabilities[7, 3] = np.nan
    return SimpleNamespace(
        thresholds=THRESHOLDS,
        y_true={"label": label, "boxes": true_boxes},
        y_pred={"probabilities": probabilities, "boxes": boxes[:, 1]},
        y_pred_curve={"probabilities": probabilities, "boxes": boxes},
    )
