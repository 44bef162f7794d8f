"""One callback for all evaluators."""

from __future__ import annotations

import os
from typing import Any

import keras
import tensorflow as tf

from keras_has import drawing
from keras_has.evaluation import Evaluator, Inference


class EvaluationCallback(keras.callbacks.Callback):
    """Runs an evaluator on the validation data after each epoch and logs its figures.

    One pass gives everything, so pass the data here and no `validation_data` to `fit`. The figures
    are written into `logs` with the prefix `val_`, where `ModelCheckpoint`, `EarlyStopping`,
    `History` and `TensorBoard` find them: put this callback before those. With `log_dir` they are
    also written for TensorBoard, together with the evaluator's panel of pictures.

    Under a `tf.distribute` strategy all replicas take part. Batch normalization then uses each
    replica's own moving statistics, as `evaluate` does; a saved model holds their mean. The memory
    needed does not grow with the data.

    Args:
        evaluator: A `keras_has.evaluation.Evaluator`.
        dataset: The batched `tf.data.Dataset` of dicts that the evaluator needs.
        log_dir: Folder for TensorBoard, or None.

    Attributes:
        panel: The panel drawn last, a uint8 RGB picture, or None.

    Raises:
        ValueError: If it is created inside the scope of a strategy with several replicas.

    Example:

    >>> batches = tf.data.Dataset.from_tensor_slices(
    ...     {"image": np.zeros((5, 32, 32, 3), "uint8"), "label": np.arange(5) % 3}
    ... ).batch(2)
    >>> callback = keras_has.callbacks.EvaluationCallback(
    ...     keras_has.evaluation.ClassificationEvaluator(), batches
    ... )
    >>> callback.set_model(keras_has.models.SmallGAP(3, (32, 32, 3)))
    >>> sorted(callback.evaluate())
    ['val_loss', 'val_top1_clas']
    """

    def __init__(
        self,
        evaluator: Evaluator,
        dataset: tf.data.Dataset,
        log_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                f"`{type(self).__name__}` counts outside of the replicas: create it outside of "
                "`strategy.scope()`; the model belongs inside."
            )
        self.evaluator = evaluator
        self.dataset: Any = dataset
        self.log_dir = None if log_dir is None else os.fspath(log_dir)
        self.panel: drawing.Picture | None = None
        self._batches = dataset
        self._built_for: keras.Model | None = None
        self._inference: Inference | None = None
        self._writer: Any = None

    def set_model(self, model: keras.Model) -> None:
        """Builds the forward pass, once per model."""
        if model is not self._built_for:
            if keras.backend.backend() != "tensorflow":
                raise ValueError(
                    f"`{type(self).__name__}` runs on Keras' TensorFlow backend. "
                    f"Received: backend={keras.backend.backend()}"
                )
            self._inference = Inference(
                self._batches,
                self.evaluator.forward(model),
                getattr(model, "distribute_strategy", None),
                self.evaluator.padding_values,
            )
            self._built_for = model
        super().set_model(model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluates, and writes the figures into `logs` and for TensorBoard."""
        figures = self.evaluate(draw=self.log_dir is not None)
        if logs is not None:
            logs.update(figures)
        if self.log_dir is not None:
            self._write(epoch, figures)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the file for TensorBoard."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def evaluate(self, draw: bool = False) -> dict[str, float]:
        """Does one pass over the data with the model that was set.

        Args:
            draw: Whether to draw `panel`, too.

        Returns:
            The figures by their names in `logs`.

        Raises:
            ValueError: If no model was set, or the data is empty.
        """
        figures = self.inference("evaluate").run([self.evaluator], draw)
        if draw:
            panel = self.evaluator.panel()
            self.panel = None if panel is None else panel.draw()
        return {self.log_name(name): value for name, value in figures.items()}

    def log_name(self, name: str) -> str:
        """Returns the name in `logs` of one of the evaluator's figures."""
        return f"val_{name}"

    def inference(self, purpose: str) -> Inference:
        """Returns the inference loop of the model that was set.

        Args:
            purpose: Name of the method that needs it, for the message.

        Raises:
            ValueError: If no model was set.
        """
        if self._inference is None:
            raise ValueError(f"`{purpose}` needs a model: call `set_model(model)` first.")
        return self._inference

    def _write(self, epoch: int, figures: dict[str, float]) -> None:
        board = self.evaluator.name
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(f"{self.log_dir}/{board}")
        with self._writer.as_default(step=epoch):
            for name, value in figures.items():
                tf.summary.scalar(f"{board}/{name.removeprefix('val_')}", value)
            if self.panel is not None:
                tf.summary.image(self.evaluator.panel_tag, self.panel[None])
        self._writer.flush()
