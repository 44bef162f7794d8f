"""Pixel scaling that the networks of keras.applications expect."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

# ImageNet's mean colour in pixels from 0 to 255, red, green, blue.
IMAGENET_MEAN = (123.675, 116.28, 103.53)

_PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), False)
_SIGNED = ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5), False)
_TORCH = (IMAGENET_MEAN, (58.395, 57.12, 57.375), False)
_CAFFE = ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0), True)

# Beginnings of names, the longer before the shorter: mean, std, and whether blue comes first.
_FAMILIES = {
    "ConvNeXt": _PLAIN,
    "DenseNet": _TORCH,
    "EfficientNetLite": _SIGNED,
    "EfficientNet": _PLAIN,
    "InceptionResNetV2": _SIGNED,
    "InceptionV3": _SIGNED,
    "MobileNetV3": _PLAIN,
    "MobileNet": _SIGNED,
    "NASNet": _SIGNED,
    "ResNet50V2": _SIGNED,
    "ResNet101V2": _SIGNED,
    "ResNet152V2": _SIGNED,
    "ResNet": _CAFFE,
    "VGG": _CAFFE,
    "Xception": _SIGNED,
}


@keras.saving.register_keras_serializable(package="keras_has")
class PixelScaling(keras.layers.Layer):
    """Scales pixels to what a pretrained network was trained on.

    `(x - mean) / std` for each channel, then, if the network wants it so, the channels in the order
    blue, green, red. It is computed in float32 and given in the layer's compute type.

    Args:
        mean: One number each for red, green and blue, in pixels from 0 to 255.
        std: Likewise.
        blue_first: Whether the channels are turned round. Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Input shape:
        `(batch, height, width, 3)`, red, green, blue, values from 0 to 255 of any type.

    Output shape:
        The same.

    Raises:
        ValueError: If `mean` or `std` are not three numbers each, or a `std` is not above 0.

    Example:

    >>> from keras_has.models.pixel_scaling import PixelScaling
    >>> scaling = PixelScaling((100, 100, 100), (1, 2, 50), blue_first=True)
    >>> [float(value) for value in scaling(np.array([[[[101, 102, 200]]]]))[0, 0, 0]]
    [2.0, 1.0, 1.0]

    Reference:
        `keras.applications.*.preprocess_input`.
    """

    def __init__(
        self,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        blue_first: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, values in (("mean", mean), ("std", std)):
            if len(values) != 3:
                raise ValueError(f"`{name}` should hold three numbers. Received: {name}={values}")
        if min(std) <= 0:
            raise ValueError(f"`std` should be greater than 0. Received: std={std}")
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)
        self.blue_first = bool(blue_first)
        # Pixels above 256 have no place in half precision; do not cast before they are scaled.
        self.autocast = False

    @property
    def mean_colour(self) -> tuple[float, ...]:
        """What ImageNet's mean colour becomes: the value to hide patches with behind this layer."""
        scaled = tuple(
            (value - mean) / std
            for value, mean, std in zip(IMAGENET_MEAN, self.mean, self.std, strict=True)
        )
        return scaled[::-1] if self.blue_first else scaled

    def call(self, images: Any) -> Any:
        """Returns the images scaled; see the class."""
        images = ops.cast(images, "float32")
        images = (images - ops.array(self.mean, "float32")) / ops.array(self.std, "float32")
        if self.blue_first:
            images = ops.flip(images, axis=-1)
        return ops.cast(images, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the images."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "mean": self.mean,
            "std": self.std,
            "blue_first": self.blue_first,
        }


def pixel_scaling(backbone_name: str) -> PixelScaling:
    """Returns the layer that scales pixels for the pretrained weights of a network.

    | networks | expect |
    |---|---|
    | ResNet50, 101, 152 and VGG | ImageNet's mean subtracted, blue, green, red |
    | DenseNet | ImageNet's mean subtracted, divided by its standard deviation |
    | ConvNeXt, EfficientNet, EfficientNetV2, MobileNetV3 | pixels as they are; they scale inside |
    | the others, and EfficientNetLite0 | from -1 to 1 |

    Hiding belongs behind this layer, with `mean_colour` of it as the fill value: only for the first
    two rows is this (nearly) zero.

    Args:
        backbone_name: Name of a network of `keras.applications`, or `"EfficientNetLite0"`.

    Returns:
        A new `PixelScaling` with the attributes `mean`, `std`, `blue_first` and `mean_colour`.

    Raises:
        ValueError: If there is no such network.

    Example:

    >>> from keras_has.models import pixel_scaling
    >>> scaling = pixel_scaling("DenseNet121")
    >>> scaling.mean, scaling.mean_colour
    ((123.675, 116.28, 103.53), (0.0, 0.0, 0.0))
    >>> pixel_scaling("ResNet50").blue_first
    True

    Reference:
        `keras.applications.*.preprocess_input`.
    """
    is_known = hasattr(keras.applications, backbone_name) or backbone_name == "EfficientNetLite0"
    for beginning, arguments in _FAMILIES.items():
        if is_known and backbone_name.startswith(beginning):
            return PixelScaling(*arguments, name="pixel_scaling")
    raise ValueError(
        "`backbone_name` should be the name of a network of `keras.applications`, or "
        f'"EfficientNetLite0". Received: backbone_name={backbone_name}'
    )
