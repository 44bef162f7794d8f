"""Accuracy and error of a classifier of age groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from keras_has.evaluation.classification import ClassificationEvaluator
from keras_has.evaluation.evaluator import Tensors


class AgeEvaluator(ClassificationEvaluator):
    """Figures of `ClassificationEvaluator`, and how far the predicted age is from the true one.

    `"one_off"` is the share of examples whose predicted group is the true one or its neighbor;
    `"top1_clas"` is the share of exact groups. `"mean_absolute_error"` is in years, between `"age"`
    (B,) of the batches and the expected age: the mean of `class_ages`, weighted with the
    probabilities.

    Args:
        class_names: See `ClassificationEvaluator`. The groups are in order.
        class_ages: An age in years for each group, such as the median of its training images.
        panel_images: Number of images in the panel. Defaults to 12.

    Raises:
        ValueError: If `class_ages` and `class_names` differ in length.

    Example:

    >>> model = keras_has.models.SmallGAP(2, (32, 32, 3))
    >>> batches = tf.data.Dataset.from_tensor_slices(
    ...     {"image": np.zeros((2, 32, 32, 3), "uint8"), "label": [0, 1], "age": [10.0, 80.0]}
    ... ).batch(2)
    >>> evaluator = keras_has.evaluation.AgeEvaluator(("young", "old"), (20.0, 60.0))
    >>> figures = keras_has.evaluation.Inference(batches, evaluator.forward(model)).run([evaluator])
    >>> figures["one_off"], round(figures["mean_absolute_error"], 1)
    (1.0, 35.0)

    Reference:
        [Levi and Hassner, 2015](https://talhassner.github.io/home/projects/cnn_agegender/CVPR2015_CNN_AgeGenderEstimation.pdf),
        table 3, for one-off; [Rothe et al., 2015](https://doi.org/10.1109/ICCVW.2015.41), for the
        expected age.
    """

    figures: ClassVar = {
        **ClassificationEvaluator.figures,
        "is_one_off": "one_off",
        "age_error": "mean_absolute_error",
    }

    def __init__(
        self, class_names: Sequence[str], class_ages: Sequence[float], panel_images: int = 12
    ) -> None:
        super().__init__(class_names, panel_images)
        self.class_ages = np.asarray(class_ages, np.float32)
        if self.class_ages.shape != (len(class_names),):
            raise ValueError(
                f"`class_ages` should have one age for each of the {len(class_names)} classes. "
                f"Received: an array of shape {self.class_ages.shape}"
            )

    def further_outputs(self, batch: Tensors, probabilities: tf.Tensor) -> Tensors:
        """Returns whether the group is at most one off, and the error of the expected age."""
        predicted = tf.argmax(probabilities, axis=1)
        off = tf.abs(predicted - tf.cast(batch["label"], tf.int64))
        expected = tf.linalg.matvec(tf.cast(probabilities, tf.float32), self.class_ages)
        return {
            "is_one_off": off <= 1,
            "age_error": tf.abs(expected - tf.cast(batch["age"], tf.float32)),
        }
