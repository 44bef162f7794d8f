"""Mean IoU of a network for semantic segmentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_has import drawing
from keras_has.evaluation.batch import Batch
from keras_has.evaluation.evaluator import Evaluator, Tensors
from keras_has.evaluation.inference import decode_text
from keras_has.evaluation.panel import Panel
from keras_has.ops.segmentation import (
    VOID,
    class_iou,
    confusion_matrix,
    pixel_cross_entropy,
    segmentation_scores,
)


class SegmentationEvaluator(Evaluator):
    """Mean IoU from one confusion matrix over the whole dataset, at the resolution of the labels.

    The figures are `"mean_iou"`, `"pixel_acc"`, `"mean_class_acc"` and `"loss"`, the mean over the
    images. Void pixels (255) do not count. Batches hold `"image"`, `"mask"` (B, H, W) and
    `"image_id"`, see `keras_has.data.segmentation_batches`; the model outputs logits for each pixel
    of the image.

    Args:
        class_names: One name for each class.
        panel_every: The panel shows every n-th image, from the first. Defaults to `1`.

    Attributes:
        confusion: int64 (classes, classes), see `keras_has.ops.segmentation.confusion_matrix`.

    Example:

    >>> evaluator = keras_has.evaluation.SegmentationEvaluator(["sky", "road"])
    >>> labels, predictions = np.array([[[0, 1, 1, 255]]]), np.array([[[0, 0, 1, 1]]])
    >>> parts = {"mask": [labels], "label_map": [predictions], "loss": [np.zeros(1)]}
    >>> evaluator.process(keras_has.evaluation.Batch(parts, [[True]]))
    >>> evaluator.result()["mean_iou"], evaluator.class_iou()
    (0.5, {'sky': 0.5, 'road': 0.5})

    Reference:
        [Long et al., 2015](https://arxiv.org/abs/1411.4038), section 5.
    """

    name = "segmentation"
    panel_tag = "label_maps"
    noun = "image"
    padding_values: ClassVar[Mapping[str, float]] = {"mask": VOID}

    def __init__(self, class_names: Sequence[str], panel_every: int = 1) -> None:
        if panel_every < 1:
            raise ValueError(
                f"`panel_every` should be at least 1. Received: panel_every={panel_every}"
            )
        self.class_names = tuple(class_names)
        self.panel_every = panel_every
        self._panel: Panel | None = None
        self.reset()

    def forward(self, model: keras.Model) -> Callable[[Tensors], Tensors]:
        """Returns the forward pass to the label map and loss of each image; see `Evaluator`."""

        def on_replica(batch: Tensors) -> Tensors:
            logits = model(batch["image"], training=False)
            return {
                "label_map": tf.cast(tf.argmax(logits, axis=-1), tf.uint8),
                "loss": pixel_cross_entropy(batch["mask"], logits),
            }

        return on_replica

    def reset(self) -> None:
        """Forgets all images."""
        classes = len(self.class_names)
        self.confusion = np.zeros((classes, classes), np.int64)
        self._loss, self._count = 0.0, 0
        self._panel = None

    def start_panel(self) -> None:
        """Asks for a panel: the same images in every epoch, spread over the data."""
        self._panel = Panel("true labels left, predicted labels right", columns=3)

    def panel(self) -> Panel | None:
        """Returns images with their true and predicted label maps."""
        return self._panel if self._panel and self._panel.tiles else None

    def process(self, batch: Batch) -> None:
        """Adds the pixels of a batch to the confusion matrix, and draws images of the panel."""
        labels, predictions = batch["mask"], batch["label_map"]
        self.confusion += confusion_matrix(labels, predictions, len(self.class_names))
        if self._panel is not None:
            for row in range(-self._count % self.panel_every, batch.num_examples, self.panel_every):
                maps = (labels[row], predictions[row])
                tiles = [drawing.label_map_overlay(batch["image"][row], one) for one in maps]
                iou = segmentation_scores(
                    confusion_matrix(*maps, num_classes=len(self.class_names))
                )["mean_iou"]
                caption = f"{decode_text(batch['image_id'][row])}: mean IoU {iou:.0%}"
                self._panel.add(np.concatenate(tiles, axis=1), caption)
        self._loss += float(np.sum(batch["loss"], dtype=float))
        self._count += batch.num_examples

    def result(self) -> dict[str, float]:
        """Returns the figures over all images since `reset`."""
        return {**segmentation_scores(self.confusion), "loss": self._loss / max(self._count, 1)}

    def class_iou(self) -> dict[str, float]:
        """Returns the IoU of each class by name; NaN for one neither present nor predicted."""
        return dict(zip(self.class_names, class_iou(self.confusion).tolist(), strict=True))
