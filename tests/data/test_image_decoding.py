import io
import struct

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


def bmp_with_masks(*masks):
    """One pixel, blue 10, green 20, red 30 in the usual order, in a BMP that states its masks."""
    header = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 32, 3, 4, 0, 0, 0, 0)
    body = header + struct.pack("<III", *masks) + bytes([10, 20, 30, 0])
    return b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, 14 + 40 + 12) + body


@pytest.mark.parametrize("bits", [1, 4])
def test_bmp_of_few_colors_is_read(bits):
    image = Image.fromarray(PIXELS).convert("1" if bits == 1 else "P")
    encoded = encode("BMP", image)
    wanted = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode_image(to_decodable(encoded)), wanted)


def test_bmp_masks_decide_which_byte_is_red():
    usual = bmp_with_masks(0xFF0000, 0xFF00, 0xFF)
    assert decode_image(to_decodable(usual)).numpy()[0, 0].tolist() == [30, 20, 10]
    try:
        swapped = decode_image(to_decodable(bmp_with_masks(0xFF, 0xFF00, 0xFF0000))).numpy()
    except ValueError:
        return  # Older versions of Pillow refuse this order: better than wrong colors.
    assert swapped[0, 0].tolist() == [10, 20, 30]


def test_a_gif_whose_first_frame_is_smaller_has_the_size_that_viewers_show(tmp_path):
    encoded = bytearray(encode("GIF", Image.fromarray(PIXELS)))
    encoded[6:10] = struct.pack("<HH", 24, 10)  # the size of the canvas: width, height
    frame = encoded.index(b"\x2c" + struct.pack("<HHHH", 0, 0, 7, 5))
    encoded[frame + 1 : frame + 5] = struct.pack("<HH", 10, 3)
    (tmp_path / "small.gif").write_bytes(encoded)
    pixels = decode_image(to_decodable(bytes(encoded))).numpy()
    assert pixels.shape[:2] == image_size(tmp_path / "small.gif") == (10, 24)
    np.testing.assert_array_equal(
        pixels[3:8, 10:17], decode_image(tf.constant(encode("GIF", Image.fromarray(PIXELS))))
    )
    plain = encode("GIF", Image.fromarray(PIXELS))
    assert to_decodable(plain) == plain == to_decodable_tensor(tf.constant(plain)).numpy()


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_tiff_of_32_bits_is_refused_instead_of_turned_black_or_white(dtype):
    image = Image.fromarray(np.linspace(0, 65535, 240).reshape(10, 24).astype(dtype))
    with pytest.raises(ValueError, match="32 bits"):
        to_decodable(encode("TIFF", image))


def test_a_truncated_tiff_is_named_in_words():
    with pytest.raises(ValueError, match="Pillow cannot decode it") as caught:
        to_decodable(b"II*\0" + bytes(20))
    assert "0x" not in str(caught.value)
