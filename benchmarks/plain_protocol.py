"""The protocol of Choe et al. done plainly: every threshold of every map by OpenCV.

What `benchmarks.max_box_accuracy` times against, and what the tests compare with.
"""

import cv2
import numpy as np


def plain_score_map(score_map, side=224):
    """Resizes to `side` and spreads over [0, 1]."""
    resized = np.asarray(score_map, dtype=np.float64)
    if side is not None:
        resized = cv2.resize(resized, (side, side), interpolation=cv2.INTER_CUBIC)
    if np.isnan(resized).any() or resized.min() == resized.max():
        return np.zeros(resized.shape)
    resized = resized - resized.min()
    return resized / resized.max()


def plain_boxes(score_map, thresholds, all_contours):
    """Returns for each threshold the list of boxes of a map with values in [0, 1]."""
    image = (score_map * 255).astype(np.uint8)
    last_row, last_column = image.shape[0] - 1, image.shape[1] - 1
    maximum = int(image.max())
    boxes = []
    for threshold in thresholds:
        _, mask = cv2.threshold(image, int(threshold * maximum), 255, cv2.THRESH_BINARY)
        contours, _ = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        if not contours:
            boxes.append([(0, 0, 0, 0)])
            continue
        if not all_contours:
            contours = [max(contours, key=cv2.contourArea)]
        found = []
        for contour in contours:
            x, y, width, height = cv2.boundingRect(contour)
            found.append((x, y, min(x + width, last_column), min(y + height, last_row)))
        boxes.append(found)
    return boxes


def plain_hits(score_map, true_rows, size, thresholds, iou_thresholds, all_contours, side=224):
    """Returns whether a map's boxes are right, of shape (IoU thresholds, thresholds).

    `true_rows` are the corners of a localization file, `size` the (height, width) they refer to.
    """
    score_map = plain_score_map(score_map, side)
    height, width = score_map.shape
    true = [
        [
            int(x0 * width / size[1]),
            int(y0 * height / size[0]),
            int(x1 * width / size[1]),
            int(y1 * height / size[0]),
        ]
        for x0, y0, x1, y1 in np.asarray(true_rows, dtype=np.float64).tolist()
    ]
    true = np.array(true)[None]
    per_threshold = plain_boxes(score_map, thresholds, all_contours)
    boxes = np.array([box for found in per_threshold for box in found])[:, None]
    low = np.maximum(boxes[..., :2], true[..., :2])
    high = np.minimum(boxes[..., 2:], true[..., 2:])
    intersection = np.prod(np.maximum(0, high - low + 1), axis=-1)
    areas = [np.prod(each[..., 2:] - each[..., :2] + 1, axis=-1) for each in (boxes, true)]
    iou = (intersection / (areas[0] + areas[1] - intersection)).max(axis=1)
    ends = np.cumsum([len(found) for found in per_threshold])
    best = np.array([each.max() for each in np.split(iou, ends[:-1])])
    return best >= np.array(iou_thresholds)[:, None]
