"""Hide-and-Seek as a Keras layer."""

import numbers
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_has.layers.hiding_layer import HidingLayer, values_of
from keras_has.ops import hiding

Tensor = Any


@keras.saving.register_keras_serializable(package="keras_has")
class HideAndSeek(HidingLayer):
    """Hides random patches of each image while training, so that the network looks everywhere.

    Each image draws one patch size S, uniformly, independently and anew at each call. A grid of
    S x S cells is anchored at the image's top left; cells at the bottom and right may be partial.
    Each cell is hidden with `hide_probability`, independently of all others, in all channels
    together: its pixels are replaced by `fill_value`. Nothing is rescaled. At test time nothing is
    hidden.

    The layer belongs at the end of preprocessing: after resizing, cropping, flipping and
    normalisation. There a fill of 0 is the dataset's mean colour, which keeps the expected
    activation of the first layer's filters what it is on whole images. On pixels that are not
    normalised yet, use `fill_value="mean"`.

    Args:
        patch_size: Side of the cells in pixels: an int, or a sequence of ints of which each image
            draws one. 0 hides nothing. Defaults to the paper's mixed sizes for 224 x 224 images,
            `(0, 16, 32, 44, 56)`.
        hide_probability: Probability in [0, 1] that a cell is hidden. Defaults to 0.5. It lives in
            a non-trainable variable: `layer.hide_probability = 0.3` takes effect at the next
            batch, with no retracing (on JAX at the next epoch; inside `Dataset.map` on TensorFlow
            only, elsewhere the value is that of the moment when `map` was called).
        fill_value: What a hidden pixel becomes: a number, a sequence of one number per channel, or
            `"mean"`, the mean of each channel over the dataset given to `adapt`. Rounded to the
            nearest integer for images of integers. Defaults to 0.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.
        seed: Integer for reproducible masks, or None.
        **kwargs: `name` and `dtype`, as in every Keras layer. The dtype does not matter: images
            leave in the dtype in which they came, under any policy.

    Call arguments:
        inputs: One image or a batch, float32, float16, bfloat16 or uint8; or a dict that holds
            them under `"images"` (or `"image"`) and whose other entries pass through untouched.
        training: Patches are hidden only where this is True. `fit` sets it; `predict`, `evaluate`,
            `model(x)` and `model.export()` do not; `Dataset.map` needs it given.

    Input shape:
        (H, W, C) or (B, H, W, C), or (C, H, W) or (B, C, H, W) with
        `data_format="channels_first"`; any number of channels; H, W and B may be unknown.

    Output shape:
        The input's.

    Raises:
        ValueError: For sizes below 0 or none, a probability outside [0, 1], a fill of the wrong
            length or outside the images' dtype, inputs of another rank, or `"mean"` before `adapt`.

    Example:

    In a model (`fit` hides, everything else does not):

    >>> model = keras.Sequential([
    ...     keras.Input((64, 64, 3)),
    ...     keras.layers.Rescaling(1 / 127.5, offset=-1),
    ...     keras_has.layers.HideAndSeek(patch_size=(0, 4, 9, 12, 16), seed=1),
    ...     keras.layers.Conv2D(8, 3),
    ... ])

    On a batch, or in `Dataset.map` (say `training=True`; for masks that are the same at any
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
        patch_size: int | Iterable[int] = (0, 16, 32, 44, 56),
        hide_probability: float = 0.5,
        fill_value: Any = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(hide_probability, fill_value, seed, **kwargs)
        self._patch_sizes = hiding.check_patch_size(patch_size)
        self.patch_size: int | tuple[int, ...] = self._patch_sizes
        if isinstance(patch_size, numbers.Integral):
            self.patch_size = int(patch_size)
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
        """How often each size is drawn, up to a factor; all equal until assigned to."""
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
                or not, a list, a generator). Of tuples the first entry is taken, of dicts
                `"images"` or `"image"`.

        Raises:
            ValueError: Where `fill_value` is not "mean", or `data` is empty or not finite.
        """
        axis = -1 if self.data_format == "channels_last" else -3

        def batches() -> Iterator[np.ndarray]:
            for images in _batches_of_images(data):
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

    def __call__(self, inputs: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Hides patches of the images in `inputs`; see the class."""
        if isinstance(inputs, dict):
            # Only the images go through Keras, which would cast the other entries.
            key = hiding.images_key(inputs)
            return {**inputs, key: self(inputs[key], training=training, **kwargs)}
        if keras.backend.backend() != "tensorflow" and hiding.is_tensorflow_tensor(inputs):
            return self._call_in_tensorflow(inputs, training)
        if training is not None:
            kwargs["training"] = training
        return super().__call__(inputs, **kwargs)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Hides patches where `training` is True; see the class."""
        hiding.check_images(inputs, self.fill_value, self.data_format)
        if not training:
            return inputs
        self.check_adapted()
        return self._hide(inputs, self.uniform)

    def _call_in_tensorflow(self, images: Tensor, training: bool | None) -> Tensor:
        """Does in a `tf.data` pipeline what `call` does, while Keras runs on another backend."""
        hiding.check_images(images, self.fill_value, self.data_format)
        if not training:
            return images
        self.check_adapted()
        return self._hide(images, self.uniform_in_tensorflow)

    def _hide(self, images: Tensor, uniform: Callable[[tuple], Tensor]) -> Tensor:
        """Draws noise with `uniform(shape)` and hides patches."""
        xp = hiding.tensor_namespace(images)
        return hiding.draw_and_hide(
            images,
            uniform,
            self._patch_sizes,
            self.read(self._size_weights, xp),
            self.read(self.probability, xp),
            self.fill(xp),
            self.data_format,
            xp,
        )

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the input's shape and dtype."""
        hiding.check_images(inputs, self.fill_value, self.data_format)
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs to build the layer again."""
        config = super().get_config()
        config.update(patch_size=self.patch_size, data_format=self.data_format)
        return config


def _batches_of_images(data: Any) -> Iterator[np.ndarray]:
    """Yields arrays of rank 3 or 4 from whatever `adapt` accepts."""
    if hasattr(data, "shape"):  # an array or a tensor
        yield ops.convert_to_numpy(data)
        return
    if hasattr(data, "cardinality") and int(data.cardinality()) == -1:  # tf.data's infinite
        raise ValueError(
            "`data` should end: it is a dataset without end, such as `repeat()` makes. "
            "Give `dataset.take(batches)`."
        )
    for element in data:
        if isinstance(element, (tuple, list)):
            element = element[0]
        if isinstance(element, dict):
            element = element[hiding.images_key(element)]
        yield (
            np.asarray(element)
            if hiding.is_tensorflow_tensor(element)
            else (ops.convert_to_numpy(element))
        )
