"""Loss and accuracy of a classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_has import drawing
from keras_has.cams.class_scores import ClassScores
from keras_has.cams.layer_graph import LayerGraph
from keras_has.evaluation.batch import Batch
from keras_has.evaluation.evaluator import Evaluator, Tensors
from keras_has.evaluation.panel import Panel, displayable
from keras_has.metrics.image_outcomes import true_class_is_among

_PANEL_COLUMNS = 6
_PANEL_SIDE = 128  # of a picture, in pixels


class ClassificationEvaluator(Evaluator):
    """Mean cross-entropy, Top-1 and Top-5 accuracy over all examples.

    The figures are `"loss"`, `"top1_clas"` and, with at least five classes, `"top5_clas"`. The
    dataset's batches hold `"image"` and `"label"` (B,). The model may output probabilities or
    logits; the loss is computed from logits, in float32. An example with a NaN among its
    probabilities is wrong. The panel shows the most confident mistakes.

    Args:
        class_names: Names for the captions of the panel, or None for numbers.
        panel_images: Number of images in the panel. Defaults to 12.

    Example:

    >>> model = keras_has.models.SmallGAP(6, (32, 32, 3))
    >>> batches = tf.data.Dataset.from_tensor_slices(
    ...     {"image": np.zeros((5, 32, 32, 3), "uint8"), "label": np.arange(5)}
    ... ).batch(2)
    >>> evaluator = keras_has.evaluation.ClassificationEvaluator()
    >>> figures = keras_has.evaluation.Inference(batches, evaluator.forward(model)).run([evaluator])
    >>> {name: round(value, 3) for name, value in figures.items()}
    {'loss': 1.792, 'top1_clas': 0.2, 'top5_clas': 1.0}
    """

    name = "classification"
    panel_tag = "most confident mistakes"
    noun = "image"
    # The outputs of which the mean over all examples is a figure, and the name of the figure.
    figures: ClassVar[Mapping[str, str]] = {
        "loss": "loss",
        "is_top1": "top1_clas",
        "is_top5": "top5_clas",
    }

    def __init__(self, class_names: Sequence[str] | None = None, panel_images: int = 12) -> None:
        self.class_names = None if class_names is None else tuple(class_names)
        self.panel_images = int(panel_images)
        self.reset()

    def forward(self, model: keras.Model) -> Callable[[Tensors], Tensors]:
        """Returns the forward pass from images to these outputs; see `Evaluator`.

        `"loss"`, `"is_top1"` and, with at least five classes, `"is_top5"`; `"predicted_class"`, the
        most probable one, its `"probability"`, and the `"label_probability"` of the true class.
        """
        graph = LayerGraph(model)
        scores = ClassScores(graph)
        network = graph.model(scores.tensor)

        def on_replica(batch: Tensors) -> Tensors:
            labels = tf.cast(batch["label"], tf.int32)
            logits = scores.logits(network(batch["image"], training=False))
            probabilities = tf.nn.softmax(logits)
            outputs = {
                "loss": tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits),
                "is_top1": true_class_is_among(labels, logits, 1),
                "predicted_class": tf.argmax(logits, axis=1),
                "probability": tf.reduce_max(probabilities, axis=1),
                "label_probability": tf.gather(probabilities, labels, axis=1, batch_dims=1),
            }
            if logits.shape[1] >= 5:
                outputs["is_top5"] = true_class_is_among(labels, logits, 5)
            return {**outputs, **self.further_outputs(batch, probabilities)}

        return on_replica

    def further_outputs(self, batch: Tensors, probabilities: tf.Tensor) -> Tensors:
        """Returns what a subclass needs besides; by default nothing.

        Args:
            batch: The batch of a replica.
            probabilities: Those of all classes, (B, classes).
        """
        return {}

    def reset(self) -> None:
        """Forgets all examples."""
        self._totals: dict[str, float] = {"loss": 0.0}
        self._count = 0
        # Probability, picture and caption of the most confident mistakes; None without a panel.
        self._mistakes: list[tuple[float, drawing.Picture, str]] | None = None

    def start_panel(self) -> None:
        """Asks for a panel of the most confident mistakes."""
        self._mistakes = []

    def panel(self) -> Panel | None:
        """Returns the most confident mistakes, the first one the most confident."""
        if not self._mistakes:
            return None
        panel = Panel("the most confident mistakes: true and predicted class", _PANEL_COLUMNS)
        for _, picture, caption in self._mistakes:
            panel.add(picture, caption)
        return panel

    def process(self, batch: Batch) -> None:
        """Adds up losses and correct examples, and keeps the most confident mistakes."""
        for key in set(self.figures) & set(batch):
            self._totals[key] = self._totals.get(key, 0.0) + float(np.sum(batch[key], dtype=float))
        self._count += batch.num_examples
        if self._mistakes is not None:
            found = [*self._mistakes, *self._mistakes_of(batch)]
            self._mistakes = sorted(found, key=lambda one: -one[0])[: self.panel_images]

    def result(self) -> dict[str, float]:
        """Returns the figures over all examples since `reset`."""
        return {
            name: self._totals[key] / self._count
            for key, name in self.figures.items()
            if key in self._totals
        }

    def _mistakes_of(self, batch: Batch) -> list[tuple[float, drawing.Picture, str]]:
        """Returns the mistakes of a batch that may be among the most confident of all."""
        mistakes = self._mistakes or []
        is_full = len(mistakes) >= self.panel_images
        lowest = mistakes[-1][0] if mistakes and is_full else 0.0
        confidence = np.where(batch["is_top1"], 0.0, np.nan_to_num(batch["probability"]))
        rows = np.argsort(-confidence, kind="stable")[: self.panel_images]
        return [
            (float(confidence[row]), self._picture(batch, row), self._caption(batch, row))
            for row in rows
            if confidence[row] > lowest
        ]

    def _picture(self, batch: Batch, row: int) -> drawing.Picture:
        return drawing.localization_tile(displayable(batch["image"][row]), side=_PANEL_SIDE)

    def _caption(self, batch: Batch, row: int) -> str:
        true, predicted = (
            str(label if self.class_names is None else self.class_names[label])
            for label in (int(batch["label"][row]), int(batch["predicted_class"][row]))
        )
        return f"{true}\ntaken for {predicted}\n{batch['probability'][row]:.0%}"
