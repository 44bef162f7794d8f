"""The network of Levi and Hassner for age and gender."""

from collections.abc import Sequence

import keras

from keras_has.layers import LocalResponseNormalization
from keras_has.models.gap_head import gap_head
from keras_has.models.preprocessing import apply_preprocessing

_SMALLEST_SIDE = 7
_UNITS = 512


def LeviHassnerCNN(  # noqa: N802 (named like the functions of keras.applications)
    num_classes: int = 8,
    input_shape: tuple[int, int, int] = (227, 227, 3),
    pooling: str = "avg",
    preprocessing: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
    name: str = "levi_hassner_cnn",
) -> keras.Model:
    """Three convolutions and three dense layers.

    | layer | kernel / stride | output for 227 px | parameters, 8 classes |
    |---|---|---|---|
    | conv1, pool1, norm1 | 7 / 4; 3 / 2 | 28 x 28 x 96 | 14,208 |
    | conv2, pool2, norm2 | 5 / 1; 3 / 2 | 14 x 14 x 256 | 614,656 |
    | conv3, pool3 | 3 / 1; 3 / 2 | 7 x 7 x 384 | 885,120 |
    | fc6, dropout 0.5 | all | 1 x 1 x 512 | 9,634,304 |
    | fc7, dropout 0.5 | 1 | 1 x 1 x 512 | 262,656 |
    | predictions | | 8 | 4,104 |

    As in Caffe, poolings round the size of their map up. The dense layers are convolutions over the
    whole map, so that the output of the last one, `"cam_features"`, is a map of 1 x 1: class
    activation maps of this network are constant. Kernels start from N(0, 0.01), biases from 0; the
    last layer starts as in the other networks of this project.

    Args:
        num_classes: Number of classes. Defaults to `8`.
        input_shape: `(height, width, channels)` in pixels, at least 7. Defaults to `(227, 227, 3)`.
        pooling: `"avg"` or `"max"`, without effect on a map of 1 x 1. Defaults to `"avg"`.
        preprocessing: `None`, a Keras layer or a list of Keras layers, applied to the input in
            order. Hiding comes last. Defaults to `None`.
        name: Name of the model. Defaults to `"levi_hassner_cnn"`.

    Returns:
        A `keras.Model` from images to class probabilities.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    >>> from keras_has.models import LeviHassnerCNN
    >>> LeviHassnerCNN().count_params(), LeviHassnerCNN(2).count_params()
    (11415048, 11411970)

    Reference:
        [Levi and Hassner, 2015](https://talhassner.github.io/home/projects/cnn_agegender/CVPR2015_CNN_AgeGenderEstimation.pdf),
        section 3.1.
    """
    if not input_shape[0] or not input_shape[1] or min(input_shape[:2]) < _SMALLEST_SIDE:
        raise ValueError(
            f"`input_shape` should have a height and a width of at least {_SMALLEST_SIDE}. "
            f"Received: input_shape={input_shape}"
        )

    def convolution(
        x: keras.KerasTensor,
        filters: int,
        size: int | tuple[int, int],
        name: str,
        strides: int = 1,
        padding: str = "valid",
    ) -> keras.KerasTensor:
        x = keras.layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding=padding,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            name=name,
        )(x)
        return keras.layers.ReLU(name=f"relu{name[-1]}")(x)

    def pool(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        # "same" gives the sizes of Caffe for even maps, and for odd ones, whose border counts then.
        return keras.layers.MaxPooling2D(3, strides=2, padding="same", name=name)(x)

    inputs = keras.Input(input_shape, name="images")
    x = apply_preprocessing(inputs, preprocessing)
    x = pool(convolution(x, 96, 7, "conv1", strides=4), "pool1")
    x = LocalResponseNormalization(name="norm1")(x)
    x = pool(convolution(x, 256, 5, "conv2", padding="same"), "pool2")
    x = LocalResponseNormalization(name="norm2")(x)
    x = pool(convolution(x, 384, 3, "conv3", padding="same"), "pool3")
    x = convolution(x, _UNITS, x.shape[1:3], "fc6")
    x = keras.layers.Dropout(0.5, name="drop6")(x)
    x = convolution(x, _UNITS, 1, "fc7")
    features = keras.layers.Dropout(0.5, name="cam_features")(x)
    return keras.Model(inputs, gap_head(features, num_classes, pooling), name=name)
