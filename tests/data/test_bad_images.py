import base64
import copy
import dataclasses
import struct
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_has.data import Dataset, FileImages, training_batches
from keras_has.data.bad_images import (
    BadImage,
    BadImageError,
    find_bad_images,
    name_bad_image,
    skip_bad_images,
)
from keras_has.data.image_decoding import decode_image, image_size
from keras_has.data.resize import resize_image
from keras_has.ops.opencv import opencv

# 16 x 16 pixels in four squares of the inks below, as CMYK and as YCCK, both inverted as Adobe
# does. Drawn for this test: the first written by Pillow 12, the second by libjpeg-turbo.
INKS = [[(200, 30, 10, 20), (10, 180, 40, 60)], [(0, 20, 220, 0), (90, 60, 30, 120)]]
CMYK_JPEG = """
/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwACAQEBAQECAQEBAgICAgIEAwICAgIFBAQDBAYFBgYGBQYGBgcJCAYHCQcGBggLCAkK
CgoKCgYICwwLCgwJCgoK/8AAFAgAEAAQBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//E
ALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2
Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrC
w8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD826/YSv3Ur9rK/r4r+aevB6+X
66iv6gK/kvr7wr8l6+X6/r4r8H6//9k=
"""
YCCK_JPEG = """
/9j/7gAOQWRvYmUAZAAAAAAC/9sAQwACAQEBAQECAQEBAgICAgIEAwICAgIFBAQDBAYFBgYGBQYGBgcJCAYHCQcGBggLCAkK
CgoKCgYICwwLCgwJCgoK/9sAQwECAgICAgIFAwMFCgcGBwoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoK
CgoKCgoKCgoKCgoK/8AAFAgAEAAQBAERAAIRAQMRAQQRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQ
AAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5
OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TF
xsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/EAB8BAAMBAQEBAQEBAQEAAAAAAAABAgMEBQYHCAkKC//EALUR
AAIBAgQEAwQHBQQEAAECdwABAgMRBAUhMQYSQVEHYXETIjKBCBRCkaGxwQkjM1LwFWJy0QoWJDThJfEXGBkaJicoKSo1Njc4
OTpDREVGR0hJSlNUVVZXWFlaY2RlZmdoaWpzdHV2d3h5eoKDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLD
xMXGx8jJytLT1NXW19jZ2uLj5OXm5+jp6vLz9PX29/j5+v/aAA4EAQACEQMRBAAAPwD47r+Yz/Vw/ayvoiuc/wCXs+X6/M+v
+kA/sA+8K90r/BM/qw/B+v/Z
"""
# Two frames of 3 x 2 pixels: (250, 10, 20), then blue.
ANIMATED_GIF = (
    "R0lGODdhAwACAIEAAPoKFAAA/wAAAAAAACwAAAAAAwACAAAIBgABCBwYEAAs"
    "AAAAAAMAAgCB+goUAAD/AAAAAAAACAYAAwgcGBAAOw=="
)


def encode(extension, pixels):
    encoded, content = opencv().imencode(extension, pixels)
    assert encoded
    return content.tobytes()


def decode(content):
    return decode_image(tf.constant(content)).numpy()


def random_pixels(*shape, dtype="uint8"):
    return np.random.default_rng(1).integers(0, np.iinfo(dtype).max, shape).astype(dtype)


def palette_bmp(indices, palette):
    """Returns an 8-bit BMP; `palette` has a row of red, green and blue for each index."""
    height, width = indices.shape
    start = 54 + 4 * len(palette)
    rows = np.zeros((height, -(-width // 4) * 4), "uint8")
    rows[:, :width] = indices[::-1]
    colours = np.pad(np.asarray(palette, "uint8")[:, ::-1], ((0, 0), (0, 1)))
    sizes = (start + rows.size, 0, 0, start, 40, width, height)
    header = struct.pack("<IHHIIii", *sizes) + struct.pack("<HHI", 1, 8, 0)
    header += struct.pack("<IiiII", rows.size, 0, 0, len(palette), 0)
    return b"BM" + header + colours.tobytes() + rows.tobytes()


@pytest.mark.parametrize("content", [CMYK_JPEG, YCCK_JPEG], ids=["CMYK", "YCCK"])
def test_inverted_cmyk_jpegs_become_rgb(content):
    content = base64.b64decode(content)
    image = decode(content)
    inks = np.repeat(np.repeat(np.array(INKS) / 255, 8, axis=0), 8, axis=1)
    wanted = 255 * (1 - inks[..., :3]) * (1 - inks[..., 3:])
    np.testing.assert_allclose(image, wanted, atol=3)
    by_opencv = opencv().imdecode(np.frombuffer(content, "uint8"), opencv().IMREAD_COLOR)
    np.testing.assert_allclose(image, by_opencv[..., ::-1].astype(int), atol=3)


def test_grey_jpegs_become_three_equal_channels():
    image = decode(encode(".jpg", random_pixels(9, 11)))
    assert image.shape == (9, 11, 3)
    assert (image == image[..., :1]).all()


@pytest.mark.parametrize("extension", [".png", ".bmp"])
def test_lossless_images_come_back_in_rgb(extension):
    rgb = random_pixels(5, 7, 3)
    np.testing.assert_array_equal(decode(encode(extension, rgb[..., ::-1])), rgb)


def test_grey_bmps_become_three_equal_channels():
    grey = random_pixels(5, 7)
    np.testing.assert_array_equal(decode(encode(".bmp", grey)), np.dstack([grey] * 3))


def test_bmps_with_a_palette_take_its_colours():
    palette = random_pixels(40, 3)
    indices = random_pixels(5, 7) % 40
    content = palette_bmp(indices, palette)
    np.testing.assert_array_equal(decode(content), palette[indices])
    by_opencv = opencv().imdecode(np.frombuffer(content, "uint8"), opencv().IMREAD_COLOR)
    np.testing.assert_array_equal(decode(content), by_opencv[..., ::-1])


def test_a_palette_index_beyond_the_palette_raises():
    content = palette_bmp(np.full((2, 2), 40, "uint8"), random_pixels(40, 3))
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(content)


def test_16_bit_pngs_keep_their_upper_8_bits():
    rgb = random_pixels(5, 7, 3, dtype="uint16")
    np.testing.assert_array_equal(decode(encode(".png", rgb[..., ::-1])), rgb >> 8)
    grey = random_pixels(5, 7, dtype="uint16")
    np.testing.assert_array_equal(decode(encode(".png", grey)), np.dstack([grey >> 8] * 3))


def test_an_alpha_channel_is_dropped():
    rgba = random_pixels(5, 7, 4)
    bgra = rgba[..., [2, 1, 0, 3]]
    np.testing.assert_array_equal(decode(encode(".png", bgra)), rgba[..., :3])


def test_the_first_frame_of_a_gif_is_taken():
    image = decode(base64.b64decode(ANIMATED_GIF))
    np.testing.assert_array_equal(image, np.full((2, 3, 3), (250, 10, 20)))


def test_the_content_counts_not_the_extension(tmp_path):
    rgb = random_pixels(5, 7, 3)
    path = tmp_path / "n02105855_2933.JPEG"
    path.write_bytes(encode(".png", rgb[..., ::-1]))
    np.testing.assert_array_equal(decode_image(tf.io.read_file(str(path))).numpy(), rgb)
    assert image_size(path) == (5, 7)


def test_every_truncated_or_damaged_bmp_with_a_palette_raises_the_documented_error():
    content = palette_bmp(random_pixels(3, 3) % 9, random_pixels(9, 3))
    headers = [(10, -1), (10, 2**31 - 1), (10, 60), (14, 2**31 - 1), (14, -(2**31)), (14, 90)]
    damaged = [
        content[:place] + struct.pack("<i", value) + content[place + 4 :]
        for place, value in headers
    ]
    for bad in (*(content[:end] for end in range(len(content))), *damaged):
        try:
            assert decode(bad).shape[2] == 3
        except tf.errors.InvalidArgumentError as error:
            assert "UTF" not in str(error)
        else:
            assert bad in damaged


def test_a_truncated_bmp_with_a_palette_is_named_among_other_bad_images(tmp_path):
    content = palette_bmp(random_pixels(3, 3) % 9, random_pixels(9, 3))
    names = [str(tmp_path / name) for name in ("good.bmp", "cut.bmp")]
    for name, end in zip(names, (None, -3), strict=True):
        Path(name).write_bytes(content[:end])
    images = Dataset(
        name="two",
        ids=["good", "cut"],
        columns={"label": [0, 0], "boxes": [[]] * 2},
        source=FileImages(names),
        class_names=("thing",),
    )
    kept, (bad,) = skip_bad_images(images)
    assert kept.ids.tolist() == ["good"]
    assert (bad.image_id, bad.path) == ("cut", names[1])
    assert "differ by -3" in bad.reason


def test_decoding_in_a_graph_gives_the_same_and_keeps_the_rank():
    contents = [encode(".png", random_pixels(5, 7, 3)), base64.b64decode(CMYK_JPEG)]
    contents += [palette_bmp(random_pixels(3, 3) % 9, random_pixels(9, 3))]
    dataset = tf.data.Dataset.from_tensor_slices(contents).map(decode_image)
    assert dataset.element_spec.shape.as_list() == [None, None, 3]
    for content, image in zip(contents, dataset.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(image, decode(content))


@pytest.mark.parametrize("extension", [".jpg", ".png", ".bmp"])
@pytest.mark.parametrize("missing", [1, 20, 0.5])
def test_truncated_images_raise(extension, missing):
    content = encode(extension, random_pixels(40, 30, 3))
    end = -missing if missing >= 1 else int(len(content) * missing)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(content[:end])


@pytest.mark.parametrize("extension", [".jpg", ".png", ".bmp"])
def test_the_size_is_read_from_the_head_of_a_file(tmp_path, extension):
    path = tmp_path / "image"
    path.write_bytes(encode(extension, random_pixels(40, 30, 3)))
    assert image_size(path) == (40, 30)


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (base64.b64decode(CMYK_JPEG), (16, 16)),
        (base64.b64decode(ANIMATED_GIF), (2, 3)),
        (palette_bmp(np.zeros((4, 9), "uint8"), np.zeros((1, 3))), (4, 9)),
        (b"", None),
        (b"hello", None),
        (b"\xff\xd8\xff\xe0", None),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"BM", None),
    ],
    ids=["CMYK", "GIF", "palette BMP", "empty", "text", "cut JPEG", "cut PNG", "cut BMP"],
)
def test_the_size_of_other_files_is_read_or_unknown(tmp_path, content, size):
    path = tmp_path / "image"
    path.write_bytes(content)
    assert image_size(path) == size


def test_the_size_of_progressive_jpegs_and_of_those_with_metadata_is_read(tmp_path):
    cv2 = opencv()
    _, content = cv2.imencode(".jpg", random_pixels(40, 30, 3), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    content = content.tobytes()
    metadata = b"\xff\xe1" + struct.pack(">H", 60_002) + bytes(60_000)
    path = tmp_path / "image.jpg"
    path.write_bytes(content[:2] + metadata + b"\xff" + content[2:])
    assert image_size(path) == (40, 30)


def test_the_size_of_a_missing_file_is_unknown(tmp_path):
    assert image_size(tmp_path / "nothing.jpg") is None


@given(st.binary(max_size=80), st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM"]))
def test_random_bytes_never_crash_the_size_reader(tmp_path_factory, content, start):
    path = tmp_path_factory.getbasetemp() / "random_bytes"
    path.write_bytes(start + content)
    size = image_size(path)
    assert size is None or min(size) > 0


@pytest.fixture
def dataset(tmp_path, write_pixels):
    """Nine images; a missing, an empty, a text, a cut one, and a folder among them."""
    names = [f"{index}.jpg" for index in range(9)]
    for name in names:
        write_pixels(tmp_path / name, random_pixels(20, 30, 3))
    (tmp_path / "1.jpg").unlink()
    (tmp_path / "3.jpg").write_bytes(b"")
    (tmp_path / "4.jpg").write_text("<html>404 Not Found</html>")
    (tmp_path / "6.jpg").write_bytes((tmp_path / "5.jpg").read_bytes()[:-40])
    (tmp_path / "8.jpg").unlink()
    (tmp_path / "8.jpg").mkdir()
    return Dataset(
        name="nine",
        ids=[name[0] for name in names],
        columns={"label": [0] * 9, "boxes": [[]] * 9},
        source=FileImages([str(tmp_path / name) for name in names]),
        class_names=("thing",),
    )


BAD = {
    "1": "missing",
    "3": "empty file",
    "4": "cannot be decoded: Unknown image file format",
    "6": "cannot be decoded: jpeg::Uncompress failed",
    "8": "cannot be read: ",
}


def test_bad_images_are_found_with_their_reasons(dataset):
    calls = []
    found = find_bad_images(dataset, lambda done, total: calls.append((done, total)))
    assert [bad.image_id for bad in found] == list(BAD)
    for bad in found:
        assert bad.path.endswith(f"/{bad.image_id}.jpg")
        assert bad.reason.startswith(BAD[bad.image_id])
        assert "{{" not in bad.reason
        assert "[Op:" not in bad.reason
    assert calls[-1] == (9, 9)


def test_bad_images_are_those_that_decode_image_refuses(dataset):
    refused = []
    for image_id, path in zip(dataset.ids, dataset.source.paths, strict=True):
        try:
            decode_image(tf.io.read_file(path))
        except tf.errors.OpError:
            refused.append(image_id)
    assert [bad.image_id for bad in find_bad_images(dataset)] == refused


def test_skipping_bad_images_leaves_the_others_as_they_were(dataset):
    good, bad = skip_bad_images(dataset)
    assert good.ids.tolist() == ["0", "2", "5", "7"]
    assert [one.image_id for one in bad] == list(BAD)
    assert len(list(good.examples())) == 4
    again, none = skip_bad_images(good)
    assert again is good
    assert none == []


def test_all_images_bad_leaves_none(dataset):
    good, bad = skip_bad_images(dataset.select([1, 3]))
    assert len(good) == 0
    assert len(bad) == 2


def test_images_in_memory_are_never_bad(dataset):
    assert find_bad_images(dataset.select([0, 2]).in_memory()) == []
    assert find_bad_images(dataset.select([])) == []


def test_a_failing_pipeline_gets_its_file_named(dataset):
    for rows, image_id in (([0, 3, 1], "3"), ([2, 1], "1"), ([6], "6"), ([7, 8], "8")):
        some = dataset.select(rows)
        with pytest.raises(tf.errors.OpError) as caught:
            list(some.examples())
        named = name_bad_image(some, caught.value)
        assert isinstance(named, BadImageError)
        assert [bad.image_id for bad in named.bad_images] == [image_id]


def test_every_kind_of_image_file_is_trained_on_and_a_cut_one_is_named(tmp_path):
    contents = [encode(extension, random_pixels(16, 16, 3)) for extension in (".jpg", ".png")]
    contents += [base64.b64decode(code) for code in (CMYK_JPEG, YCCK_JPEG, ANIMATED_GIF)]
    contents += [palette_bmp(random_pixels(16, 16) % 40, random_pixels(40, 3))]
    paths = [tmp_path / f"{number}.JPEG" for number in range(6)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    names = list("abcdef")
    kinds = Dataset(
        name="kinds",
        ids=names,
        columns={"label": range(6), "boxes": [[]] * 6},
        source=FileImages([str(path) for path in paths]),
        class_names=names,
    )
    batches = training_batches(kinds, 6, 8, horizontal_flip=False)
    images, labels = next(batches.as_numpy_iterator())
    assert sorted(labels) == list(range(6))
    for image, label in zip(images, labels, strict=True):
        if label != 4:  # the others are square: their crop is all of them
            np.testing.assert_array_equal(image, resize_image(decode(contents[label]), 8))
        else:
            np.testing.assert_array_equal(image, np.full((8, 8, 3), (250, 10, 20)))
    paths[0].write_bytes(contents[0][:-9])
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        next(iter(batches))
    assert name_bad_image(kinds, caught.value).bad_images[0].image_id == "a"


def test_errors_of_other_causes_name_no_file(dataset):
    assert name_bad_image(dataset, KeyboardInterrupt()) is None
    assert name_bad_image(dataset, tf.errors.ResourceExhaustedError(None, None, "memory")) is None
    shape_error = tf.errors.InvalidArgumentError(None, None, "shapes differ")
    assert name_bad_image(dataset.select([0, 2]), shape_error) is None


def test_the_error_names_file_and_reason_and_what_to_do():
    bad = BadImage("val_7", "/data/val_7.JPEG", "empty file")
    message = str(BadImageError(bad))
    assert "/data/val_7.JPEG (image id 'val_7'): empty file." in message
    assert "Download it again or restore it" in message
    assert "on_bad_image='skip' (--on_bad_image=skip)" in message
    many = str(BadImageError(*[dataclasses.replace(bad, image_id=str(i)) for i in range(12)]))
    assert many.count("empty file") == 10
    assert "and 2 more files" in many
    assert "Download them again" in many


def test_the_error_can_be_taken_apart_and_rebuilt_as_between_processes():
    error = BadImageError(BadImage("a", "/a.jpg", "missing"))
    assert str(copy.copy(error)) == str(error)
