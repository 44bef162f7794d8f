"""The average of several networks."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from keras_has.cams.map_method import MapMethod, chosen_class
from keras_has.deprecation import warn_argument
from keras_has.ops.cam import upsample_maps


class Ensemble(MapMethod):
    """The average of several methods' maps, and of several methods' probabilities.

    The paper's ensemble uses the maps of the networks trained with patches of 16, 32, 44 and 56
    px, and the probabilities of these four and of the network trained without hiding. It does not
    say whether the maps are rescaled first. This project averages them unchanged: maps are class
    scores, in the same unit in all networks.

    Maps of different sizes are enlarged to the largest height and width among them. Without a
    `class_index`, the class with the highest average probability is used; then all probabilities
    are computed before the maps.

    Args:
        map_methods: Methods whose maps are averaged; at least one.
        probability_methods: Methods whose probabilities are averaged. Defaults to `None`, which
            means `map_methods`.
        normalise: Deprecated. Whether each map is divided by its maximum, if that is above 0.
            Defaults to `False`.

    Call arguments:
        images: (B, H, W, C), as all models take them.
        class_index: (B,) integers, or `None` for the predicted class.

    Returns:
        Two float32 tensors: maps (B, h, w) and probabilities (B, K).

    Raises:
        ValueError: If a list is empty or contains anything but map methods.

    Example:

    >>> from keras_has.cams import CAM, Ensemble
    >>> hidden, plain = (CAM(keras_has.models.SmallGAP(3, (64, 64, 3))) for _ in range(2))
    >>> method = Ensemble([hidden], probability_methods=[hidden, plain])
    >>> maps, probabilities = method(np.ones((2, 64, 64, 3)))
    >>> maps.shape, probabilities.shape
    (TensorShape([2, 16, 16]), TensorShape([2, 3]))

    Reference:
        Singh and Lee, "Hide-and-Seek", ICCV 2017, section 4 and table 2.
    """

    def __init__(
        self,
        map_methods: Sequence[MapMethod],
        probability_methods: Sequence[MapMethod] | None = None,
        normalise: bool = False,
    ) -> None:
        self.map_methods = tuple(map_methods)
        self.probability_methods = (
            self.map_methods if probability_methods is None else tuple(probability_methods)
        )
        for name in ("map_methods", "probability_methods"):
            methods = getattr(self, name)
            if not methods or not all(isinstance(method, MapMethod) for method in methods):
                raise ValueError(
                    f"`{name}` should contain at least one map method, such as "
                    f"`keras_has.cams.CAM(model)`. Received: {name}={methods}"
                )
        if normalise:
            warn_argument(
                "Ensemble(normalise=True)",
                "Leave the argument out, or divide each method's maps by their maxima yourself.",
            )
        self.normalise = bool(normalise)
        methods = dict.fromkeys((*self.map_methods, *self.probability_methods))
        networks = dict.fromkeys(network for method in methods for network in method.networks)
        super().__init__(*networks)

    def __call__(
        self, images: tf.Tensor, class_index: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns maps and probabilities; see the class."""
        known: tf.Tensor | None = None
        if class_index is None:
            known = self.probabilities(images)
            class_index = chosen_class(known, None)
        results = {
            method: method(images, class_index) for method in dict.fromkeys(self.map_methods)
        }
        if known is None:
            probabilities = [
                results[method][1] if method in results else method.probabilities(images)
                for method in self.probability_methods
            ]
            known = tf.add_n(probabilities) / len(probabilities)
        maps = [results[method][0] for method in self.map_methods]
        maps = _of_one_size(maps)
        if self.normalise:
            maps = [one / _maximum(one) for one in maps]
        return tf.add_n(maps) / len(maps), known

    def probabilities(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the class probabilities (B, K), float32, without maps."""
        probabilities = [method.probabilities(images) for method in self.probability_methods]
        return tf.add_n(probabilities) / len(probabilities)


def _of_one_size(maps: list[tf.Tensor]) -> list[tf.Tensor]:
    sizes = {tuple(one.shape[1:3]) for one in maps}
    if len(sizes) == 1:
        return maps
    if any(None in size for size in sizes):
        raise ValueError(
            "`images` should be of a known size if the methods' maps differ in size. "
            f"Received: maps of {sorted(sizes, key=str)}"
        )
    largest = (max(size[0] for size in sizes), max(size[1] for size in sizes))
    return [
        one if tuple(one.shape[1:3]) == largest else upsample_maps(one, largest) for one in maps
    ]


def _maximum(maps: tf.Tensor) -> tf.Tensor:
    """Returns the maximum of each map, and 1 for a map that is nowhere above 0."""
    maximum = tf.reduce_max(maps, axis=(1, 2), keepdims=True)
    return tf.where(maximum > 0, maximum, 1.0)
