"""Mutated images: the size is known or not, and a bad image has a reason."""

import io

import numpy as np
import pytest
from PIL import Image

from keras_has.data import Dataset, FileImages
from keras_has.data.bad_images import bad_image
from keras_has.data.image_decoding import image_size

PIXELS = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
KINDS = {
    "JPEG": ("JPEG", "RGB", {"quality": 80}),
    "progressive JPEG": ("JPEG", "RGB", {"progressive": True}),
    "grey JPEG": ("JPEG", "L", {}),
    "CMYK JPEG": ("JPEG", "CMYK", {}),
    "PNG": ("PNG", "RGB", {}),
    "PNG with a palette": ("PNG", "P", {}),
    "GIF": ("GIF", "P", {}),
    "BMP": ("BMP", "RGB", {}),
    "BMP with a palette": ("BMP", "P", {}),
    "WebP": ("WEBP", "RGB", {}),
    "TIFF": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    "16-bit TIFF": ("TIFF", "I;16", {}),
}


def build_image(kind):
    image_format, mode, options = KINDS[kind]
    if mode == "I;16":
        image = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 256)
    else:
        image = Image.fromarray(PIXELS).convert(mode)
    file = io.BytesIO()
    image.save(file, image_format, **options)

    def build(folder):
        (folder / "a.image").write_bytes(file.getvalue())

    return build


def read_size(folder):
    size = image_size(folder / "a.image")
    assert size is None or min(size) > 0


def decode(folder):
    dataset = Dataset(
        name="one",
        ids=["a"],
        columns={"label": [0], "boxes": [[]]},
        source=FileImages([str(folder / "a.image")]),
        class_names=("thing",),
    )
    bad = bad_image(dataset, 0)
    if bad is not None:
        assert bad.path == str(folder / "a.image")
        assert bad.reason.isprintable()
        for part in ("{{", "[Op:", "<stack", "Graph execution", "codec"):
            assert part not in bad.reason
        raise ValueError(bad.path)


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_of_a_damaged_image_is_read_or_unknown(kind, fuzz):
    fuzz(f"size of {kind}", build_image(kind), "*.image", read_size, inputs=400, errors=())


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_image_is_decoded_or_has_a_reason(kind, fuzz):
    fuzz(f"decoding {kind}", build_image(kind), "*.image", decode, inputs=400)
