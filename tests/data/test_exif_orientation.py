"""Images that a camera stored turned: the same pixels, sizes and boxes as in every viewer."""

import io
import json
import struct
import warnings
import zlib

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from keras_has import data
from keras_has.data.exif_orientation import orientation_of, read_orientation, turn_upright
from keras_has.data.image_decoding import decode_image, image_size, to_decodable, to_upright

PIXELS = np.random.default_rng(3).integers(0, 256, (5, 7, 3), dtype=np.uint8)
LOSSLESS = {"WEBP": {"lossless": True}, "TIFF": {}, "PNG": {}}
EVERY_ORIENTATION = range(1, 9)


def encode(kind, orientation=None, image=None, **settings):
    image = Image.fromarray(PIXELS) if image is None else image
    if orientation is not None:
        settings["exif"] = image.getexif()
        settings["exif"][0x0112] = orientation
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def upright_by_pillow(pixels, orientation):
    """What Pillow makes of an image that was stored so."""
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


def tiff_block(order, entries):
    mark = {"<": b"II", ">": b"MM"}[order]
    block = mark + struct.pack(order + "HIH", 42, 8, len(entries))
    for tag, kind, count, value in entries:
        packed = struct.pack(order + "HHI", tag, kind, count)
        block += packed + struct.pack(order + ("HH" if kind == 3 else "I"), *value)
    return block + struct.pack(order + "I", 0)


def jpeg_with(*segments):
    plain = encode("JPEG")
    parts = [b"\xff" + bytes([mark]) + struct.pack(">H", len(x) + 2) + x for mark, x in segments]
    return plain[:2] + b"".join(parts) + plain[2:]


@pytest.mark.parametrize("kind", LOSSLESS)
@pytest.mark.parametrize("orientation", EVERY_ORIENTATION)
def test_every_orientation_gives_the_pixels_of_pillow(kind, orientation, tmp_path):
    path = tmp_path / "photo.jpg"  # The content decides.
    path.write_bytes(encode(kind, orientation, **LOSSLESS[kind]))
    wanted = upright_by_pillow(PIXELS, orientation)
    assert wanted.shape == ((5, 7, 3) if orientation < 5 else (7, 5, 3))
    split = data.Dataset(
        name="mine",
        ids=["photo.jpg"],
        columns={"label": [0]},
        source=data.FileImages([str(path)], upright=True),
        class_names=["a"],
    )
    np.testing.assert_array_equal(next(iter(split.examples()))["image"], wanted)
    np.testing.assert_array_equal(decode_image(to_upright(path.read_bytes())), wanted)
    assert image_size(path, upright=True) == wanted.shape[:2]
    if kind != "TIFF":  # Pillow turns TIFF files itself.
        assert image_size(path) == (5, 7)
        np.testing.assert_array_equal(decode_image(to_decodable(path.read_bytes())), PIXELS)


@pytest.mark.parametrize("orientation", EVERY_ORIENTATION)
def test_a_jpeg_is_turned_in_graphs_as_pillow_turns_it(orientation):
    encoded = encode("JPEG", orientation, quality=95)
    in_graph = tf.function(lambda content: decode_image(content, upright=True))
    stored = decode_image(tf.constant(encoded)).numpy()
    wanted = upright_by_pillow(stored, orientation)
    np.testing.assert_array_equal(in_graph(tf.constant(encoded)), wanted)
    np.testing.assert_array_equal(decode_image(to_upright(encoded)), wanted)


@pytest.mark.parametrize("orientation", EVERY_ORIENTATION)
def test_turning_moves_one_corner_as_the_standard_says(orientation):
    """Exif 2.32, tag 274: where the stored first row and first column lie in the upright image."""
    stored = np.zeros((2, 3, 1), np.uint8)
    stored[0, 0] = 1
    first_row_and_column = {
        1: ("top", "left"),
        2: ("top", "right"),
        3: ("bottom", "right"),
        4: ("bottom", "left"),
        5: ("left", "top"),
        6: ("right", "top"),
        7: ("right", "bottom"),
        8: ("left", "bottom"),
    }
    corner = set(first_row_and_column[orientation])
    upright = turn_upright(tf.constant(stored), tf.constant(orientation)).numpy()[..., 0]
    rows, columns = upright.shape
    expected = np.zeros_like(upright)
    row = rows - 1 if "bottom" in corner else 0
    column = columns - 1 if "right" in corner else 0
    expected[row, column] = 1
    np.testing.assert_array_equal(upright, expected)
    assert upright.shape == ((2, 3) if orientation < 5 else (3, 2))


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
    order=st.sampled_from("<>"),
    value=st.integers(0, 12),
    others=st.lists(st.integers(256, 400).filter(lambda tag: tag != 274), max_size=5, unique=True),
    before=st.lists(st.sampled_from([0xE0, 0xE1, 0xE2, 0xFE]), max_size=4),
    fill=st.integers(0, 3),
)
def test_the_tag_is_found_wherever_it_stands(order, value, others, before, fill):
    entries = [(tag, 3, 1, (6, 0)) for tag in others] + [(274, 3, 1, (value, 0))]
    exif = b"Exif\0\0" + tiff_block(order, sorted(entries))
    encoded = jpeg_with(*[(mark, b"http\0" + bytes(9)) for mark in before], (0xE1, exif))
    encoded = encoded[:2] + b"\xff" * fill + encoded[2:]
    expected = value if 1 <= value <= 8 else 1
    assert int(read_orientation(tf.constant(encoded))) == expected
    with Image.open(io.BytesIO(encoded)) as image:
        assert orientation_of(image) == expected


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe1\0\0" * 3,
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffeXIf",
        b"\x89PNG\r\n\x1a\n\0\0\0\0eXIfII",
        encode("JPEG"),
        encode("PNG"),
        encode("BMP"),
        encode("GIF"),
        jpeg_with((0xE1, b"Exif\0\0II")),
        jpeg_with((0xE1, b"Exif\0\0" + tiff_block("<", [(274, 3, 1, (6, 0))])[:9])),
        jpeg_with((0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff")),
        jpeg_with((0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff")),
        jpeg_with((0xE1, b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='6'/>")),
    ],
)
def test_files_without_a_valid_orientation_count_as_upright(encoded):
    assert int(read_orientation(tf.constant(encoded))) == 1
    in_graph = tf.function(read_orientation)
    assert int(in_graph(tf.constant(encoded))) == 1


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(st.data())
def test_damaged_headers_never_fail(draw):
    encoded = bytearray(encode("JPEG", 6))
    for _ in range(draw.draw(st.integers(1, 6))):
        encoded[draw.draw(st.integers(2, 60))] = draw.draw(st.integers(0, 255))
    cut = draw.draw(st.integers(0, len(encoded)))
    assert 1 <= int(read_orientation(tf.constant(bytes(encoded[:cut])))) <= 8


@pytest.fixture
def photos(tmp_path):
    """A red object in the upright top right corner of every photo, whatever the stored order."""
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:10, 45:] = (255, 0, 0)
    inverse = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    lines = ["image,x0,y0,x1,y1,width,height"]
    for split in ("train", "val"):
        for name in ("a", "b"):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for orientation in EVERY_ORIENTATION:
                stored = upright_by_pillow(upright, inverse[orientation])
                photo = encode("JPEG", orientation, Image.fromarray(stored), quality=95)
                (folder / f"{orientation}.jpg").write_bytes(photo)
                lines.append(f"{split}/{name}/{orientation}.jpg,45,0,60,10,60,40")
    (tmp_path / "photos" / "boxes.csv").write_text("\n".join(lines))
    return tmp_path / "photos"


def share_of_red(dataset):
    shares = []
    for example in dataset.examples():
        x0, y0, x1, y1 = example["boxes"].numpy()[0].astype(int)
        image = example["image"].numpy().astype(int)
        assert image.shape == (40, 60, 3)
        is_red = (image[..., 0] > 128) & (image[..., 1] < 128)
        assert abs(is_red.sum() - 150) < 30
        shares.append(is_red[y0:y1, x0:x1].mean())
    return np.array(shares)


def test_boxes_drawn_on_the_upright_picture_lie_on_the_object(photos, tmp_path):
    dataset = data.image_folder(photos, "val")
    np.testing.assert_array_equal(dataset["image_size"], [[40, 60]] * 16)
    assert (share_of_red(dataset) > 0.9).all()
    assert dataset.select([3]).source.upright
    data.write_tfrecords({"val": dataset}, tmp_path / "records")
    records = data.tfrecords(tmp_path / "records", "val")
    np.testing.assert_array_equal(records["image_size"], [[40, 60]] * 16)
    assert (share_of_red(records) > 0.9).all()


def test_records_keep_the_bytes_of_the_camera_and_the_orientation(photos, tmp_path):
    data.write_tfrecords({"val": data.image_folder(photos, "val")}, tmp_path / "records")
    (shard,) = (tmp_path / "records").glob("*.tfrecord")
    orientations = []
    for record in tf.data.TFRecordDataset([str(shard)]).as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        name = features["image/filename"].bytes_list.value[0].decode()
        assert features["image/encoded"].bytes_list.value[0] == (photos / name).read_bytes()
        assert features["image/height"].int64_list.value[0] == 40
        orientations.append(features["image/orientation"].int64_list.value[0])
    assert orientations == [*EVERY_ORIENTATION] * 2
    (tmp_path / "records" / "val.index.npz").unlink()  # It is rebuilt from the records.
    assert (share_of_red(data.tfrecords(tmp_path / "records", "val")) > 0.9).all()


def test_records_of_benchmarks_and_older_ones_are_not_turned(photos, tmp_path):
    dataset = data.image_folder(photos, "val")
    source = data.FileImages(dataset.source.paths)
    plain = data.Dataset(
        name="plain",
        ids=dataset.ids,
        columns={"label": dataset["label"], "boxes": dataset["boxes"]},
        source=source,
        class_names=dataset.class_names,
    )
    data.write_tfrecords({"val": plain}, tmp_path / "records")
    description = json.loads((tmp_path / "records" / "dataset.json").read_text())
    assert "upright" not in description["splits"]["val"]
    records = data.tfrecords(tmp_path / "records", "val")
    assert records["image_size"].tolist() == [[40, 60]] * 4 + [[60, 40]] * 4 + (
        [[40, 60]] * 4 + [[60, 40]] * 4
    )
    description["splits"]["val"]["upright"] = "yes"
    (tmp_path / "records" / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(ValueError, match=r"dataset.json.*`upright` of val .*'yes'"):
        data.tfrecords(tmp_path / "records", "val")


def test_webp_under_another_name_has_a_size_a_clipped_box_and_a_format(tmp_path):
    folder = tmp_path / "mine"
    for split in ("train", "val"):
        for name in ("a", "b"):
            (folder / split / name).mkdir(parents=True)
            photo = encode("WEBP", 6, Image.new("RGB", (30, 20)), lossless=True)
            (folder / split / name / "1.jpg").write_bytes(photo)
    (folder / "boxes.csv").write_text("image,x0,y0,x1,y1\nval/a/1.jpg,5,3,22,40\n")
    dataset = data.image_folder(folder, "val")
    assert dataset["boxes"][0].tolist() == [[5, 3, 20, 30]]
    data.write_tfrecords({"val": dataset}, tmp_path / "records")
    (shard,) = (tmp_path / "records").glob("*.tfrecord")
    for record in tf.data.TFRecordDataset([str(shard)]).as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        assert features["image/format"].bytes_list.value[0] == b"png"
        assert features["image/orientation"].int64_list.value[0] == 1
        assert features["image/height"].int64_list.value[0] == 30


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("entry", "expected"),
    [((274, 4, 1, (6,)), 6), ((274, 3, 2, (6, 1)), 1), ((274, 4, 1, (9,)), 1)],
)
def test_size_and_pixels_agree_for_unusual_entries(kind, order, entry, expected, tmp_path):
    """A long integer is accepted in both, two values in neither; PNG files may have the prefix."""
    block = tiff_block(order, [entry])
    for prefix in (b"", b"Exif\0\0") if kind == "PNG" else (b"Exif\0\0",):
        content = prefix + block
        if kind == "JPEG":
            encoded = jpeg_with((0xE1, content))
        else:
            plain = encode("PNG")
            chunk = struct.pack(">I", len(content)) + b"eXIf" + content
            encoded = plain[:33] + chunk + struct.pack(">I", zlib.crc32(chunk[4:])) + plain[33:]
        path = tmp_path / "photo"
        path.write_bytes(encoded)
        assert int(read_orientation(tf.constant(encoded))) == expected
        shape = decode_image(tf.constant(encoded), upright=True).shape
        assert image_size(path, upright=True) == tuple(shape[:2])


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(st.data())
def test_size_and_pixels_agree_for_damaged_blocks(draw):
    order = draw.draw(st.sampled_from("<>"))
    block = bytearray(tiff_block(order, [(271, 3, 1, (0, 0)), (274, 3, 1, (6, 0))]))
    for _ in range(draw.draw(st.integers(0, 4))):
        block[draw.draw(st.integers(0, len(block) - 1))] = draw.draw(st.integers(0, 255))
    encoded = jpeg_with((0xE1, b"Exif\0\0" + bytes(block)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow reads the resolution from the same block.
        with Image.open(io.BytesIO(encoded)) as image:
            assert orientation_of(image) == int(read_orientation(tf.constant(encoded)))
