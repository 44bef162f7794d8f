"""The interface of all evaluators."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from keras_has.evaluation.batch import Batch
from keras_has.evaluation.panel import Panel

Tensors = dict[str, tf.Tensor]


class Evaluator(abc.ABC):
    """Computes figures from batches of examples and the model's outputs for them.

    `Inference` calls `reset`, then `process` for each batch in order, then `result`. All calls of
    `process` come from one thread, which runs while the network works on the next batch. An
    evaluator keeps counters, not examples, so that its memory does not grow with the data.

    A subclass defines `forward`, `reset`, `process` and `result`; `start_panel` and `panel` where
    there is something to draw.

    Attributes:
        name: Folder below `log_dir` and first part of the tags in TensorBoard.
        panel_tag: Tag of the panel in TensorBoard.
        noun: What one example is called in error messages.
        padding_values: Fill for rows that pad a last batch, by the name of the entry, where 0 would
            not be a valid value.

    Example:

    >>> class MeanBrightness(keras_has.evaluation.Evaluator):
    ...     name = "brightness"
    ...     def forward(self, model):
    ...         return lambda batch: {"brightness": tf.reduce_mean(batch["image"], axis=(1, 2, 3))}
    ...     def reset(self):
    ...         self.total, self.count = 0.0, 0
    ...     def process(self, batch):
    ...         self.total += float(batch["brightness"].sum())
    ...         self.count += batch.num_examples
    ...     def result(self):
    ...         return {"brightness": self.total / self.count}
    >>> evaluator = MeanBrightness()
    >>> images = tf.data.Dataset.from_tensor_slices({"image": np.ones((5, 2, 2, 1), "float32")})
    >>> keras_has.evaluation.Inference(images.batch(2), evaluator.forward(None)).run([evaluator])
    {'brightness': 1.0}
    """

    name: str = "evaluation"
    panel_tag: str = "examples"
    noun: str = "example"
    padding_values: ClassVar[Mapping[str, float]] = {}

    @abc.abstractmethod
    def forward(self, model: keras.Model) -> Callable[[Tensors], Tensors]:
        """Returns the function from a replica's share of a batch to the outputs needed.

        Args:
            model: The model to evaluate. The function is called in a `tf.function`, in the
                replicas of the model's strategy, and must call the model with `training=False`.

        Raises:
            ValueError: If the model is not of the kind that this evaluator needs.
        """

    @abc.abstractmethod
    def reset(self) -> None:
        """Forgets all examples."""

    @abc.abstractmethod
    def process(self, batch: Batch) -> Any:
        """Takes in one batch: the dataset's entries and the outputs of `forward`."""

    @abc.abstractmethod
    def result(self) -> dict[str, float]:
        """Returns the figures over all examples since `reset`."""

    def start_panel(self) -> None:  # noqa: B027, most evaluators draw nothing
        """Asks for a panel of the examples that follow; called after `reset`."""

    def panel(self) -> Panel | None:
        """Returns what to draw of the examples since `start_panel`, or None for nothing."""
        return None
