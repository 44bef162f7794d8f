"""A trained network for images as a SavedModel: pixels in, boxes out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, cast

import keras
import tensorflow as tf

from keras_has.cams import CAM
from keras_has.data.image_decoding import decode_image
from keras_has.data.resize import resize_image
from keras_has.export.empty_batches import fill_empty
from keras_has.export.saved_model import (
    load_saved_model,
    read_metadata_file,
    write_saved_model,
)
from keras_has.ops.cam import upsample_maps
from keras_has.ops.component_boxes import component_boxes
from keras_has.version import __version__


@dataclasses.dataclass(frozen=True)
class LocalizerMetadata:
    """Metadata of an exported model, stored in `keras_has.json`.

    Args:
        class_names: One name per class.
        threshold: Fraction of the map's maximum used for the boxes.
        image_size: Side in pixels of the network's square input.
        version: Version of keras-has that wrote the model.
    """

    class_names: tuple[str, ...]
    threshold: float
    image_size: int
    version: str = __version__


def export_localizer(
    model: keras.Model,
    path: str | os.PathLike[str],
    class_names: Sequence[str | int],
    threshold: float = 0.2,
) -> None:
    """Writes a SavedModel that classifies and localizes, with all preprocessing inside.

    Load it with `load_localizer(path)` or `tf.saved_model.load(path)`; the latter needs no Keras,
    no OpenCV and no keras-has. Nothing is hidden, whatever layers the training model contains. It
    has three signatures:

    - `serving_default(images=...)`: uint8 (B, H, W, C) of any size, RGB or, for a model with one
      channel, grayscale.
    - `encoded(encoded=...)`: (B,) strings, the content of JPEG, PNG, BMP or GIF files of any sizes;
      they are converted to grayscale for a model with one channel. Images are turned as their EXIF
      orientation says, and boxes are those of the upright image.
    - `of_class(images=..., class_index=...)`: localizes a known class, int64 (B,).

    A batch may be empty.

    All return "probabilities" (B, K); "class_index" (B,), the predicted or given class; "cam"
    (B, S, S), its class activation map over the network's square input; "box" (B, 4), "xyxy"
    half-open in pixels of the given image, NaN if the map has no positive value.

    The image is resized to the network's square without keeping its aspect ratio, as in
    `keras_has.data.evaluation_batches`, and the box is scaled back.

    Args:
        model: A trained model with the layers "cam_features" and "predictions", one known input
            size and three channels or one. It takes pixels in [0, 255] and normalizes them itself.
            It may output probabilities or logits.
        path: Folder to write; an existing one is replaced once the new one is complete.
        class_names: One name per class; they are stored, as text, in `keras_has.json` in the
            folder.
        threshold: Fraction of the map's maximum above which a pixel belongs to the object. Defaults
            to 0.2.

    Raises:
        ValueError: If the model lacks those layers or has another input, `threshold` is outside
            [0, 1), or the number of names differs from the number of classes.

    Example:

    >>> model = keras_has.models.SmallGAP(2, (64, 64, 3))
    >>> export_localizer(model, "localizer", ["cat", "dog"])  # doctest: +SKIP
    >>> loaded, metadata = load_localizer("localizer")  # doctest: +SKIP
    >>> loaded.signatures["serving_default"](images=images)["box"]  # doctest: +SKIP
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"`threshold` should be in [0, 1). Received: threshold={threshold}")
    height, width, channels = model.inputs[0].shape[1:]
    if height is None or height != width or channels not in (1, 3):
        raise ValueError(
            "`model` should take square images of one known size, of 3 channels or 1. "
            f"Received: inputs of shape {tuple(model.inputs[0].shape)}"
        )
    method = CAM(model)
    classes = method.kernel.shape[1]
    if len(class_names) != classes:
        raise ValueError(
            f"`class_names` should hold one name for each of the {classes} classes. "
            f"Received: {len(class_names)} names"
        )

    def localize(squares: tf.Tensor, sizes: tf.Tensor, class_index: tf.Tensor | None) -> dict:
        count = tf.shape(squares)[0]
        filled_index = None if class_index is None else fill_empty(class_index)
        maps, probabilities = method(fill_empty(squares), filled_index)
        maps, probabilities = maps[:count], probabilities[:count]
        if class_index is None:
            class_index = tf.argmax(probabilities, axis=1, output_type=tf.int64)
        cam = upsample_maps(maps, (height, width))
        stretch = tf.cast(tf.gather(sizes, [1, 0, 1, 0], axis=1), tf.float32) / height
        return {
            "probabilities": probabilities,
            "class_index": class_index,
            "cam": cam,
            "box": component_boxes(cam, threshold) * stretch,
        }

    def sizes_of(images: tf.Tensor) -> tf.Tensor:
        return tf.tile(tf.shape(images)[None, 1:3], [tf.shape(images)[0], 1])

    def of_pixels(images: tf.Tensor) -> dict:
        return localize(_square(images, height), sizes_of(images), None)

    def of_files(encoded: tf.Tensor) -> dict:
        def decode(content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            image = decode_image(content, upright=True)
            square = _square(image, height)
            if channels == 1:
                square = tf.image.rgb_to_grayscale(square)
            return square, tf.shape(image)[:2]

        specs = (tf.TensorSpec((height, width, channels), tf.uint8), tf.TensorSpec((2,), tf.int32))
        squares, sizes = tf.map_fn(decode, encoded, fn_output_signature=specs)
        return localize(squares, sizes, None)

    def of_class(images: tf.Tensor, class_index: tf.Tensor) -> dict:
        return localize(_square(images, height), sizes_of(images), class_index)

    images_spec = tf.TensorSpec((None, None, None, channels), tf.uint8, name="images")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", of_pixels, input_signature=[images_spec])
    archive.add_endpoint(
        "encoded", of_files, input_signature=[tf.TensorSpec((None,), tf.string, name="encoded")]
    )
    archive.add_endpoint(
        "of_class",
        of_class,
        input_signature=[images_spec, tf.TensorSpec((None,), tf.int64, name="class_index")],
    )
    metadata = LocalizerMetadata(tuple(map(str, class_names)), float(threshold), int(height))
    write_saved_model(archive, metadata, path)


def read_metadata(path: str | os.PathLike[str]) -> LocalizerMetadata:
    """Reads the metadata of an exported model.

    Args:
        path: Folder that `export_localizer` wrote.

    Returns:
        The class names, threshold and size.

    Raises:
        FileNotFoundError: If there is no such folder, or `export_localizer` did not write it.
        ValueError: If the model is of another kind, such as one for sequences.
    """
    metadata = read_metadata_file(path, LocalizerMetadata, "image", "export_localizer")
    return cast(LocalizerMetadata, metadata)


def load_localizer(path: str | os.PathLike[str]) -> tuple[Any, LocalizerMetadata]:
    """Loads an exported model for images after checking that it is one.

    Args:
        path: Folder that `export_localizer` wrote.

    Returns:
        The SavedModel, with the signatures listed in `export_localizer`, and its metadata.

    Raises:
        FileNotFoundError: If there is no such folder, or `export_localizer` did not write it.
        ValueError: If the model is damaged, or of another kind, such as one for sequences.
    """
    metadata = read_metadata(path)
    signatures = ("serving_default", "encoded", "of_class")
    return load_saved_model(path, metadata.class_names, signatures), metadata


def _square(images: tf.Tensor, side: int) -> tf.Tensor:
    """Resizes as in evaluation; images of the right size stay unchanged."""
    shape = tf.shape(images)
    is_right = tf.reduce_all(tf.equal(shape[-3:-1], side))
    squares = tf.cond(is_right, lambda: images, lambda: resize_image(images, side))
    return tf.ensure_shape(squares, (*images.shape[:-3], side, side, images.shape[-1]))
