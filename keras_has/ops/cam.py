"""Class activation maps from a network's last features and its classifier's kernel."""

from typing import Any

from keras import ops

Tensor = Any


def class_activation_maps(
    features: Tensor, kernel: Tensor, class_index: Tensor | None = None
) -> Tensor:
    r"""Computes class activation maps: how strongly each position supports a class.

    With F the features before global pooling and W the kernel of the dense layer after it,
    `CAM(c, I) = sum_i W(i, c) F_i(I)`: no bias and no ReLU, so that under average pooling the mean
    of a map is the class's logit without its bias. Computed in float32, whatever the precision of
    the network.

    Args:
        features: Tensor of shape `(batch, height, width, channels)`, or `(batch, time, channels)`
            for maps over time.
        kernel: Tensor of shape `(channels, classes)`.
        class_index: Integer tensor of shape `(batch,)`, values in `[0, classes)`: one class per
            example. Only these maps are computed. Defaults to `None`: all classes.

    Returns:
        A float32 tensor of shape `(batch, height, width)` or `(batch, time)`, with a last axis
        `classes` if `class_index` is `None`.

    Raises:
        ValueError: If the shapes do not match.

    Example:

    >>> features = [[[[1.0, 0.0], [0.0, 1.0]]]]  # One image of 1 x 2 positions, two channels.
    >>> kernel = [[2.0, 0.0, 1.0], [0.0, 3.0, -1.0]]  # Three classes.
    >>> class_activation_maps(features, kernel).shape[1:] == (1, 2, 3)
    True
    >>> [float(value) for value in class_activation_maps(features, kernel, [2])[0, 0]]
    [1.0, -1.0]

    Reference:
        Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016; Singh and
        Lee, "Hide-and-Seek", ICCV 2017, sections 3.1 and 3.3.
    """
    features = ops.cast(ops.convert_to_tensor(features), "float32")
    kernel = ops.cast(ops.convert_to_tensor(kernel), "float32")
    if len(features.shape) not in (3, 4):
        raise ValueError(
            "`features` should be of shape (batch, height, width, channels) or (batch, time, "
            f"channels). Received: features.shape={tuple(features.shape)}"
        )
    if len(kernel.shape) != 2 or kernel.shape[0] != features.shape[-1]:
        raise ValueError(
            "`kernel` should be of shape (channels, classes), with as many channels as `features`. "
            f"Received: kernel.shape={tuple(kernel.shape)}, "
            f"features.shape={tuple(features.shape)}"
        )
    if class_index is None:
        return ops.matmul(features, kernel)
    class_index = ops.cast(ops.convert_to_tensor(class_index), "int32")
    if len(class_index.shape) != 1:
        raise ValueError(
            "`class_index` should be of shape (batch,): one class for each example. "
            f"Received: class_index.shape={tuple(class_index.shape)}"
        )
    positions = "hw" if len(features.shape) == 4 else "t"
    return ops.einsum(
        f"b{positions}d,db->b{positions}", features, ops.take(kernel, class_index, axis=1)
    )


def upsample_maps(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarges maps to the size of their image.

    The interpolation is bilinear with half-pixel centres: pixel `x` of `W` reads position
    `(x + 0.5) w / W - 0.5`, as in OpenCV's `resize` with `INTER_LINEAR`.

    Args:
        maps: Tensor of shape `(batch, height, width)`.
        size: Target height and width, in pixels.

    Returns:
        A float32 tensor of shape `(batch, *size)`.

    Raises:
        ValueError: If `maps` is not of rank 3, or `size` is not a pair of positive integers.

    Example:

    >>> enlarged = upsample_maps([[[0.0, 1.0]]], size=(1, 4))
    >>> [float(place) for place in enlarged[0, 0]]
    [0.0, 0.25, 0.75, 1.0]
    """
    maps = ops.cast(ops.convert_to_tensor(maps), "float32")
    if len(maps.shape) != 3:
        raise ValueError(
            "`maps` should be of shape (batch, height, width). "
            f"Received: maps.shape={tuple(maps.shape)}"
        )
    if len(size) != 2 or min(size) < 1:
        raise ValueError(
            f"`size` should be a pair of positive integers, height and width. Received: size={size}"
        )
    enlarged = ops.image.resize(
        ops.expand_dims(maps, -1),
        tuple(size),
        interpolation="bilinear",
        antialias=False,
        data_format="channels_last",
    )
    return ops.squeeze(enlarged, -1)
