"""EfficientNet-Lite0 with global pooling and an optionally doubled map."""

import os
from collections.abc import Sequence

import keras

from keras_has.models.gap_head import gap_head
from keras_has.models.layer_type_weights import load_layer_type_weights
from keras_has.models.preprocessing import apply_preprocessing

# Of each stage: repeats, kernel, stride of the first block, expansion, output channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
LAST_STRIDED_STAGE = 5
IMAGENET_CLASSES = 1000


def EfficientNetLite0(  # noqa: N802 (named like the functions of keras.applications)
    num_classes: int = 1000,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    weights: str | os.PathLike[str] | None = None,
    last_stage_stride: int = 1,
    pooling: str = "avg",
    preprocessing: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
    dropout_rate: float = 0.0,
    batch_norm_momentum: float = 0.99,
    name: str = "efficientnet_lite0",
) -> keras.Model:
    """EfficientNet-Lite0, global pooling and a softmax: quick on a CPU, fit for fine-tuning.

    EfficientNet-B0 without squeeze-and-excitation and with ReLU6. The network computes on pixels
    scaled as `(x - 127.5) / 127.5`; it takes what `preprocessing` gives it.

    With `last_stage_stride=1`, the last depthwise convolution of stride 2 keeps every position
    instead of every second one; the weights stay. Its window of 5 x 5 is centred on each of the `n`
    positions it reads, padded by 2 on both sides. On an even map, where stride 2 pads 1 before and
    2 behind, it computes at positions 1, 3, 5, ... exactly what it did; on an odd map at positions
    0, 2, 4, ... The layers behind it see closer neighbours.

    | input | `last_stage_stride=1` | `last_stage_stride=2` |
    |---|---|---|
    | 224 px | 14 x 14 | 7 x 7 |
    | 160 px | 10 x 10 | 5 x 5 |
    | 64 px | 4 x 4 | 2 x 2 |

    The layer after the last ReLU6 is called `"cam_features"` (1,280 channels), the head's layers
    `"pooling"` and `"predictions"`. Without weights, kernels start as in He et al., 2015.

    Args:
        num_classes: Number of classes. Defaults to `1000`.
        input_shape: `(height, width, channels)` in pixels; height and width may be `None`.
            Defaults to `(224, 224, 3)`.
        weights: `None` (random), or the path of a `.weights.h5` file of this network with arrays in
            the order of its layers. The classifier of a file is used when `num_classes` is 1000;
            otherwise the new one starts fresh. Defaults to `None`.
        last_stage_stride: `1` gives the map of stride 16, `2` the network as published. Defaults to
            `1`.
        pooling: `"avg"` or `"max"`, over all positions of the map. Defaults to `"avg"`.
        preprocessing: `None`, a Keras layer or a list of Keras layers, applied to the input in
            order. Hiding comes last. Defaults to `None`.
        dropout_rate: Share of the pooled features dropped while training. Defaults to `0.0`.
        batch_norm_momentum: Momentum of the moving statistics of batch normalization. After `n`
            training steps, the statistics the network came with still weigh `momentum ** n`: with
            0.99, a third after 100 steps. Take 0.9 for a fine-tuning of few steps. Defaults to
            `0.99`, as in Keras.
        name: Name of the model. Defaults to `"efficientnet_lite0"`.

    Returns:
        A `keras.Model` from images to class probabilities.

    Raises:
        FileNotFoundError: If there is no file `weights`.
        ValueError: If an argument is outside its range, or the file cut off or of another network.

    Example:

    >>> from keras_has.models import EfficientNetLite0
    >>> scaling = keras.layers.Rescaling(1 / 127.5, offset=-1)
    >>> model = EfficientNetLite0(25, (160, 160, 3), preprocessing=scaling)
    >>> model.get_layer("cam_features").output.shape
    (None, 10, 10, 1280)

    Reference:
        [Tan and Le, 2019](https://arxiv.org/abs/1905.11946), table 1, without
        squeeze-and-excitation; [Choe et al., 2020](https://arxiv.org/abs/2001.07437) for a last
        stage that keeps its resolution.
    """
    if last_stage_stride not in (1, 2):
        raise ValueError(
            f"`last_stage_stride` should be 1 or 2. Received: last_stage_stride={last_stage_stride}"
        )
    if not 0 <= batch_norm_momentum < 1:
        raise ValueError(
            "`batch_norm_momentum` should be at least 0 and less than 1. "
            f"Received: batch_norm_momentum={batch_norm_momentum}"
        )

    def normalized(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return keras.layers.BatchNormalization(
            momentum=batch_norm_momentum, epsilon=1e-3, name=name
        )(x)

    def convolution(
        x: keras.KerasTensor, filters: int, size: int, strides: int, name: str
    ) -> keras.KerasTensor:
        return keras.layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=name,
        )(x)

    def relu6(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return keras.layers.ReLU(max_value=6, name=name)(x)

    inputs = keras.Input(input_shape, name="images")
    x = apply_preprocessing(inputs, preprocessing)
    x = relu6(normalized(convolution(x, 32, 3, 2, "stem"), "stem_bn"), "stem_relu")
    number = 0
    for stage, (repeats, size, stage_stride, expansion, channels) in enumerate(STAGES):
        if stage == LAST_STRIDED_STAGE:
            stage_stride = last_stage_stride
        for repeat in range(repeats):
            block, strides = f"b{number}", stage_stride if repeat == 0 else 1
            before = x
            if expansion > 1:
                x = convolution(x, expansion * x.shape[-1], 1, 1, f"{block}_exp")
                x = relu6(normalized(x, f"{block}_bn0"), f"{block}_relu0")
            # "same" is the padding wanted of both strides: uneven at 2, even at 1.
            x = keras.layers.DepthwiseConv2D(
                size,
                strides=strides,
                padding="same",
                use_bias=False,
                # he_normal would count all channels as inputs of each.
                depthwise_initializer=keras.initializers.RandomNormal(stddev=2**0.5 / size),
                name=f"{block}_dw",
            )(x)
            x = relu6(normalized(x, f"{block}_bn1"), f"{block}_relu1")
            x = normalized(convolution(x, channels, 1, 1, f"{block}_pw"), f"{block}_bn2")
            if repeat > 0:
                x = keras.layers.Add(name=f"{block}_add")([before, x])
            number += 1
    x = normalized(convolution(x, 1280, 1, 1, "head"), "head_bn")
    features = relu6(x, "cam_features")
    outputs = gap_head(features, num_classes, pooling, dropout_rate)
    model = keras.Model(inputs, outputs, name=name)
    if weights is not None:
        # From the stem on: what stands before is the caller's preprocessing.
        layers = model.layers[model.layers.index(model.get_layer("stem")) :]
        if num_classes != IMAGENET_CLASSES:
            layers = [layer for layer in layers if layer.name != "predictions"]
        load_layer_type_weights(weights, layers)
    return model
