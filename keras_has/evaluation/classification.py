"""Loss and accuracy of a classifier."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from keras_has.cams.class_scores import ClassScores
from keras_has.cams.layer_graph import LayerGraph
from keras_has.evaluation.batch import Batch
from keras_has.evaluation.evaluator import Evaluator, Tensors
from keras_has.metrics.image_outcomes import true_class_is_among


class ClassificationEvaluator(Evaluator):
    """Mean cross-entropy, Top-1 and Top-5 accuracy over all examples.

    The figures are `"loss"`, `"top1_clas"` and, with at least five classes, `"top5_clas"`. The
    dataset's batches hold `"image"` and `"label"` (B,). The model may output probabilities or
    logits; the loss is computed from logits, in float32. An example with a NaN among its
    probabilities is wrong.

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
    noun = "image"

    def __init__(self) -> None:
        self.reset()

    def forward(self, model: keras.Model) -> Callable[[Tensors], Tensors]:
        """Returns the forward pass to loss and correctness of each example; see `Evaluator`."""
        graph = LayerGraph(model)
        scores = ClassScores(graph)
        network = graph.model(scores.tensor)

        def on_replica(batch: Tensors) -> Tensors:
            labels = tf.cast(batch["label"], tf.int32)
            logits = scores.logits(network(batch["image"], training=False))
            outputs = {
                "loss": tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits),
                "is_top1": true_class_is_among(labels, logits, 1),
            }
            if logits.shape[1] >= 5:
                outputs["is_top5"] = true_class_is_among(labels, logits, 5)
            return outputs

        return on_replica

    def reset(self) -> None:
        """Forgets all examples."""
        self._totals = {"loss": 0.0}
        self._count = 0

    def process(self, batch: Batch) -> None:
        """Adds up losses and correct examples."""
        for key in {"loss", "is_top1", "is_top5"} & set(batch):
            self._totals[key] = self._totals.get(key, 0.0) + float(np.sum(batch[key], dtype=float))
        self._count += batch.num_examples

    def result(self) -> dict[str, float]:
        """Returns the figures over all examples since `reset`."""
        names = {"loss": "loss", "is_top1": "top1_clas", "is_top5": "top5_clas"}
        return {
            name: self._totals[key] / self._count
            for key, name in names.items()
            if key in self._totals
        }
