"""A schedule of the hide probability."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_has.callbacks.hiding_layers import hiding_layers
from keras_has.layers.hiding_layer import HidingLayer
from keras_has.ops.hiding import check_hide_probability


class HidingSchedule(keras.callbacks.Callback):
    """Raises the hide probability linearly, holds it, and may hide nothing in the last epochs.

    With the position t in epochs, `ramp_epochs` = r, `tail_epochs` = e and n epochs in all, the
    probability is

        initial + (final - initial) * min(t / r, 1)    for t < n - e
        0                                              for the last e epochs

    The probability is a function of the epoch and the step alone, so a run that is resumed with
    `initial_epoch` continues as if it had never stopped. It changes with every batch if the number
    of batches is known, and with every epoch on JAX, whose steps cannot see changes, and in a first
    epoch of unknown length.

    Args:
        final: The probability after the ramp, in [0, 1].
        initial: The probability at the start, in [0, 1]. Defaults to `0.0`.
        ramp_epochs: Length of the ramp in epochs, at least 0, not necessarily whole. Defaults to
            `None`, all epochs before the tail.
        tail_epochs: Number of last epochs without hiding, at least 0. Defaults to `0`.
        layers: The layers to change: one, several, or `None` (default) for all of the model.

    Raises:
        ValueError: If an argument is out of range, the tail is longer than the training, or the
            model has no hiding layer.

    The logs of each epoch get `"hide_probability"`, the value at its end, which `TensorBoard` plots
    if it comes after this callback.

    Example:

    >>> schedule = HidingSchedule(0.5, ramp_epochs=10, tail_epochs=5)
    >>> [round(schedule.probability(t, epochs=30), 2) for t in (0, 5, 10, 24.9, 25)]
    [0.0, 0.25, 0.5, 0.5, 0.0]

    Reference:
        [Ghiasi et al., 2018](https://arxiv.org/abs/1810.12890), who find that a ramp
        is needed for a similar regularizer (DropBlock).
    """

    def __init__(
        self,
        final: float = 0.5,
        initial: float = 0.0,
        ramp_epochs: float | None = None,
        tail_epochs: float = 0,
        layers: HidingLayer | Iterable[HidingLayer] | None = None,
    ) -> None:
        super().__init__()
        self.final = check_hide_probability(final)
        self.initial = check_hide_probability(initial)
        for name, value in (("ramp_epochs", ramp_epochs), ("tail_epochs", tail_epochs)):
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(f"`{name}` should be at least 0. Received: {name}={value}")
        self.ramp_epochs = ramp_epochs
        self.tail_epochs = tail_epochs
        self.layers = layers
        self._layers: list[HidingLayer] = []
        self._epoch = 0
        self._steps: int | None = None

    def probability(self, position: float, epochs: int) -> float:
        """Returns the probability at a position of the training.

        Args:
            position: The number of finished epochs, with fractions.
            epochs: The number of all epochs.
        """
        hiding_epochs = epochs - self.tail_epochs
        if position >= hiding_epochs:
            return 0.0
        ramp = hiding_epochs if self.ramp_epochs is None else self.ramp_epochs
        share = min(position / ramp, 1.0) if ramp > 0 else 1.0
        return self.initial + (self.final - self.initial) * share

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Finds the layers."""
        epochs = self.params["epochs"]
        if self.tail_epochs >= epochs > 0:
            raise ValueError(
                "`tail_epochs` should be less than the number of epochs. "
                f"Received: tail_epochs={self.tail_epochs}, epochs={epochs}"
            )
        self._layers = hiding_layers(self.model, self.layers)
        self._steps = self.params.get("steps")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the probability at the start of the epoch."""
        self._epoch = epoch
        self._set(epoch)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the probability of the batch."""
        if batch and self._steps and keras.backend.backend() != "jax":
            self._set(self._epoch + batch / self._steps)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Logs the probability."""
        if logs is not None:
            # A layer with several probabilities has been given the same for all.
            logs["hide_probability"] = float(np.mean(self._layers[0].hide_probability))

    def _set(self, position: float) -> None:
        value = self.probability(position, self.params["epochs"])
        for layer in self._layers:
            if layer.hide_probability != value:
                layer.hide_probability = value
