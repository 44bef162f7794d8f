"""The paper's network for actions: two convolutions over time, pooling and a softmax."""

from collections.abc import Sequence

import keras

from keras_has.layers.temporal_hide_and_seek import TemporalHideAndSeek
from keras_has.layers.temporal_pooling import TemporalPooling

ACTIVATIONS = ("softmax", "sigmoid")


def TemporalGAP(  # noqa: N802 (named like the functions of keras.applications)
    num_classes: int,
    input_shape: tuple[int | None, int] = (2000, 4096),
    widths: Sequence[int] = (500, 500),
    pooling: str = "max",
    activation: str = "softmax",
    is_masked: bool = False,
    preprocessing: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
    dropout_rate: float = 0.0,
    name: str = "temporal_gap",
) -> keras.Model:
    """A network that classifies the actions of a sequence and localizes them in time.

    Two convolutions of kernel size 1 process each step independently, each with a ReLU; global
    pooling over time and a dense layer follow. (Such a convolution is a dense layer on every
    step and is implemented as one: Keras' `Dense` propagates a mask, `Conv1D` does not.)

    Its temporal class activation map of class c is `CAM(t, c) = sum_i W(i, c) F_i(t)`, F being the
    output of `"cam_features"`, W the kernel of `"predictions"`: see `keras_has.ops.temporal_cam`.
    The layers between are called `"pooling"` and, where there is dropout, `"pooling_dropout"`.

    That the convolutions are followed by a ReLU, that there is no batch normalization, and what
    becomes of sequences with several actions under a softmax, is not in the paper: it is this
    project's choice. Where sequences show several actions, `activation="sigmoid"` suits the labels
    better.

    The last layer computes in float32 under every dtype policy.

    Args:
        num_classes: Number of classes.
        input_shape: `(T, D)`, steps and features. T may be None. Defaults to the paper's 2,000
            features of 4,096 numbers.
        widths: Number of kernels of each convolution. Defaults to the paper's `(500, 500)`.
        pooling: `"max"` (default, the paper's) or `"avg"`, over the steps that are not padding.
        activation: `"softmax"` (default, the paper's) or `"sigmoid"`.
        is_masked: Whether sequences are padded. The model then takes a dict of `"features"`,
            (B, T, D), and `"mask"`, (B, T) bool, False for padding. Defaults to False: features
            alone.
        preprocessing: None, a Keras layer or a list of Keras layers, applied to the features in
            order, such as a `Normalization`; hiding comes last, and is given the mask.
        dropout_rate: Share of the pooled features dropped while training. Defaults to 0.
        name: Name of the model. Defaults to `"temporal_gap"`.

    Returns:
        A `keras.Model` from features to class probabilities, (B, num_classes) float32.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    >>> from keras_has.models import TemporalGAP
    >>> hide = keras_has.layers.TemporalHideAndSeek(num_segments=20)
    >>> model = TemporalGAP(20, input_shape=(2000, 64), preprocessing=hide)
    >>> model.get_layer("cam_features").output.shape
    (None, 2000, 500)

    Reference:
        Singh and Lee, "Hide-and-Seek", ICCV 2017 (arXiv:1704.04232), section 4: C3D features, two
        convolutions of 500 kernels, global maximum pooling and a softmax.
    """
    if not isinstance(num_classes, int) or num_classes < 1:
        raise ValueError(
            f"`num_classes` should be a positive integer. Received: num_classes={num_classes}"
        )
    if not widths:
        raise ValueError(f"`widths` should have at least one width. Received: widths={widths}")
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"`activation` should be one of {ACTIVATIONS}. Received: activation={activation}"
        )
    if not 0 <= dropout_rate < 1:
        raise ValueError(
            "`dropout_rate` should be at least 0 and less than 1. "
            f"Received: dropout_rate={dropout_rate}"
        )
    features = keras.Input(input_shape, name="features")
    mask = keras.Input(input_shape[:1], dtype="bool", name="mask") if is_masked else None
    x = features
    for layer in _layers(preprocessing):
        x = layer(x, mask=mask) if isinstance(layer, TemporalHideAndSeek) else layer(x)
    for number, width in enumerate(widths, start=1):
        x = keras.layers.Dense(width, kernel_initializer="he_normal", name=f"conv{number}")(x)
        is_last = number == len(widths)
        x = keras.layers.ReLU(name="cam_features" if is_last else f"relu{number}")(x)
    x = TemporalPooling(pooling, name="pooling")(x, mask=mask)
    if dropout_rate > 0:
        x = keras.layers.Dropout(dropout_rate, name="pooling_dropout")(x)
    outputs = keras.layers.Dense(
        num_classes, activation=activation, dtype="float32", name="predictions"
    )(x)
    inputs = {"features": features, "mask": mask} if is_masked else features
    return keras.Model(inputs, outputs, name=name)


def _layers(
    preprocessing: keras.layers.Layer | Sequence[keras.layers.Layer] | None,
) -> list[keras.layers.Layer]:
    if preprocessing is None:
        return []
    layers = list(preprocessing) if isinstance(preprocessing, Sequence) else [preprocessing]
    for layer in layers:
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(
                "`preprocessing` should be None, a Keras layer or a list of Keras layers. "
                f"Received: preprocessing={preprocessing}"
            )
    return layers
