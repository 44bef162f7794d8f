"""Hide-and-Seek as a Keras layer."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_has.layers.hiding_layer import (
    HidingLayer,
    as_array,
    check_training,
    elements_of,
    values_of,
)
from keras_has.ops import hiding

Tensor = Any


@keras.saving.register_keras_serializable(package="keras_has")
class HideAndSeek(HidingLayer):
    """Hides random patches of each image while training, so that the network looks everywhere.

    In each call every image draws its own patch size S, uniformly and independently. A grid of
    S x S cells is anchored at the image's top left; cells at the bottom and right may be partial.
    Each cell is hidden with `hide_probability`, independently of all others, in all channels
    together: its pixels are replaced by `fill_value`. Nothing is rescaled. At test time nothing is
    hidden.

    The layer belongs at the end of preprocessing: after resizing, cropping, flipping and
    normalization. There a fill of 0 is the dataset's mean color, which preserves the expected
    activation of the first layer's filters. On pixels that are not normalized yet, use
    `fill_value="mean"`.

    Under a `tf.distribute` strategy the layer draws independent masks on each replica. To make the
    masks independent of the number of replicas and of the batches, pass one seed per example under
    `"hiding_seed"`.

    Args:
        patch_size: Side of the cells: an int, in pixels; a float in (0, 1), a fraction of the
            images' shorter side, rounded down to pixels, but to 1 at least; or a sequence of ints
            and floats from which each image draws one. 0 hides nothing. Defaults to the paper's
            mixed sizes for 224 x 224 images, `(0, 16, 32, 44, 56)`.
        hide_probability: Probability in [0, 1] that a cell is hidden, or a sequence of
            probabilities from which each image draws one, uniformly and independently of its patch
            size. Defaults to 0.5. It lives in a non-trainable variable:
            `layer.hide_probability = 0.3` takes effect at the next batch, without retracing (on JAX
            at the next epoch; inside `Dataset.map` only with Keras on TensorFlow, otherwise the
            value is fixed when `map` is called). A number assigned to several probabilities
            replaces them all.
        fill_value: Value of a hidden pixel: a number, a sequence of one number per channel, or
            `"mean"`, the mean of each channel over the dataset given to `adapt`. Rounded to the
            nearest integer for integer images. Defaults to 0.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.
        seed: Integer for reproducible masks, or None.
        whole_every: n, at least 2, to leave the images 0, n, 2n, ... of each batch whole, with
            which `keras_has.metrics.HidingAccuracy` and `keras_has.callbacks.AdaptiveHiding`
            compare the others. A single image is not a batch. Defaults to 0: none.
        **kwargs: `name` and `dtype`, as in every Keras layer. The dtype has no effect: the output
            has the dtype of the input, under any policy.

    Call arguments:
        inputs: One image or a batch, float32, float16, bfloat16 or uint8; or a dict that holds
            them under `"images"` (or `"image"`). The dict may hold `"hiding_seed"`, (B, 2) integers
            or (2,) for one image: then each image's mask is a function of its seed alone. Other
            entries pass through unchanged.
        training: Patches are hidden only if this is True. `fit` sets it; `predict`, `evaluate`,
            `model(x)` and `model.export()` do not; in `Dataset.map` pass it explicitly.
        hiding_seed: The seeds, where `inputs` is not a dict. Defaults to None: the layer draws its
            own.

    Input shape:
        (H, W, C) or (B, H, W, C), or (C, H, W) or (B, C, H, W) with
        `data_format="channels_first"`; any number of channels; H, W and B may be unknown.

    Output shape:
        Same as the input shape.

    Raises:
        ValueError: If `patch_size` is empty, negative or a float outside (0, 1),
            `hide_probability` is empty or outside [0, 1],
            `fill_value` has the wrong length or is out of range for the images' dtype, the inputs
            have the wrong rank, or `"mean"` is used before `adapt`.

    Example:

    In a model (`fit` hides, everything else does not):

    >>> model = keras.Sequential([
    ...     keras.Input((64, 64, 3)),
    ...     keras.layers.Rescaling(1 / 127.5, offset=-1),
    ...     keras_has.layers.HideAndSeek(patch_size=(0, 4, 9, 12, 16), seed=1),
    ...     keras.layers.Conv2D(8, 3),
    ... ])

    With sizes relative to the image's side, and a probability for each image:

    >>> layer = keras_has.layers.HideAndSeek(
    ...     patch_size=(0, 1 / 9, 1 / 7, 1 / 5, 1 / 3), hide_probability=(0.1, 0.2, 0.3, 0.4, 0.5)
    ... )

    On a batch, or in `Dataset.map` (pass `training=True`; for masks that are the same at any
    parallelism use `keras_has.data.hide_images`):

    >>> layer = keras_has.layers.HideAndSeek(patch_size=2, hide_probability=1.0, fill_value=7)
    >>> hidden = layer(np.zeros((1, 2, 3, 1), "uint8"), training=True)
    >>> np.asarray(hidden)[0, :, :, 0]
    array([[7, 7, 7],
           [7, 7, 7]], dtype=uint8)
    >>> dataset = dataset.map(lambda x, y: (layer(x, training=True), y))  # doctest: +SKIP

    Reference:
        Singh and Lee, "Hide-and-Seek: Forcing a Network to be Meticulous for Weakly-supervised
        Object and Action Localization", ICCV 2017, arXiv:1704.04232, section 3.
    """

    def __init__(
        self,
        patch_size: float | Iterable[float] = (0, 16, 32, 44, 56),
        hide_probability: float | Iterable[float] = 0.5,
        fill_value: Any = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        whole_every: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(hide_probability, fill_value, seed, whole_every, **kwargs)
        self._patch_sizes = hiding.check_patch_size(patch_size)
        self.patch_size: float | tuple[float, ...] = self._patch_sizes
        if not isinstance(patch_size, Iterable):
            (self.patch_size,) = self._patch_sizes
        data_format = data_format or keras.config.image_data_format()
        if data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                '`data_format` should be "channels_last" or "channels_first". '
                f"Received: data_format={data_format}"
            )
        self.data_format = data_format
        self._size_weights = self.add_weight(
            name="patch_size_weights",
            shape=(len(self._patch_sizes),),
            dtype="float32",
            initializer="ones",
            trainable=False,
            autocast=False,
        )

    @property
    def patch_size_weights(self) -> np.ndarray:
        """Relative frequency of each size; all equal until assigned to."""
        return values_of(self._size_weights)

    @patch_size_weights.setter
    def patch_size_weights(self, value: Any) -> None:
        weights = np.asarray(value, "float32")
        if (
            weights.shape != (len(self._patch_sizes),)
            or not np.all(np.isfinite(weights))
            or np.any(weights < 0)
            or not np.any(weights > 0)
        ):
            raise ValueError(
                "`patch_size_weights` should be one non-negative number per patch size, not all 0: "
                f"there are {len(self._patch_sizes)} sizes. Received: patch_size_weights={value}"
            )
        self._size_weights.assign(weights)

    def adapt(self, data: Any) -> None:
        """Computes the mean of each channel over all pixels of `data`, for `fill_value="mean"`.

        One pass with sums in float64; images may differ in size and need not fit into memory.

        Args:
            data: An array or tensor of images, or an iterable of such (a `tf.data.Dataset`, batched
                or not, a list, a generator). The first entry of tuples is used, and `"images"` or
                `"image"` of dicts.

        Raises:
            ValueError: If `fill_value` is not "mean", or `data` is empty, endless or not finite.
        """
        axis = -1 if self.data_format == "channels_last" else -3

        def batches() -> Iterator[np.ndarray]:
            for element in elements_of(data):
                if isinstance(element, dict):
                    element = element[hiding.images_key(element)]
                images = as_array(element)
                if images.ndim not in (3, 4):
                    raise ValueError(
                        "`data` should hold images of rank 3 or batches of rank 4. "
                        f"Received: shape={images.shape}"
                    )
                yield np.moveaxis(images, axis, -1)

        self.adapt_mean(batches(), "image")

    def build(self, input_shape: Any) -> None:
        """Creates the variable of the mean, whose length is the number of channels."""
        if self.fill_value == "mean":
            self.create_mean(input_shape[-1 if self.data_format == "channels_last" else -3])

    def __call__(
        self, inputs: Any, training: bool | None = None, hiding_seed: Any = None, **kwargs: Any
    ) -> Any:
        """Hides patches of the images in `inputs`; see the class."""
        if isinstance(inputs, dict):
            # Only the images go through Keras, which would cast the other entries.
            key = hiding.images_key(inputs)
            seeds = inputs.get("hiding_seed") if hiding_seed is None else hiding_seed
            images = self(inputs[key], training=training, hiding_seed=seeds, **kwargs)
            return {**inputs, key: images}
        hiding.check_is_dense_tensor(inputs)
        check_training(training)
        if keras.backend.backend() != "tensorflow" and hiding.is_tensorflow_tensor(inputs):
            return self.call(inputs, training, hiding_seed)  # in a tf.data pipeline
        if training is not None:
            kwargs["training"] = training
        if hiding_seed is not None:
            kwargs["hiding_seed"] = hiding_seed
        return super().__call__(inputs, **kwargs)

    def call(self, inputs: Tensor, training: bool | None = None, hiding_seed: Any = None) -> Tensor:
        """Hides patches if `training` is True; see the class."""
        hiding.check_images(inputs, self.fill_value, self.data_format)
        self.warn_if_mapped(training)
        if not training:
            return inputs
        self.check_adapted()
        xp = hiding.tensor_namespace(inputs)
        return hiding.draw_and_hide(
            inputs,
            self.noise_source(inputs, hiding_seed, is_batch=len(inputs.shape) == 4),
            self._patch_sizes,
            self.read(self._size_weights, xp),
            self.read(self.probability, xp),
            self.fill(xp),
            self.data_format,
            xp,
        )

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, hiding_seed: Any = None
    ) -> Any:
        """Returns the input's shape and dtype."""
        hiding.check_images(inputs, self.fill_value, self.data_format)
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs to rebuild the layer."""
        config = super().get_config()
        config.update(patch_size=self.patch_size, data_format=self.data_format)
        return config
