"""A small network with global pooling for images of 64 to 96 px, trained on a CPU in minutes."""

from collections.abc import Sequence

import keras

from keras_has.deprecation import warn_argument
from keras_has.models.conv_bn_relu import conv_bn_relu
from keras_has.models.gap_head import gap_head
from keras_has.models.preprocessing import apply_preprocessing


def SmallGAP(  # noqa: N802 (named like the functions of keras.applications)
    num_classes: int,
    input_shape: tuple[int | None, int | None, int] = (64, 64, 3),
    map_stride: int = 4,
    pooling: str = "avg",
    widths: Sequence[int] = (32, 64, 64, 128, 128),
    preprocessing: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
    conv1_hiding: keras.layers.Layer | None = None,
    conv1_hiding_place: str = "before_relu",
    dropout_rate: float = 0.0,
    name: str = "small_gap",
) -> keras.Model:
    """A plain stack of convolutions, global pooling and a softmax, made to be quick on a CPU.

    A convolution of 5 x 5 with stride 2 and a pooling of 3 x 3 with stride 2 make the map small
    before anything is expensive; convolutions of 3 x 3 follow. With `map_stride=8`, another such
    pooling stands before the second half of them, which is quicker and classifies better, on a
    coarser map. Batch normalization and ReLU after every convolution. Not a network of the paper.

    | `map_stride` | map of 64 px | of 96 px |
    |---|---|---|
    | 4 | 16 x 16 | 24 x 24 |
    | 8 | 8 x 8 | 12 x 12 |

    The layer after the last ReLU is called `"cam_features"`, the head's layers `"pooling"` and
    `"predictions"`. Kernels start from `he_normal`.

    Args:
        num_classes: Number of classes.
        input_shape: `(height, width, channels)` in pixels; height and width may be `None`.
            Defaults to `(64, 64, 3)`.
        map_stride: Pixels of the input to one cell of the map, `4` or `8`. Defaults to `4`.
        pooling: `"avg"` or `"max"`, over all positions of the map. Defaults to `"avg"`.
        widths: Number of kernels of each convolution; at least two. Defaults to
            `(32, 64, 64, 128, 128)`.
        preprocessing: `None`, a Keras layer or a list of Keras layers, applied to the input in
            order. Hiding comes last. Defaults to `None`.
        conv1_hiding: A layer that hides parts of the conv1 map (32 x 32 for 64 px), or `None`.
            Defaults to `None`.
        conv1_hiding_place: `"before_relu"`, or the deprecated `"after_relu"`, as in `AlexNetGAP`.
            Defaults to `"before_relu"`.
        dropout_rate: Share of the pooled features dropped while training. Defaults to `0.0`.
        name: Name of the model. Defaults to `"small_gap"`.

    Returns:
        A `keras.Model` from images to class probabilities.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    >>> from keras_has.models import SmallGAP
    >>> model = SmallGAP(num_classes=20)
    >>> model.get_layer("cam_features").output.shape
    (None, 16, 16, 128)

    Reference:
        [Zhou et al., 2016](https://arxiv.org/abs/1512.04150) for the head;
        [Singh and Lee, 2017](https://arxiv.org/abs/1704.04232), table 5, for `conv1_hiding`.
    """
    if conv1_hiding_place == "after_relu":
        warn_argument(
            'SmallGAP(conv1_hiding_place="after_relu")',
            "Leave the argument out: `conv1_hiding` acts before the ReLU.",
        )
    if map_stride not in (4, 8):
        raise ValueError(f"`map_stride` should be 4 or 8. Received: map_stride={map_stride}")
    if len(widths) < 2:
        raise ValueError(f"`widths` should have at least two widths. Received: widths={widths}")

    inputs = keras.Input(input_shape, name="images")
    x = apply_preprocessing(inputs, preprocessing)

    x = conv_bn_relu(
        x,
        widths[0],
        5,
        strides=2,
        name="conv1",
        hiding=conv1_hiding,
        hiding_place=conv1_hiding_place,
    )
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name="pool1")(x)
    second_half = 2 + (len(widths) - 1) // 2  # Number of its first convolution.
    for number, width in enumerate(widths[1:], start=2):
        if map_stride == 8 and number == second_half:
            x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name="pool2")(x)
        is_last = number == len(widths)
        x = conv_bn_relu(
            x, width, 3, name=f"conv{number}", relu_name="cam_features" if is_last else None
        )

    return keras.Model(inputs, gap_head(x, num_classes, pooling, dropout_rate), name=name)
