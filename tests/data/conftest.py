"""Miniature data sets written to a temporary folder, and the real ones where they are present."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from keras_has.ops.opencv import opencv


def write_image(path, size=(6, 8), value=128):
    """Writes an image of one grey value; height and width in `size`, the kind by extension."""
    return write_pixels(path, np.full((*size, 3), value, "uint8"))


def write_pixels(path, rgb):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    extension = path.suffix.lower()
    _, encoded = opencv().imencode(".jpg" if extension == ".jpeg" else extension, rgb[..., ::-1])
    path.write_bytes(encoded.tobytes())
    return path


def write_text(path, text):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def voc_xml(objects, size=None):
    """Returns VOC's XML for objects (name, xmin, ymin, xmax, ymax) and a size (height, width)."""
    lines = ["<annotation>"]
    if size is not None:
        lines.append(f"<size><width>{size[1]}</width><height>{size[0]}</height></size>")
    for name, *corners in objects:
        box = "".join(
            f"<{tag}>{corner}</{tag}>"
            for tag, corner in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
        )
        lines.append(f"<object><name>{name}</name><bndbox>{box}</bndbox></object>")
    return "\n".join([*lines, "</annotation>"])


@pytest.fixture(name="write_image")
def write_image_fixture():
    return write_image


@pytest.fixture(name="write_pixels")
def write_pixels_fixture():
    return write_pixels


@pytest.fixture(name="write_text")
def write_text_fixture():
    return write_text


@pytest.fixture(name="voc_xml")
def voc_xml_fixture():
    return voc_xml


@pytest.fixture(scope="session")
def tiny_imagenet_dir(tmp_path_factory):
    """The 20 classes of Tiny ImageNet, unpacked once; tests that need them are skipped without."""
    archive = Path(__file__).resolve().parents[3] / "shared" / "data" / "tiny-imagenet-20.tar"
    if not archive.is_file():
        pytest.skip("the real data sets (../shared/data) are not here")
    folder = tmp_path_factory.mktemp("real")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / "tiny-imagenet-20"
