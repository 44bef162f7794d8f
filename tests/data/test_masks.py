"""Tests of reading masks from pictures."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_has.data.masks import load_mask, read_grey


def write_png(path, chunks):
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        content += struct.pack(">I", len(data)) + name + data
        content += struct.pack(">I", zlib.crc32(name + data))
    path.write_bytes(content)


def header(width, height):
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)


@pytest.mark.parametrize("palette", [[0, 0, 0, 255, 255, 255], [255, 255, 255, 0, 0, 0]])
def test_the_indices_of_a_palette_count_and_not_its_colours(tmp_path, palette):
    image = Image.new("P", (2, 1))
    image.putpalette(palette)
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png")
    assert read_grey(tmp_path / "a.png").tolist() == [[0, 1]]
    assert load_mask([tmp_path / "a.png"], image_size=(1, 2))[0].tolist() == [[0, 1]]


def test_a_file_that_is_no_image_is_named_without_an_address_in_memory(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"a\.png should be an image") as error:
        read_grey(tmp_path / "a.png")
    assert "0x" not in str(error.value)


def test_a_small_file_of_a_huge_mask_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "large.png"
    write_png(path, [header(40_000, 30_000), (b"IDAT", zlib.compress(bytes(9))), (b"IEND", b"")])
    with pytest.raises(ValueError, match=r"large\.png.*1200000000 pixels"):
        load_mask([path])


@pytest.mark.parametrize("end", [0, 8, 33, 45, -16])
def test_a_truncated_mask_is_refused_by_name(tmp_path, end):
    path = tmp_path / "cut.png"
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(ValueError, match=r"cut\.png"):
        load_mask([path])
