"""A trained network for segmentation as a SavedModel: photo in, label map of its size out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_has.data.image_decoding import decode_image
from keras_has.export.empty_batches import fill_empty
from keras_has.export.saved_model import (
    load_saved_model,
    read_metadata_file,
    write_saved_model,
)
from keras_has.version import __version__


@dataclasses.dataclass(frozen=True)
class SegmenterMetadata:
    """Metadata of an exported model, stored in `keras_has.json`.

    Args:
        class_names: One name per class.
        longest_side: Longest side in pixels of the images that the network sees.
        kind: `"segmentation"`.
        version: Version of keras-has that wrote the model.
    """

    class_names: tuple[str, ...]
    longest_side: int
    kind: str = "segmentation"
    version: str = __version__


def export_segmenter(
    model: keras.Model,
    path: str | os.PathLike[str],
    class_names: Sequence[str],
    longest_side: int,
) -> None:
    """Writes a SavedModel that labels every pixel, with all preprocessing inside.

    Load it with `load_segmenter(path)` or `tf.saved_model.load(path)`; the latter needs no Keras
    and no keras-has. It has two signatures:

    - `serving_default(images=...)`: uint8 (B, H, W, 3) of any size, RGB.
    - `encoded(encoded=...)`: a string scalar, the content of one JPEG, PNG, BMP or GIF file. Photos
      are turned as their EXIF orientation says, and so is the label map.

    Both return "label_map", uint8 of the size of the images: (B, H, W) and (H, W). Images are
    labelled at their own size, as in evaluation. Those with a side longer than `longest_side` are
    shrunk to it first, and their label map is enlarged by repeating pixels.

    Args:
        model: A trained `keras_has.models.FCN`, which takes images of any size with pixels in [0,
            255] and normalizes them itself.
        path: Folder to write; an existing one is replaced once the new one is complete.
        class_names: One name per class; they are stored in `keras_has.json` in the folder.
        longest_side: Longest side in pixels of the images that the network sees, such as that of
            the training images.

    Raises:
        ValueError: If the model does not output logits for each pixel of images of any size,
            `longest_side` is not positive, or the number of names differs from that of the classes.

    Example:

    >>> model = keras_has.models.FCN(keras_has.models.SmallGAP(2, (None, None, 3)), 2)
    >>> export_segmenter(model, "segmenter", ["cat", "dog"], 500)  # doctest: +SKIP
    >>> loaded, metadata = load_segmenter("segmenter")  # doctest: +SKIP
    >>> loaded.signatures["serving_default"](images=images)["label_map"]  # doctest: +SKIP
    """
    if longest_side < 1:
        raise ValueError(
            f"`longest_side` should be at least 1. Received: longest_side={longest_side}"
        )
    shape, outputs = tuple(model.inputs[0].shape), tuple(model.outputs[0].shape)
    if shape[1:] != (None, None, 3) or len(outputs) != 4:
        raise ValueError(
            "`model` should take RGB images of any size and output logits for each pixel. "
            f"Received: inputs of shape {shape}, outputs of shape {outputs}"
        )
    if len(class_names) != outputs[-1]:
        raise ValueError(
            f"`class_names` should hold one name for each of the {outputs[-1]} classes. "
            f"Received: {len(class_names)} names"
        )

    def of_pixels(images: tf.Tensor) -> dict[str, tf.Tensor]:
        count, size = tf.shape(images)[0], tf.shape(images)[1:3]
        filled = fill_empty(images)
        scale = longest_side / tf.reduce_max(size)
        smaller = tf.maximum(tf.cast(tf.round(tf.cast(size, scale.dtype) * scale), tf.int32), 1)
        pixels = tf.cond(
            scale < 1,
            lambda: tf.image.resize(filled, smaller, "bilinear", antialias=True),
            lambda: tf.cast(filled, tf.float32),
        )
        pixels.set_shape([None, None, None, 3])
        label_map = tf.argmax(model(pixels, training=False), axis=-1, output_type=tf.int32)
        label_map = tf.image.resize(label_map[..., None], size, "nearest")[:count, ..., 0]
        return {"label_map": tf.cast(label_map, tf.uint8)}

    def of_file(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"label_map": of_pixels(decode_image(encoded, upright=True)[None])["label_map"][0]}

    archive = keras.export.ExportArchive()
    archive.track(model)
    images_spec = tf.TensorSpec((None, None, None, 3), tf.uint8, name="images")
    archive.add_endpoint("serving_default", of_pixels, input_signature=[images_spec])
    archive.add_endpoint(
        "encoded", of_file, input_signature=[tf.TensorSpec((), tf.string, name="encoded")]
    )
    metadata = SegmenterMetadata(tuple(map(str, class_names)), int(longest_side))
    write_saved_model(archive, metadata, path)


def load_segmenter(path: str | os.PathLike[str]) -> tuple[Any, SegmenterMetadata]:
    """Loads an exported model for segmentation after checking that it is one.

    Args:
        path: Folder that `export_segmenter` wrote.

    Returns:
        The SavedModel, with the signatures listed in `export_segmenter`, and its metadata.

    Raises:
        FileNotFoundError: If there is no such folder, or `export_segmenter` did not write it.
        ValueError: If the model is damaged, or of another kind.
    """
    metadata = read_metadata_file(path, SegmenterMetadata, "segmentation", "export_segmenter")
    return load_saved_model(path, metadata.class_names, ["serving_default", "encoded"]), metadata
