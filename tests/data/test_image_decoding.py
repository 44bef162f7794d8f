import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_has.data import Dataset, FileImages, find_bad_images, tfrecords, write_tfrecords
from keras_has.data.image_decoding import (
    decode_image,
    image_size,
    to_decodable,
    to_decodable_tensor,
)

PIXELS = np.random.default_rng(3).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def encode(kind, image=None, **settings):
    file = io.BytesIO()
    (Image.fromarray(PIXELS) if image is None else image).save(file, kind, **settings)
    return file.getvalue()


LOSSLESS = {
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_lzw"},
    "PNG": {},
    "BMP": {},
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_pixels_of_every_lossless_format_come_back(kind):
    encoded = encode(kind, **LOSSLESS[kind])
    np.testing.assert_array_equal(decode_image(to_decodable(encoded)), PIXELS)
    in_graph = tf.function(lambda content: decode_image(to_decodable_tensor(content)))
    np.testing.assert_array_equal(in_graph(tf.constant(encoded)), PIXELS)


def test_formats_of_tensorflow_are_not_touched():
    for encoded in (encode("PNG"), encode("JPEG"), b"", b"RIFF1234WAVE", b"I"):
        assert to_decodable(encoded) == encoded
        assert to_decodable_tensor(tf.constant(encoded)).numpy() == encoded


@pytest.mark.parametrize(
    "image, wanted",
    [
        (Image.fromarray(np.full((2, 2), 40 * 256 + 99, np.uint16)), [40, 40, 40]),
        (Image.new("L", (2, 2), 9), [9, 9, 9]),
        (Image.new("RGBA", (2, 2), (1, 2, 3, 0)), [1, 2, 3]),
    ],
)
def test_tiff_becomes_eight_bit_rgb(image, wanted):
    pixels = decode_image(to_decodable(encode("TIFF", image))).numpy()
    assert pixels[1, 1].tolist() == wanted


@pytest.fixture
def files(tmp_path):
    """A PNG, a WebP and a TIFF image, and a truncated WebP image under another extension."""
    contents = {
        "a.png": encode("PNG"),
        "b.webp": encode("WEBP", lossless=True),
        "c.jpg": encode("TIFF"),
        "d.jpg": encode("WEBP", lossless=True)[:40],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return Dataset(
        name="mixed",
        ids=list(contents),
        columns={"label": [0] * 4, "boxes": [[[0, 0, 3, 2]]] * 4},
        source=FileImages([str(tmp_path / name) for name in contents]),
        class_names=("thing",),
    )


def test_files_are_decoded_by_content_and_a_damaged_one_is_named(files, tmp_path):
    good = files.select([0, 1, 2])
    for example in good.examples().as_numpy_iterator():
        np.testing.assert_array_equal(example["image"], PIXELS)
    np.testing.assert_array_equal(good.in_memory().source.pixels[1], PIXELS)
    (bad,) = find_bad_images(files)
    assert bad.image_id == "d.jpg"
    assert "Pillow" in bad.reason
    write_tfrecords({"val": good}, tmp_path / "records")
    for example in tfrecords(tmp_path / "records", "val").examples().as_numpy_iterator():
        np.testing.assert_array_equal(example["image"], PIXELS)
    assert [image_size(tmp_path / name) for name in good.ids] == [(5, 7)] * 3
