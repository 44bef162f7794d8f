"""Hide-and-Seek in time, as a Keras layer."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_has.layers.hiding_layer import HidingLayer, as_array, check_training, elements_of
from keras_has.ops import hiding

Tensor = Any


@keras.saving.register_keras_serializable(package="keras_has")
class TemporalHideAndSeek(HidingLayer):
    """Hides random segments of each sequence while training, so that the network uses all of it.

    Each sequence, the features or the frames of one video, is divided into contiguous segments of
    time. In each call every segment is hidden with `hide_probability`, independently of all others:
    all its steps are replaced by `fill_value`, in all features together. Segments start at the
    first step, with no random offset, and nothing is rescaled. At test time nothing is hidden.

    The paper divides 2,000 features into 20 segments of 100 and fills with the dataset's mean
    feature: `TemporalHideAndSeek(num_segments=20, fill_value="mean")` and `adapt`. The mean of
    standardized features is 0.

    In padded sequences, those with a `mask`, the padding is left unchanged and does not count:
    `num_segments` divides the true length of each sequence. A network that pools over time needs
    the mask too; this layer passes it on.

    Under a `tf.distribute` strategy the layer draws independent masks on each replica. To make the
    masks independent of the number of replicas and of the batches, pass one seed per example under
    `"hiding_seed"`.

    Args:
        segment_length: Steps per segment; the last one may be shorter. Excludes `num_segments`.
            Defaults to None.
        num_segments: Number of segments of equal length, up to one step. Defaults to 20 if
            `segment_length` is not given.
        hide_probability: Probability in [0, 1] that a segment is hidden. Defaults to 0.5. As in
            `HideAndSeek` it lives in a variable: `layer.hide_probability = 0.3` takes effect at the
            next batch.
        fill_value: Value of each step of a hidden segment: a number, a sequence of one number per
            feature (per channel of frames), or `"mean"`, their means over the data given to
            `adapt`. Rounded to the nearest integer for integer frames. Defaults to 0.
        seed: Integer for reproducible masks, or None.
        whole_every: n, at least 2, to leave the sequences 0, n, 2n, ... of each batch whole, with
            which `keras_has.metrics.HidingAccuracy` and `keras_has.callbacks.AdaptiveHiding`
            compare the others. A single sequence is not a batch. Defaults to 0: none.
        **kwargs: `name` and `dtype`, as in every Keras layer. The dtype has no effect: the output
            has the dtype of the input, under any policy.

    Call arguments:
        inputs: One sequence or a batch, float32, float16, bfloat16 or uint8; or a dict that holds
            them under `"features"` (or `"frames"`). The dict may hold their `"mask"`, and
            `"hiding_seed"`, (B, 2) integers or (2,) for one sequence: then what is hidden in a
            sequence is a function of its seed alone. Other entries pass through unchanged.
        training: Segments are hidden only if this is True. `fit` sets it; `predict`, `evaluate`,
            `model(x)` and `model.export()` do not; in `Dataset.map` pass it explicitly.
        mask: Bool, (T,) or (B, T), False for padding. Within a model Keras passes on the mask of
            the layers before, such as `keras.layers.Masking`. Defaults to None: no padding.
        hiding_seed: The seeds, where `inputs` is not a dict. Defaults to None: the layer draws its
            own.

    Input shape:
        Features (T, D) or (B, T, D), or frames (T, H, W, C) or (B, T, H, W, C); the rank decides.
        All sizes may be unknown. Grayscale frames need their channel axis.

    Output shape:
        Same as the input shape.

    Raises:
        ValueError: If both lengths are given or one is not positive, `hide_probability` is outside
            [0, 1], `fill_value` has the wrong length, the inputs have the wrong rank, or `"mean"`
            is used before `adapt`.

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
        whole_every: int = 0,
        **kwargs: Any,
    ) -> None:
        hide_probability = hiding.check_hide_probability(hide_probability)
        super().__init__(hide_probability, fill_value, seed, whole_every, **kwargs)
        self.segment_length, self.num_segments = hiding.check_segments(segment_length, num_segments)
        self.supports_masking = True

    def adapt(self, data: Any, mask: Any = None) -> None:
        """Computes the mean of each feature over all steps of `data`, for `fill_value="mean"`.

        One pass with sums in float64; sequences may differ in length and need not fit into memory.

        Args:
            data: An array or tensor of one sequence or a batch, or an iterable of such (a
                `tf.data.Dataset`, batched or not, a list, a generator). The first entry of tuples
                is used, and `"features"` (or `"frames"`) of dicts, without the padding that their
                `"mask"`, if present, marks.
            mask: If `data` is an array or tensor: bool, (T,) or (B, T), False for padding.

        Raises:
            ValueError: If `fill_value` is not "mean", or `data` is empty, endless or not finite.
        """
        self.adapt_mean(_batches_of_steps(data, mask), "step")

    def build(self, input_shape: Any) -> None:
        """Creates the variable of the mean, whose length is the number of features."""
        if self.fill_value == "mean":
            self.create_mean(input_shape[-1])

    def __call__(
        self,
        inputs: Any,
        training: bool | None = None,
        mask: Any = None,
        hiding_seed: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Hides segments of the sequences in `inputs`; see the class."""
        if isinstance(inputs, dict):
            # Only the sequences go through Keras, which would cast the other entries.
            key = hiding.sequences_key(inputs)
            mask = inputs.get("mask") if mask is None else mask
            seeds = inputs.get("hiding_seed") if hiding_seed is None else hiding_seed
            sequences = self(inputs[key], training=training, mask=mask, hiding_seed=seeds, **kwargs)
            return {**inputs, key: sequences}
        hiding.check_is_dense_tensor(inputs)
        check_training(training)
        if keras.backend.backend() != "tensorflow" and hiding.is_tensorflow_tensor(inputs):
            return self.call(inputs, training, mask, hiding_seed)  # in a tf.data pipeline
        if training is not None:
            kwargs["training"] = training
        if mask is not None:
            kwargs["mask"] = mask
        if hiding_seed is not None:
            kwargs["hiding_seed"] = hiding_seed
        return super().__call__(inputs, **kwargs)

    def call(
        self,
        inputs: Tensor,
        training: bool | None = None,
        mask: Any = None,
        hiding_seed: Any = None,
    ) -> Tensor:
        """Hides segments if `training` is True; see the class."""
        _check_mask(mask, inputs)
        hiding.check_sequences(inputs, self.fill_value)
        self.warn_if_mapped(training)
        if not training:
            return inputs
        self.check_adapted()
        xp = hiding.tensor_namespace(inputs)
        return hiding.draw_and_hide_segments(
            inputs,
            self.noise_source(inputs, hiding_seed, is_batch=len(inputs.shape) in (3, 5)),
            self.segment_length,
            self.num_segments,
            self.read(self.probability, xp),
            self.fill(xp),
            mask,
            xp,
        )

    def compute_output_spec(
        self,
        inputs: Any,
        training: bool | None = None,
        mask: Any = None,
        hiding_seed: Any = None,
    ) -> Any:
        """Returns the input's shape and dtype."""
        hiding.check_sequences(inputs, self.fill_value)
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs to rebuild the layer."""
        config = super().get_config()
        config.update(segment_length=self.segment_length, num_segments=self.num_segments)
        return config


def _check_mask(mask: Any, sequences: Tensor) -> None:
    """Raises a ValueError if the mask's rank does not match the sequences'."""
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
    is_one = hasattr(data, "shape")
    for element in [{"features": data, "mask": mask}] if is_one else elements_of(data):
        is_step = None
        if isinstance(element, dict):
            is_step = element.get("mask")
            element = element[hiding.sequences_key(element)]
        steps = as_array(element)
        hiding.check_sequences(steps, "mean")
        if is_step is not None:
            steps = steps[as_array(is_step).astype(bool)]
        yield steps
