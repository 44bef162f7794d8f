"""What all callbacks that measure localization share: when they do it, and where it is written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_has import drawing


class LocalizationCallback(keras.callbacks.Callback):
    """Builds a forward pass once for a model, evaluates after each epoch and logs the figures.

    How to build it and what to measure is the subclasses' matter: they define `_build` and
    `evaluate`, and name what TensorBoard shows.

    Args:
        log_dir: Folder for TensorBoard, or None.
    """

    # Folder below `log_dir`, and what the tags of the figures begin with; tag of the panel.
    _board: str
    _panel_tag: str

    def __init__(self, log_dir: str | os.PathLike[str] | None) -> None:
        super().__init__()
        self.log_dir = None if log_dir is None else os.fspath(log_dir)
        self.panel: drawing.Picture | None = None
        self._built_for: keras.Model | None = None
        self._writer: Any = None

    def set_model(self, model: keras.Model) -> None:
        """Builds, once, the forward pass that gives maps and probabilities."""
        if model is not self._built_for:
            if keras.backend.backend() != "tensorflow":
                raise ValueError(
                    f"`{type(self).__name__}` runs on Keras' TensorFlow backend. "
                    f"Received: backend={keras.backend.backend()}"
                )
            self._build(model)
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
        """
        raise NotImplementedError

    def _build(self, model: keras.Model) -> None:
        raise NotImplementedError

    def _check_model(self, method: str) -> None:
        if self._built_for is None:
            raise ValueError(f"`{method}` needs a model: call `set_model(model)` first.")

    def _draw_panel(
        self, tiles: Sequence[drawing.Picture], captions: Sequence[str], heading: str, columns: int
    ) -> None:
        starts = range(0, len(tiles), columns)
        self.panel = drawing.sheet(
            [tiles[start : start + columns] for start in starts],
            captions=[captions[start : start + columns] for start in starts],
            heading=heading,
        )

    def _write(self, epoch: int, figures: dict[str, float]) -> None:
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(f"{self.log_dir}/{self._board}")
        with self._writer.as_default(step=epoch):
            for name, value in figures.items():
                tf.summary.scalar(f"{self._board}/{name.removeprefix('val_')}", value)
            if self.panel is not None:
                tf.summary.image(self._panel_tag, self.panel[None])
        self._writer.flush()
