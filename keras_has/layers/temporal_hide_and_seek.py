"""Hide-and-Seek in time, as a Keras layer."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_has.layers.hiding_layer import HidingLayer
from keras_has.ops import hiding

Tensor = Any


@keras.saving.register_keras_serializable(package="keras_has")
class TemporalHideAndSeek(HidingLayer):
    """Hides random segments of each sequence while training, so that all of it is looked at.

    Each sequence, the features or the frames of one video, is divided into contiguous segments of
    time. Each segment is hidden with `hide_probability`, independently of all others and anew at
    each call: all its steps are replaced by `fill_value`, in all features together. Segments start
    at the first step, with no random offset, and nothing is rescaled. At test time nothing is
    hidden.

    The paper divides 2,000 features into 20 segments of 100 and fills with the data set's mean
    feature: `TemporalHideAndSeek(num_segments=20, fill_value="mean")` and `adapt`. On features that
    are standardised, 0 is their mean.

    Of padded sequences, those with a `mask`, the padding stays as it is and does not count:
    `num_segments` divides the true length of each. A network that pools over time needs the mask
    too, which this layer passes on.

    Args:
        segment_length: Steps a segment; the last one may be shorter. Excludes `num_segments`.
            Defaults to None.
        num_segments: Number of segments of equal length, give or take a step. Defaults to 20 where
            `segment_length` is not given.
        hide_probability: Probability in [0, 1] that a segment is hidden. Defaults to 0.5. As in
            `HideAndSeek` it lives in a variable: `layer.hide_probability = 0.3` takes effect at the
            next batch.
        fill_value: What every step of a hidden segment becomes: a number, a sequence of one number
            per feature (per channel of frames), or `"mean"`, their means over the data given to
            `adapt`. Rounded to the nearest integer for frames of integers. Defaults to 0.
        seed: Integer for reproducible masks, or None.
        **kwargs: `name` and `dtype`, as in every Keras layer. The dtype does not matter: sequences
            leave in the dtype in which they came, under any policy.

    Call arguments:
        inputs: One sequence or a batch, float32, float16, bfloat16 or uint8; or a dict that holds
            them under `"features"` (or `"frames"`), perhaps with their `"mask"`, and whose other
            entries pass through untouched.
        training: Segments are hidden only where this is True. `fit` sets it; `predict`, `evaluate`,
            `model(x)` and `model.export()` do not; `Dataset.map` needs it given.
        mask: Bool, (T,) or (B, T), True for the steps that the sequence has and False for padding.
            Within a model Keras passes on the mask of the layers before, such as
            `keras.layers.Masking`. Defaults to None: no padding.

    Input shape:
        The rank tells what it is: features (T, D) or (B, T, D), frames (T, H, W, C) or
        (B, T, H, W, C). All but the rank may be unknown. Grey frames need their channel.

    Output shape:
        The input's.

    Raises:
        ValueError: For both or non-positive lengths, a probability outside [0, 1], a fill of the
            wrong length, inputs of another rank, or `"mean"` before `adapt`.

    Example:

    >>> layer = keras_has.layers.TemporalHideAndSeek(num_segments=2, hide_probability=1.0)
    >>> features = np.ones((1, 5, 1), "float32")
    >>> mask = np.array([[True, True, True, True, False]])
    >>> np.asarray(layer(features, training=True, mask=mask))[0, :, 0]
    array([0., 0., 0., 0., 1.], dtype=float32)

    In a model:

    >>> model = keras.Sequential([
    ...     keras.Input((None, 4096)),
    ...     keras_has.layers.TemporalHideAndSeek(segment_length=100, seed=1),
    ...     keras.layers.Conv1D(500, 1, activation="relu"),
    ... ])

    Reference:
        Singh and Lee, "Hide-and-Seek: Forcing a Network to be Meticulous for Weakly-supervised
        Object and Action Localization", ICCV 2017, arXiv:1704.04232, section 3.3.
    """

    def __init__(
        self,
        segment_length: int | None = None,
        num_segments: int | None = None,
        hide_probability: float = 0.5,
        fill_value: Any = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(hide_probability, fill_value, seed, **kwargs)
        self.segment_length, self.num_segments = hiding.check_segments(segment_length, num_segments)
        self.supports_masking = True

    def adapt(self, data: Any, mask: Any = None) -> None:
        """Computes the mean of each feature over all steps of `data`, for `fill_value="mean"`.

        One pass with sums in float64; sequences may differ in length and need not fit into memory.

        Args:
            data: An array or tensor of one sequence or a batch, or an iterable of such (a
                `tf.data.Dataset`, batched or not, a list, a generator). Of tuples the first entry
                is taken, of dicts `"features"` (or `"frames"`), without the steps that their
                `"mask"`, if they have one, says are padding.
            mask: Where `data` is an array or tensor: bool, (T,) or (B, T), False for padding.

        Raises:
            ValueError: Where `fill_value` is not "mean", or `data` is empty or not finite.
        """
        self.adapt_mean(_batches_of_steps(data, mask), "step")

    def build(self, input_shape: Any) -> None:
        """Creates the variable of the mean, whose length is the number of features."""
        if self.fill_value == "mean":
            self.create_mean(input_shape[-1])

    def __call__(
        self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any
    ) -> Any:
        """Hides segments of the sequences in `inputs`; see the class."""
        if isinstance(inputs, dict):
            # Only the sequences go through Keras, which would cast the other entries.
            key = hiding.sequences_key(inputs)
            mask = inputs.get("mask") if mask is None else mask
            return {**inputs, key: self(inputs[key], training=training, mask=mask, **kwargs)}
        if keras.backend.backend() != "tensorflow" and hiding.is_tensorflow_tensor(inputs):
            return self._call_in_tensorflow(inputs, training, mask)
        if training is not None:
            kwargs["training"] = training
        if mask is not None:
            kwargs["mask"] = mask
        return super().__call__(inputs, **kwargs)

    def call(self, inputs: Tensor, training: bool | None = None, mask: Any = None) -> Tensor:
        """Hides segments where `training` is True; see the class."""
        if isinstance(inputs, dict):
            key = hiding.sequences_key(inputs)
            mask = inputs.get("mask") if mask is None else mask
            return {**inputs, key: self.call(inputs[key], training=training, mask=mask)}
        _check_mask(mask, inputs)
        hiding.check_sequences(inputs, self.fill_value)
        if not training:
            return inputs
        self.check_adapted()
        return self._hide(inputs, self.uniform, mask)

    def _call_in_tensorflow(self, sequences: Tensor, training: bool | None, mask: Any) -> Tensor:
        """Does in a `tf.data` pipeline what `call` does, while Keras runs on another backend."""
        _check_mask(mask, sequences)
        hiding.check_sequences(sequences, self.fill_value)
        if not training:
            return sequences
        self.check_adapted()
        return self._hide(sequences, self.uniform_in_tensorflow, mask)

    def _hide(self, sequences: Tensor, uniform: Callable[[tuple], Tensor], mask: Any) -> Tensor:
        """Draws noise with `uniform(shape)` and hides segments."""
        xp = hiding.tensor_namespace(sequences)
        return hiding.draw_and_hide_segments(
            sequences,
            uniform,
            self.segment_length,
            self.num_segments,
            self.read(self.probability, xp),
            self.fill(xp),
            mask,
            xp,
        )

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        """Returns the input's shape and dtype."""
        hiding.check_sequences(inputs, self.fill_value)
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs to build the layer again."""
        config = super().get_config()
        config.update(segment_length=self.segment_length, num_segments=self.num_segments)
        return config


def _check_mask(mask: Any, sequences: Tensor) -> None:
    """Raises a ValueError where the mask's rank does not go with the sequences'."""
    if mask is None:
        return
    expected = 1 if len(sequences.shape) in (2, 4) else 2
    if len(mask.shape) != expected:
        raise ValueError(
            f"`mask` should be of rank {expected}, one value for each step of `inputs` of shape "
            f"{tuple(sequences.shape)}. Received: mask of shape {tuple(mask.shape)}"
        )


def _batches_of_steps(data: Any, mask: Any) -> Iterator[np.ndarray]:
    """Yields arrays of steps without padding from whatever `adapt` accepts."""
    elements = [{"features": data, "mask": mask}] if hasattr(data, "shape") else data
    for element in elements:
        if isinstance(element, (tuple, list)):
            element = element[0]
        is_step = None
        if isinstance(element, dict):
            is_step = element.get("mask")
            element = element[hiding.sequences_key(element)]
        steps = _array(element)
        hiding.check_sequences(steps, "mean")
        if is_step is not None:
            steps = steps[_array(is_step).astype(bool)]
        yield steps


def _array(tensor: Any) -> np.ndarray:
    if hiding.is_tensorflow_tensor(tensor):
        return np.asarray(tensor)
    return ops.convert_to_numpy(tensor)
