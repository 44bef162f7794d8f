"""A trained network for re-identification as a SavedModel: image in, embedding out."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import keras
import tensorflow as tf

from keras_has.data.image_decoding import decode_image
from keras_has.data.transforms import resize_to
from keras_has.evaluation.reidentification import embedding_network, unit_embeddings
from keras_has.export.empty_batches import fill_empty
from keras_has.export.saved_model import (
    load_saved_model,
    read_metadata_file,
    write_saved_model,
)
from keras_has.version import __version__


@dataclasses.dataclass(frozen=True)
class EmbedderMetadata:
    """Metadata of an exported model, stored in `keras_has.json`.

    Args:
        height: Height in pixels of the network's input.
        width: Width in pixels of the network's input.
        size: Number of values of an embedding.
        kind: `"embedding"`, to tell such models from others.
        version: Version of keras-has that wrote the model.
    """

    height: int
    width: int
    size: int
    kind: str = "embedding"
    version: str = __version__


def export_embedder(
    model: keras.Model, path: str | os.PathLike[str], embedding_layer: str = "pooling"
) -> None:
    """Writes a SavedModel from images to embeddings of length 1, with all preprocessing inside.

    The smaller the distance of two embeddings, the more alike are the images. Load it with
    `load_embedder(path)` or `tf.saved_model.load(path)`; the latter needs no Keras and no
    keras-has. Nothing is hidden or erased. It has two signatures, which return `"embedding"`
    float32 (B, D):

    - `serving_default(images=...)`: uint8 (B, H, W, 3) of any size.
    - `encoded(encoded=...)`: (B,) strings, the content of JPEG, PNG, BMP or GIF files of any sizes.
      Images are turned as their EXIF orientation says.

    Images are resized as in evaluation, without keeping their aspect ratio. A batch may be empty.

    Args:
        model: A trained model of RGB images of one known size, such as
            `keras_has.models.IdentityClassifier`.
        path: Folder to write; an existing one is replaced once the new one is complete.
        embedding_layer: The layer whose output is the embedding. Defaults to `"pooling"`.

    Raises:
        ValueError: If the model has another input, no such layer, or one without a vector.

    Example:

    >>> model = keras_has.models.SmallGAP(2, (64, 32, 3))
    >>> export_embedder(model, "embedder")  # doctest: +SKIP
    >>> loaded, metadata = load_embedder("embedder")  # doctest: +SKIP
    >>> loaded.signatures["serving_default"](images=images)["embedding"]  # doctest: +SKIP
    """
    height, width, channels = model.inputs[0].shape[1:]
    if height is None or width is None or channels != 3:
        raise ValueError(
            "`model` should take RGB images of one known size. "
            f"Received: inputs of shape {tuple(model.inputs[0].shape)}"
        )
    network = embedding_network(model, embedding_layer)

    def embed(images: tf.Tensor) -> dict[str, tf.Tensor]:
        count = tf.shape(images)[0]
        return {"embedding": unit_embeddings(network, fill_empty(images))[:count]}

    def of_pixels(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return embed(resize_to({"image": images}, height, width)["image"])

    def of_files(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        def decode(content: tf.Tensor) -> tf.Tensor:
            image = decode_image(content, upright=True)
            return resize_to({"image": image}, height, width)["image"]

        spec = tf.TensorSpec((height, width, 3), tf.uint8)
        return embed(tf.map_fn(decode, encoded, fn_output_signature=spec))

    archive = keras.export.ExportArchive()
    archive.track(network)
    images_spec = tf.TensorSpec((None, None, None, 3), tf.uint8, name="images")
    archive.add_endpoint("serving_default", of_pixels, input_signature=[images_spec])
    archive.add_endpoint(
        "encoded", of_files, input_signature=[tf.TensorSpec((None,), tf.string, name="encoded")]
    )
    metadata = EmbedderMetadata(int(height), int(width), int(network.output.shape[-1]))
    write_saved_model(archive, metadata, path)


def load_embedder(path: str | os.PathLike[str]) -> tuple[Any, EmbedderMetadata]:
    """Loads an exported model for embeddings after checking that it is one.

    Args:
        path: Folder that `export_embedder` wrote.

    Returns:
        The SavedModel, with the signatures listed in `export_embedder`, and its metadata.

    Raises:
        FileNotFoundError: If there is no such folder, or `export_embedder` did not write it.
        ValueError: If the model is damaged, or of another kind.
    """
    metadata = read_metadata_file(path, EmbedderMetadata, "embedding", "export_embedder")
    return load_saved_model(path, (), ["serving_default", "encoded"]), metadata
