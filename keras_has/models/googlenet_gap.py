"""GoogLeNet with global pooling, as the paper trains it."""

from collections.abc import Sequence

import keras

from keras_has.models.conv_bn_relu import conv_bn_relu
from keras_has.models.gap_head import gap_head
from keras_has.models.preprocessing import apply_preprocessing

# Kernels of each inception module: 1x1; 3x3 reduction, 3x3; 5x5 reduction, 5x5; pool projection.
INCEPTION_WIDTHS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
}


FEWEST_KERNELS = 4


def _inception(x: keras.KerasTensor, module: str, widths: Sequence[int]) -> keras.KerasTensor:
    """One inception module of GoogLeNet, batch normalization after every convolution."""
    width_1x1, reduce_3x3, width_3x3, reduce_5x5, width_5x5, width_pool = widths
    name = f"inception_{module}"
    branch_1x1 = conv_bn_relu(x, width_1x1, 1, name=f"{name}_1x1")
    branch_3x3 = conv_bn_relu(x, reduce_3x3, 1, name=f"{name}_3x3_reduce")
    branch_3x3 = conv_bn_relu(branch_3x3, width_3x3, 3, name=f"{name}_3x3")
    branch_5x5 = conv_bn_relu(x, reduce_5x5, 1, name=f"{name}_5x5_reduce")
    branch_5x5 = conv_bn_relu(branch_5x5, width_5x5, 5, name=f"{name}_5x5")
    branch_pool = keras.layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    branch_pool = conv_bn_relu(branch_pool, width_pool, 1, name=f"{name}_pool_projection")
    return keras.layers.Concatenate(name=f"{name}_output")(
        [branch_1x1, branch_3x3, branch_5x5, branch_pool]
    )


def GoogLeNetGAP(  # noqa: N802 (named like the functions of keras.applications)
    num_classes: int = 1000,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str = "avg",
    preprocessing: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    map_stride: int = 16,
    name: str = "googlenet_gap",
) -> keras.Model:
    """GoogLeNet up to inception 4e, one convolution, global pooling and a softmax.

    Everything behind inception 4e is left out; one convolution with 1,024 kernels of 3 x 3 follows.
    Batch normalization after every convolution takes the place of the bias and of local response
    normalization. An input of 224 px gives a map of 14 x 14 (stride 16).

    The layer after the last ReLU is called `"cam_features"`, the head's layers `"pooling"` and
    `"predictions"`. Choices of this project, where the paper is silent: no auxiliary classifiers
    (batch normalization makes them unnecessary), `he_normal` kernels, a Glorot uniform dense layer,
    normalization with momentum 0.9 and epsilon 1e-5, no dropout by default.

    For small images, `map_stride` takes strides away from the stem, where they come first:

    | `map_stride` | stride of conv1, pool1, pool2, pool3 | map of 224 px | of 64 px |
    |---|---|---|---|
    | 16, the paper's | 2, 2, 2, 2 | 14 x 14 | 4 x 4 |
    | 8 | 1, 2, 2, 2 | 28 x 28 | 8 x 8 |
    | 4 | 1, 1, 2, 2 | 56 x 56 | 16 x 16 |

    Args:
        num_classes: Number of classes. Defaults to `1000`.
        input_shape: `(height, width, channels)` in pixels; height and width may be `None`.
            Defaults to `(224, 224, 3)`.
        pooling: `"avg"` or `"max"`, over all positions of the map. Defaults to `"avg"`.
        preprocessing: `None`, a Keras layer or a list of Keras layers, applied to the input in
            order. Hiding comes last. Defaults to `None`.
        dropout_rate: Share of the pooled features dropped while training. Defaults to `0.0`.
        width_multiplier: Factor for the number of kernels of every convolution, rounded, at least
            4. Defaults to `1.0`, the paper's network.
        map_stride: Pixels of the input to one cell of the map: `16`, `8` or `4`. Defaults to `16`.
        name: Name of the model. Defaults to `"googlenet_gap"`.

    Returns:
        A `keras.Model` from images to class probabilities.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    >>> from keras_has.models import GoogLeNetGAP
    >>> model = GoogLeNetGAP(num_classes=10)
    >>> model.get_layer("cam_features").output.shape
    (None, 14, 14, 1024)

    Reference:
        [Singh and Lee, 2017](https://arxiv.org/abs/1704.04232), tables 1 and 2;
        [Zhou et al., 2016](https://arxiv.org/abs/1512.04150) for the cut and the added
        convolution; [Szegedy et al., 2015](https://arxiv.org/abs/1409.4842), table 1.
    """
    if map_stride not in (4, 8, 16):
        raise ValueError(f"`map_stride` should be 4, 8 or 16. Received: map_stride={map_stride}")
    if width_multiplier <= 0:
        raise ValueError(
            "`width_multiplier` should be greater than 0. "
            f"Received: width_multiplier={width_multiplier}"
        )

    def scaled(kernels: int) -> int:
        return max(FEWEST_KERNELS, round(kernels * width_multiplier))

    conv1_stride = 2 if map_stride == 16 else 1
    pool1_stride = 1 if map_stride == 4 else 2
    inputs = keras.Input(input_shape, name="images")
    x = apply_preprocessing(inputs, preprocessing)

    x = keras.layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = conv_bn_relu(x, scaled(64), 7, strides=conv1_stride, padding="valid", name="conv1")
    x = keras.layers.MaxPooling2D(3, strides=pool1_stride, padding="same", name="pool1")(x)
    x = conv_bn_relu(x, scaled(64), 1, name="conv2_reduce")
    x = conv_bn_relu(x, scaled(192), 3, name="conv2")
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name="pool2")(x)
    for module in ("3a", "3b"):
        x = _inception(x, module, [scaled(width) for width in INCEPTION_WIDTHS[module]])
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name="pool3")(x)
    for module in ("4a", "4b", "4c", "4d", "4e"):
        x = _inception(x, module, [scaled(width) for width in INCEPTION_WIDTHS[module]])

    features = conv_bn_relu(x, scaled(1024), 3, name="conv_cam", relu_name="cam_features")

    return keras.Model(inputs, gap_head(features, num_classes, pooling, dropout_rate), name=name)
