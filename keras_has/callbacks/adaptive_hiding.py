"""A callback that finds the hide probability during training."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_has.callbacks.hiding_layers import hiding_layers
from keras_has.callbacks.sign_controller import SignController
from keras_has.layers.hiding_layer import HidingLayer, values_of
from keras_has.metrics.hiding_accuracy import HidingAccuracy


class AdaptiveHiding(keras.callbacks.Callback):
    """Raises the hide probability while the network copes with hiding, and lowers it otherwise.

    The statistic is r = (accuracy on hidden images) / (accuracy on whole images), over recent
    training batches, of which the layer leaves every n-th example whole. While r is above `target`
    the probability rises, otherwise it falls, by `step` each time:

        p <- p + step * sign(r - target), limited to [lowest, highest]

    The ratio, not the accuracy itself, so that the rule neither waits for a network that cannot
    classify yet, nor runs away when the accuracy saturates late in training: then r is 1 only if
    hidden images are classified as well as whole ones. The upper limit keeps the object from
    vanishing.

    No second network or pass is needed: both accuracies come from the training batches, by a metric
    in `compile`. The probability is a variable of the layer and is saved with it, and a decision
    never uses batches of an earlier epoch, so a run that is resumed after an epoch continues bit
    for bit. Under a strategy the counts of all replicas are summed. On JAX, where steps cannot see
    changes, there is one decision per epoch.

    Args:
        metric: The `HidingAccuracy` that the model is compiled with.
        target: The ratio to reach. Defaults to `0.9`. (This project's choice.)
        step: The change of the probability per decision. Defaults to `0.02`.
        lowest: The smallest probability. Defaults to `0.0`.
        highest: The largest probability. Defaults to `0.6`, the largest with evidence in the
            literature on such controllers.
        num_whole: Number of whole examples on which a decision is based. Defaults to `64`.
        read_every: Batches between two looks at the counts. Defaults to `8`.
        layers: The layers to change: one, several, or `None` (default) for all of the model.

    Raises:
        ValueError: If an argument is out of range, the model has no hiding layer, a layer has
            several probabilities, or a layer and the metric have different `whole_every`.

    The logs of each epoch get `"hide_probability"`, beside the two accuracies of the metric;
    `TensorBoard` plots it if it comes after this callback.

    Example:

    >>> accuracy = keras_has.metrics.HidingAccuracy(whole_every=10)
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 3)),
    ...     keras_has.layers.HideAndSeek(2, hide_probability=0.0, whole_every=10),
    ...     keras.layers.GlobalAveragePooling2D(),
    ...     keras.layers.Dense(2, activation="softmax"),
    ... ])
    >>> model.compile("sgd", "sparse_categorical_crossentropy", metrics=[accuracy])
    >>> model.fit(images, labels, callbacks=[AdaptiveHiding(accuracy)])  # doctest: +SKIP

    Reference:
        The paper names "dynamically learn patch size and hiding probability during training" as
        future work (section 5); the rule is that of [Karras et al.,
        2020](https://arxiv.org/abs/2006.06676), with another statistic.
    """

    def __init__(
        self,
        metric: HidingAccuracy,
        target: float = 0.9,
        step: float = 0.02,
        lowest: float = 0.0,
        highest: float = 0.6,
        num_whole: int = 64,
        read_every: int = 8,
        layers: HidingLayer | Iterable[HidingLayer] | None = None,
    ) -> None:
        super().__init__()
        self.metric = metric
        self.controller = SignController(target, step, lowest, highest)
        for name, value in (("num_whole", num_whole), ("read_every", read_every)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` should be an int of at least 1. Received: {value}")
        self.num_whole = num_whole
        self.read_every = read_every
        self.layers = layers
        self._layers: list[HidingLayer] = []
        self._decided = np.zeros((2, 2), np.int64)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Finds the layers, and checks that they fit the metric."""
        self._layers = hiding_layers(self.model, self.layers)
        for layer in self._layers:
            if not isinstance(layer.hide_probability, float):
                raise ValueError(
                    "`hide_probability` of the layers should be one number. Received: "
                    f"{layer.hide_probability} for layer '{layer.name}'"
                )
            if layer.whole_every != self.metric.whole_every:
                raise ValueError(
                    "`whole_every` should be the same for metric and layers. Received: "
                    f"{self.metric.whole_every} for the metric, {layer.whole_every} for layer "
                    f"'{layer.name}'"
                )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts to count: Keras has reset the metric."""
        self._decided = np.zeros((2, 2), np.int64)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Decides, now and then, once enough examples have been seen since the last decision."""
        if (batch + 1) % self.read_every == 0 and keras.backend.backend() != "jax":
            self._decide()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Logs the probability."""
        if keras.backend.backend() == "jax":
            self._decide()
        if logs is not None:
            logs["hide_probability"] = self._layers[0].hide_probability

    def _decide(self) -> None:
        counts = values_of(self.metric.counts)
        (hidden_right, hidden), (whole_right, whole) = (counts - self._decided).tolist()
        if whole < self.num_whole or not hidden:
            return
        self._decided = counts
        ratio = (hidden_right / hidden) / (whole_right / whole) if whole_right else float("nan")
        for layer in self._layers:
            layer.hide_probability = self.controller.next_value(layer.hide_probability, ratio)
