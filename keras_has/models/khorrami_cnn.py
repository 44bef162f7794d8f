"""The network of Khorrami et al. for emotions."""

from collections.abc import Sequence

import keras

from keras_has.layers import Greyscale
from keras_has.models.gap_head import gap_head
from keras_has.models.preprocessing import apply_preprocessing

_WIDTHS = (64, 128, 256)
_UNITS = 300
_SPREAD = (0.2, 1.2)


def KhorramiCNN(  # noqa: N802 (named like the functions of keras.applications)
    num_classes: int = 8,
    input_shape: tuple[int, int, int] = (96, 96, 3),
    widths: Sequence[int] = _WIDTHS,
    pooling: str = "avg",
    preprocessing: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
    name: str = "khorrami_cnn",
) -> keras.Model:
    """Three convolutions, maxima over the four quadrants of the map, and two dense layers.

    | layer | kernel / stride | output for 96 px | parameters, 8 classes |
    |---|---|---|---|
    | grey | mean of the channels | 96 x 96 x 1 | 0 |
    | conv1, pool1 | 5, no bias; 2 / 2 | 48 x 48 x 64 | 1,600 |
    | conv2, pool2 | 5, no bias; 2 / 2 | 24 x 24 x 128 | 204,800 |
    | conv3, pool3 | 5, no bias; 12 / 12 | 2 x 2 x 256 | 819,200 |
    | fc4 | all; dropout 0.5 behind it | 1 x 1 x 300 | 307,500 |
    | predictions | | 8 | 2,408 |

    The dense layer is a convolution over the whole map, so that its output, `"cam_features"`, is a
    map of 1 x 1: class activation maps of this network are constant.

    Every convolution starts from N(0, k / sqrt(fan-in)), with a k from U(0.2, 1.2) for each layer,
    drawn by Keras' global seed.

    Args:
        num_classes: Number of classes. Defaults to `8`.
        input_shape: `(height, width, channels)` in pixels; height and width are multiples of 8.
            Defaults to `(96, 96, 3)`.
        widths: Number of kernels in each convolution. Defaults to `(64, 128, 256)`.
        pooling: `"avg"` or `"max"`, without effect on a map of 1 x 1. Defaults to `"avg"`.
        preprocessing: `None`, a Keras layer or a list of Keras layers, applied to the input in
            order. Hiding comes last. Defaults to `None`.
        name: Name of the model. Defaults to `"khorrami_cnn"`.

    Returns:
        A `keras.Model` from images to class probabilities.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    >>> from keras_has.models import KhorramiCNN
    >>> KhorramiCNN().count_params()
    1335508

    Reference:
        [Khorrami et al., 2015](https://arxiv.org/abs/1510.02969), section 3.
    """
    height, width = input_shape[:2]
    if not height or not width or height % 8 or width % 8:
        raise ValueError(
            "`input_shape` should have a height and a width that are multiples of 8. "
            f"Received: input_shape={input_shape}"
        )
    if len(widths) != len(_WIDTHS) or min(widths) < 1:
        raise ValueError(f"`widths` should be three positive numbers. Received: widths={widths}")
    factors = keras.ops.convert_to_numpy(keras.random.uniform((4,), *_SPREAD))

    def convolution(
        x: keras.KerasTensor, filters: int, size: int | tuple[int, int], name: str, place: int
    ) -> keras.KerasTensor:
        is_dense = place == len(_WIDTHS)
        x = keras.layers.Conv2D(
            filters,
            size,
            padding="valid" if is_dense else "same",
            use_bias=is_dense,
            kernel_initializer=keras.initializers.VarianceScaling(
                float(factors[place]) ** 2, "fan_in", "untruncated_normal"
            ),
            name=name,
        )(x)
        return keras.layers.ReLU(name=f"relu{place + 1}")(x)

    inputs = keras.Input(input_shape, name="images")
    x = Greyscale(name="grey")(apply_preprocessing(inputs, preprocessing))
    for place, filters in enumerate(widths):
        x = convolution(x, filters, 5, f"conv{place + 1}", place)
        window = (height // 8, width // 8) if place == 2 else (2, 2)
        x = keras.layers.MaxPooling2D(window, name=f"pool{place + 1}")(x)
    x = convolution(x, _UNITS, (2, 2), "fc4", 3)
    features = keras.layers.Dropout(0.5, name="cam_features")(x)
    return keras.Model(inputs, gap_head(features, num_classes, pooling), name=name)
