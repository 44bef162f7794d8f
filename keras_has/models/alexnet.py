"""The original AlexNet as a fully convolutional network."""

import os
from collections.abc import Sequence

import keras

from keras_has.layers import LocalResponseNormalization
from keras_has.models.gap_head import gap_head
from keras_has.models.layer_type_weights import load_layer_type_weights
from keras_has.models.preprocessing import apply_preprocessing

_IMAGENET_CLASSES = 1000


def AlexNet(  # noqa: N802 (named like the functions of keras.applications)
    num_classes: int = 1000,
    input_shape: tuple[int | None, int | None, int] = (227, 227, 3),
    weights: str | os.PathLike[str] | None = None,
    conv1_padding: int = 0,
    pooling: str = "avg",
    preprocessing: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
    name: str = "alexnet",
) -> keras.Model:
    """AlexNet as in Caffe, with its dense layers as convolutions.

    Local response normalization, convolutions in two groups, dropout. An input of 227 px gives a
    map of 1 x 1, and the model is the classifier of Krizhevsky et al.; larger inputs give maps,
    which are pooled. For training classifiers on maps, `AlexNetGAP` is the better network.

    | layer | kernel / stride, padding | groups | map of a 227 px input |
    |---|---|---|---|
    | conv1, pool1 | 11 / 4, 0; 3 / 2 | 1 | 27 x 27 x 96 |
    | conv2, pool2 | 5 / 1, 2; 3 / 2 | 2 | 13 x 13 x 256 |
    | conv3, conv4, conv5 | 3 / 1, 1 | 1, 2, 2 | 13 x 13 x 384, 384, 256 |
    | pool5 | 3 / 2 | | 6 x 6 x 256 |
    | fc6 | 6 / 1, 0 | 1 | 1 x 1 x 4096 |
    | fc7 | 1 / 1, 0 | 1 | 1 x 1 x 4096 |

    As in Caffe, poolings round the size of their map up. The layer after fc7's ReLU is called
    `"cam_features"`. Kernels start from `he_normal`, the choice of this project.

    Args:
        num_classes: Number of classes. Defaults to `1000`.
        input_shape: `(height, width, channels)` in pixels; height and width may be `None`.
            Defaults to `(227, 227, 3)`.
        weights: Path of a weights file of this network, as `save_weights` writes it: all layers
            are read, but `"predictions"` only for 1,000 classes. Defaults to `None`.
        conv1_padding: Zeros around the preprocessed image, in pixels; 100 in fully convolutional
            networks. Defaults to `0`.
        pooling: `"avg"` or `"max"`, over all positions of the map. Defaults to `"avg"`.
        preprocessing: `None`, a Keras layer or a list of Keras layers, applied to the input in
            order. Hiding comes last. Defaults to `None`.
        name: Name of the model. Defaults to `"alexnet"`.

    Returns:
        A `keras.Model` from images to class probabilities.

    Raises:
        FileNotFoundError: If there is no weights file.
        ValueError: If an argument is outside its range, or the weights are of another network.

    Example:

    >>> from keras_has.models import AlexNet
    >>> model = AlexNet()
    >>> model.get_layer("cam_features").output.shape, model.count_params()
    ((None, 1, 1, 4096), 60965224)

    Reference:
        [Krizhevsky et al., 2012](https://papers.nips.cc/paper/4824); `bvlc_alexnet` of Caffe, with
        pooling before normalization as in `bvlc_reference_caffenet`.
    """
    if conv1_padding < 0:
        raise ValueError(
            f"`conv1_padding` should be at least 0. Received: conv1_padding={conv1_padding}"
        )

    def convolution(
        x: keras.KerasTensor, filters: int, size: int, name: str, groups: int = 1, strides: int = 1
    ) -> keras.KerasTensor:
        return keras.layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding="same" if name.startswith("conv") and strides == 1 else "valid",
            groups=groups,
            kernel_initializer="he_normal",
            name=name,
        )(x)

    def relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return keras.layers.ReLU(name=name)(x)

    def pool(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        # One more row and column: the size is rounded up. Behind a ReLU, zeros never win.
        x = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
        return keras.layers.MaxPooling2D(3, strides=2, name=name)(x)

    inputs = keras.Input(input_shape, name="images")
    x = apply_preprocessing(inputs, preprocessing)
    if conv1_padding:
        x = keras.layers.ZeroPadding2D(conv1_padding, name="conv1_pad")(x)
    x = pool(relu(convolution(x, 96, 11, "conv1", strides=4), "relu1"), "pool1")
    x = LocalResponseNormalization(name="norm1")(x)
    x = pool(relu(convolution(x, 256, 5, "conv2", groups=2), "relu2"), "pool2")
    x = LocalResponseNormalization(name="norm2")(x)
    x = relu(convolution(x, 384, 3, "conv3"), "relu3")
    x = relu(convolution(x, 384, 3, "conv4", groups=2), "relu4")
    x = pool(relu(convolution(x, 256, 3, "conv5", groups=2), "relu5"), "pool5")
    x = keras.layers.Dropout(0.5, name="drop6")(relu(convolution(x, 4096, 6, "fc6"), "relu6"))
    x = relu(convolution(x, 4096, 1, "fc7"), "relu7")
    features = keras.layers.Dropout(0.5, name="cam_features")(x)
    model = keras.Model(inputs, gap_head(features, num_classes, pooling), name=name)
    if weights is not None:
        # From conv1 on: what stands before is the caller's preprocessing.
        layers = model.layers[model.layers.index(model.get_layer("conv1")) :]
        if num_classes != _IMAGENET_CLASSES:
            layers = [layer for layer in layers if layer.name != "predictions"]
        load_layer_type_weights(weights, layers)
    return model
