"""Building block of the networks: convolution, normalization, ReLU."""

import keras


def conv_bn_relu(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    strides: int = 1,
    padding: str = "same",
    name: str = "conv",
    relu_name: str | None = None,
    hiding: keras.layers.Layer | None = None,
    hiding_place: str = "before_relu",
) -> keras.KerasTensor:
    """A convolution without bias, batch normalization, and ReLU.

    The layers are called `name`, `name + "_bn"` and `name + "_relu"`. The kernel starts from
    `he_normal`. The normalization has momentum 0.9 and epsilon 1e-5, the defaults of Torch, in
    which the authors' code is written.

    Args:
        x: Symbolic feature map `(batch, height, width, channels)`.
        filters: Number of output channels.
        kernel_size: Height and width of the kernel, in cells.
        strides: Step of the kernel, in cells. Defaults to `1`.
        padding: `"same"` or `"valid"`. Defaults to `"same"`.
        name: Name of the convolution, and prefix of the other two names. Defaults to `"conv"`.
        relu_name: Name of the ReLU layer. Defaults to `None`, which means `name + "_relu"`.
        hiding: A layer that hides parts of the map, or `None`. Defaults to `None`.
        hiding_place: `"before_relu"` puts `hiding` between the normalization and the ReLU,
            `"after_relu"` behind the ReLU. Defaults to `"before_relu"`.

    Returns:
        The symbolic feature map after the ReLU, or after `hiding` where this stands behind it.

    Raises:
        ValueError: If `hiding` or `hiding_place` is none of these. The message puts `name` before
            the arguments' names, as the networks call them (`conv1_hiding`).

    Example:

    >>> import keras
    >>> from keras_has.models.conv_bn_relu import conv_bn_relu
    >>> inputs = keras.Input((56, 56, 64))
    >>> conv_bn_relu(inputs, filters=192, kernel_size=3, name="conv2").shape
    (None, 56, 56, 192)

    Reference:
        [Ioffe and Szegedy, 2015](https://arxiv.org/abs/1502.03167);
        [He et al., 2015](https://arxiv.org/abs/1502.01852) for the initial kernels.
    """
    if hiding_place not in ("before_relu", "after_relu"):
        raise ValueError(
            f'`{name}_hiding_place` should be "before_relu" or "after_relu". '
            f"Received: {name}_hiding_place={hiding_place}"
        )
    if hiding is not None and not isinstance(hiding, keras.layers.Layer):
        raise ValueError(
            f"`{name}_hiding` should be None or a Keras layer. Received: {name}_hiding={hiding}"
        )
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    if hiding is not None and hiding_place == "before_relu":
        x = hiding(x)
    x = keras.layers.ReLU(name=relu_name or f"{name}_relu")(x)
    if hiding is not None and hiding_place == "after_relu":
        x = hiding(x)
    return x
