"""Outcomes of every image of a batch: counted, boxed, box correct, class correct.

Only `keras.ops` is used, so the metrics run on every backend, eagerly and in a graph.
"""

from typing import Any

from keras import ops

Tensor = Any


def counts(images: Tensor, sample_weight: Tensor | None) -> Tensor:
    """Returns which images count: all, or those whose weight is not 0.

    Args:
        images: Tensor whose first axis runs over the images.
        sample_weight: `None`, or tensor of shape `(batch,)`: 1 for an image, 0 for padding of the
            last batch. Weights are not fractional: every nonzero weight counts as 1.

    Returns:
        A boolean tensor of shape `(batch,)`.
    """
    if sample_weight is None:
        return ops.ones(ops.shape(images)[:1], dtype="bool")
    return ops.reshape(ops.cast(sample_weight, "bool"), (-1,))


def is_box(boxes: Tensor) -> Tensor:
    """Returns which rows are boxes: finite and with a positive area, unlike padding and NaN."""
    has_area = (boxes[..., 2] > boxes[..., 0]) & (boxes[..., 3] > boxes[..., 1])
    return has_area & ops.all(ops.isfinite(boxes), axis=-1)


def box_iou(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Computes the elementwise intersection over union of two tensors of boxes.

    The float32 tensor counterpart of `keras_has.ops.boxes.box_iou`.

    Args:
        boxes_a: Tensor of shape `(..., 4)`.
        boxes_b: Tensor of shape `(..., 4)` that broadcasts with `boxes_a`.

    Returns:
        A float32 tensor of values in `[0, 1]`; 0 where either is not a box.
    """
    sides = ops.maximum(
        ops.minimum(boxes_a[..., 2:], boxes_b[..., 2:])
        - ops.maximum(boxes_a[..., :2], boxes_b[..., :2]),
        0,
    )
    intersection = sides[..., 0] * sides[..., 1]
    union = _area(boxes_a) + _area(boxes_b) - intersection
    overlap = is_box(boxes_a) & is_box(boxes_b) & (intersection > 0) & ops.isfinite(union)
    return ops.where(overlap, intersection / ops.where(overlap, union, 1), 0)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def box_is_right(true_boxes: Tensor, boxes: Tensor, iou_threshold: float) -> Tensor:
    """Returns which boxes have an IoU above `iou_threshold` with any true box of their image.

    Args:
        true_boxes: Tensor of shape `(batch, boxes, 4)`, padded by rows without area.
        boxes: Tensor of shape `(batch, candidates, 4)`.
        iou_threshold: Intersection over union that a box must exceed.

    Returns:
        A boolean tensor of shape `(batch, candidates)`.
    """
    iou = box_iou(ops.expand_dims(boxes, 2), ops.expand_dims(true_boxes, 1))
    return ops.any(iou > iou_threshold, axis=-1)


def true_class_is_among(label: Tensor, probabilities: Tensor, top: int) -> Tensor:
    """Returns in which images the true class is among the `top` most probable classes.

    Ties go to the lower class index, as in `argmax`. The result is False for an image with a NaN
    among its probabilities or with a label out of range.

    Args:
        label: Integer tensor of shape `(batch,)`.
        probabilities: Tensor of shape `(batch, classes)`; logits also work.
        top: Number of most probable classes that may include the true one.

    Returns:
        A boolean tensor of shape `(batch,)`.
    """
    label = ops.expand_dims(ops.cast(ops.reshape(label, (-1,)), "int32"), 1)
    classes = ops.expand_dims(ops.arange(ops.shape(probabilities)[1], dtype="int32"), 0)
    is_true = ops.equal(classes, label)
    of_true = ops.max(ops.where(is_true, probabilities, float("-inf")), axis=1, keepdims=True)
    is_before = (probabilities > of_true) | (ops.equal(probabilities, of_true) & (classes < label))
    rank = ops.sum(ops.cast(is_before, "int32"), axis=1)
    return (rank < top) & ops.any(is_true, axis=1) & ~has_nan(probabilities)


def has_nan(probabilities: Tensor) -> Tensor:
    """Returns which images have a NaN among their probabilities."""
    return ops.any(ops.isnan(probabilities), axis=1)


def as_boxes(boxes: Tensor, name: str, rank: int) -> Tensor:
    """Returns `boxes` as a float32 tensor.

    Raises:
        ValueError: If it does not have this rank and a last axis of size 4.
    """
    boxes = ops.cast(ops.convert_to_tensor(boxes), "float32")
    if len(boxes.shape) != rank or boxes.shape[-1] != 4:
        expected = {2: "(batch, 4)", 3: "(batch, boxes, 4)"}[rank]
        raise ValueError(
            f"`{name}` should have shape {expected}. Received: shape={tuple(boxes.shape)}"
        )
    return boxes


def as_probabilities(probabilities: Tensor) -> Tensor:
    """Returns `probabilities` as a float32 tensor.

    Raises:
        ValueError: If it does not have rank 2.
    """
    probabilities = ops.cast(ops.convert_to_tensor(probabilities), "float32")
    if len(probabilities.shape) != 2:
        raise ValueError(
            '`y_pred["probabilities"]` should have shape (batch, classes). '
            f"Received: shape={tuple(probabilities.shape)}"
        )
    return probabilities
