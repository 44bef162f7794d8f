"""AlexNet with global pooling, as the paper trains it."""

from collections.abc import Sequence

import keras

from keras_has.deprecation import warn_argument
from keras_has.models.conv_bn_relu import conv_bn_relu
from keras_has.models.gap_head import gap_head
from keras_has.models.preprocessing import apply_preprocessing


def AlexNetGAP(  # noqa: N802 (named like the functions of keras.applications)
    num_classes: int = 1000,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str = "avg",
    preprocessing: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
    conv1_hiding: keras.layers.Layer | None = None,
    conv1_hiding_place: str = "before_relu",
    dropout_rate: float = 0.0,
    name: str = "alexnet_gap",
) -> keras.Model:
    """AlexNet up to pool5, two more convolutions, global pooling and a softmax.

    The original widths (96, 256, 384, 384, 256), not grouped; batch normalization after every
    convolution, which takes the place of the bias and of local response normalization; pool5 with
    stride 1; conv6 and conv7 with 512 kernels of 3 x 3. An input of 224 px gives a map of 11 x 11:

    | layer | kernel / stride, padding | map of a 224 px input |
    |---|---|---|
    | conv1 | 11 / 4, 2 | 55 x 55 x 96 |
    | pool1 | 3 / 2 | 27 x 27 x 96 |
    | conv2 | 5 / 1, 2 | 27 x 27 x 256 |
    | pool2 | 3 / 2 | 13 x 13 x 256 |
    | conv3, conv4, conv5 | 3 / 1, 1 | 13 x 13 x 384, 384, 256 |
    | pool5 | 3 / 1 | 11 x 11 x 256 |
    | conv6, conv7 | 3 / 1, 1 | 11 x 11 x 512 |

    The layer after conv7's ReLU is called `"cam_features"`, the head's layers `"pooling"` and
    `"predictions"`. Choices of this project, where the paper is silent: `he_normal` kernels, a
    Glorot uniform dense layer, normalization with momentum 0.9 and epsilon 1e-5, no dropout by
    default.

    Args:
        num_classes: Number of classes. Defaults to `1000`.
        input_shape: `(height, width, channels)` in pixels; height and width may be `None`.
            Defaults to `(224, 224, 3)`.
        pooling: `"avg"` or `"max"`, over all positions of the map. Defaults to `"avg"`.
        preprocessing: `None`, a Keras layer or a list of Keras layers, applied to the input in
            order. Hiding comes last. Defaults to `None`.
        conv1_hiding: A layer that hides parts of the conv1 map (55 x 55 x 96), or `None`.
            Defaults to `None`.
        conv1_hiding_place: `"before_relu"` puts `conv1_hiding` between the normalization and the
            ReLU, where a hidden value of zero is the mean activation up to the normalization's
            offset; `"after_relu"`, which is deprecated, puts it behind the ReLU. The paper does
            not say which. Defaults to `"before_relu"`.
        dropout_rate: Share of the pooled features dropped while training. Defaults to `0.0`.
        name: Name of the model. Defaults to `"alexnet_gap"`.

    Returns:
        A `keras.Model` from images to class probabilities.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    >>> from keras_has.models import AlexNetGAP
    >>> model = AlexNetGAP(num_classes=10)
    >>> model.get_layer("cam_features").output.shape
    (None, 11, 11, 512)

    Reference:
        [Singh and Lee, 2017](https://arxiv.org/abs/1704.04232), tables 1 to 6; table 4 for
        `pooling="max"`, table 5 for `conv1_hiding`. The two added convolutions are those of
        [Zhou et al., 2016](https://arxiv.org/abs/1512.04150); the widths those of
        [Krizhevsky et al., 2012](https://papers.nips.cc/paper/4824).
    """
    if conv1_hiding_place == "after_relu":
        warn_argument(
            'AlexNetGAP(conv1_hiding_place="after_relu")',
            "Leave the argument out: `conv1_hiding` acts before the ReLU.",
        )
    inputs = keras.Input(input_shape, name="images")
    x = apply_preprocessing(inputs, preprocessing)

    x = keras.layers.ZeroPadding2D(2, name="conv1_pad")(x)
    x = conv_bn_relu(
        x,
        96,
        11,
        strides=4,
        padding="valid",
        name="conv1",
        hiding=conv1_hiding,
        hiding_place=conv1_hiding_place,
    )
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    x = conv_bn_relu(x, 256, 5, name="conv2")
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool2")(x)
    x = conv_bn_relu(x, 384, 3, name="conv3")
    x = conv_bn_relu(x, 384, 3, name="conv4")
    x = conv_bn_relu(x, 256, 3, name="conv5")
    x = keras.layers.MaxPooling2D(3, strides=1, name="pool5")(x)

    x = conv_bn_relu(x, 512, 3, name="conv6")
    features = conv_bn_relu(x, 512, 3, name="conv7", relu_name="cam_features")

    return keras.Model(inputs, gap_head(features, num_classes, pooling, dropout_rate), name=name)
