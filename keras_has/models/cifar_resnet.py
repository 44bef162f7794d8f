"""Residual networks for images of 32 px, as in the CIFAR experiments of the paper."""

from collections.abc import Sequence

import keras

from keras_has.models.gap_head import gap_head
from keras_has.models.preprocessing import apply_preprocessing

_WIDTHS = (16, 32, 64)
_EXPANSION = {"basic": 1, "bottleneck": 4}


def CifarResNet(  # noqa: N802 (named like the functions of keras.applications)
    num_classes: int,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    depth: int = 8,
    block: str = "basic",
    pooling: str = "avg",
    preprocessing: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
    name: str = "cifar_resnet",
) -> keras.Model:
    """A residual network with three stages of `(depth - 2) // 6` blocks each.

    A 3 x 3 convolution with 16 kernels is followed by stages of 16, 32 and 64 kernels on maps of
    32, 16 and 8 px, by global average pooling and by a softmax. A `"basic"` block has two 3 x 3
    convolutions; a `"bottleneck"` block has 1 x 1, 3 x 3 and 1 x 1 convolutions and four times as
    many output channels. Where the shape changes, a 1 x 1 convolution with batch normalization
    takes the place of the identity.

    The "ResNet-44", "56" and "110" of the published CIFAR results with Random Erasing, whose
    baselines the Hide-and-Seek paper reports, are bottleneck networks in this counting: their 65,
    83 and 164 weight layers are more than the name says.

    The layer after the last ReLU is called `"cam_features"`, the head's layers `"pooling"` and
    `"predictions"`.

    Args:
        num_classes: Number of classes.
        input_shape: `(height, width, channels)` in pixels. Defaults to `(32, 32, 3)`.
        depth: At least 8; `(depth - 2)` is divided by 6 and rounded down. Defaults to `8`.
        block: `"basic"` (default) or `"bottleneck"`.
        pooling: `"avg"` (default) or `"max"`, over all positions of the map.
        preprocessing: `None` (default), a Keras layer or a list of Keras layers, applied to the
            input in order. Hiding comes last.
        name: Name of the model.

    Returns:
        A `keras.Model` from images to class probabilities.

    Raises:
        ValueError: If `depth` or `block` is invalid.

    Example:

    >>> model = keras_has.models.CifarResNet(num_classes=10, depth=44, block="bottleneck")
    >>> sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    684058

    Reference:
        [He et al., 2016](https://arxiv.org/abs/1512.03385), section 4.2;
        [Zhong et al., 2020](https://arxiv.org/abs/1708.04896) for the bottleneck variant.
    """
    if depth < 8:
        raise ValueError(f"`depth` should be at least 8. Received: depth={depth}")
    if block not in _EXPANSION:
        raise ValueError(f'`block` should be "basic" or "bottleneck". Received: block={block!r}')

    inputs = keras.Input(input_shape, name="images")
    x = apply_preprocessing(inputs, preprocessing)
    x = keras.layers.ReLU(name="conv1_relu")(_conv_bn(x, _WIDTHS[0], 3, 1, "conv1"))
    blocks = (depth - 2) // 6
    for stage, width in enumerate(_WIDTHS, start=1):
        for number in range(1, blocks + 1):
            strides = 2 if stage > 1 and number == 1 else 1
            is_last = stage == len(_WIDTHS) and number == blocks
            prefix = f"stage{stage}_block{number}"
            x = _residual_block(x, width, strides, block, prefix)
            x = keras.layers.ReLU(name="cam_features" if is_last else f"{prefix}_relu")(x)
    return keras.Model(inputs, gap_head(x, num_classes, pooling), name=name)


def _residual_block(
    x: keras.KerasTensor, width: int, strides: int, block: str, prefix: str
) -> keras.KerasTensor:
    """Returns the sum of the shortcut and the convolutions, before the ReLU."""
    channels = width * _EXPANSION[block]
    if block == "basic":
        convolutions = [(width, 3, strides), (channels, 3, 1)]
    else:
        convolutions = [(width, 1, 1), (width, 3, strides), (channels, 1, 1)]
    shortcut = x
    if strides != 1 or x.shape[-1] != channels:
        shortcut = _conv_bn(x, channels, 1, strides, f"{prefix}_shortcut")
    for number, (filters, kernel_size, step) in enumerate(convolutions, start=1):
        x = _conv_bn(x, filters, kernel_size, step, f"{prefix}_conv{number}")
        if number < len(convolutions):
            x = keras.layers.ReLU(name=f"{prefix}_relu{number}")(x)
    return keras.layers.Add(name=f"{prefix}_add")([x, shortcut])


def _conv_bn(
    x: keras.KerasTensor, filters: int, kernel_size: int, strides: int, name: str
) -> keras.KerasTensor:
    """A convolution without bias, drawn from N(0, 2 / (kernel area * filters)), and batch norm."""
    # Padded explicitly: with strides, "same" pads on other sides than the original does.
    if kernel_size > 1:
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        name=name,
    )(x)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
