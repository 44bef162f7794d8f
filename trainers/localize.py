"""Localizes objects in your own images with an exported model, and draws the boxes.

  python -m trainers.localize --model=RUN/saved_model --images=DIR --out=DIR

Writes one picture per image, and boxes.csv with the columns image, class, probability, x0, y0, x1,
y1, width and height (pixels of the image, half-open), which `trainers.evaluate` and folders of
one's own images read, too. Files that cannot be decoded are listed.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from absl import app, flags, logging

from keras_has.data.folders import find_images, printable
from keras_has.data.readers.boxes_csv import BoxRow, write_boxes_csv
from trainers.engine.command import exit_on_error, refuse_arguments
from trainers.engine.console import print_problems, progress
from trainers.engine.exported_models import run_on_files

_MODEL = flags.DEFINE_string("model", None, "Folder of an exported model: RUN/saved_model.")
_IMAGES = flags.DEFINE_string("images", None, "An image, or a folder to search for images.")
_OUT = flags.DEFINE_string("out", None, "Folder for the pictures and boxes.csv.")
_HEAT_MAP = flags.DEFINE_boolean("heat_map", True, "Whether to draw the map next to the image.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Images per batch.", lower_bound=1)
flags.mark_flags_as_required(["model", "images", "out"])


def draw(
    file: Path, found: dict[str, np.ndarray], caption: str, heat_map: bool
) -> tuple[np.ndarray, tuple[int, int]]:
    """Returns the picture of one image with its box and, on request, the map next to it.

    Also returns the height and width of the image.
    """
    import tensorflow as tf

    from keras_has import drawing
    from keras_has.data.image_decoding import decode_image, to_upright

    image = decode_image(tf.constant(to_upright(file.read_bytes()))).numpy()
    side = min(max(image.shape[:2]), 640) if max(image.shape[:2]) >= 256 else 256
    tiles = [drawing.localization_tile(image, None, (), [found["box"]], side)]
    if heat_map:
        tiles.append(drawing.localization_tile(image, found["cam"], (), [found["box"]], side))
    sheet = drawing.sheet([tiles], captions=[[caption] + [""] * (len(tiles) - 1)])
    return sheet, (image.shape[0], image.shape[1])


def main(argv: Sequence[str]) -> None:
    """Localizes objects in all images, and draws them."""
    refuse_arguments(argv)
    logging.set_verbosity(logging.WARNING)
    from keras_has import drawing
    from keras_has.export import load_localizer, read_metadata

    out, images = Path(_OUT.value), Path(_IMAGES.value)
    with exit_on_error(FileNotFoundError, ValueError, interrupted=""):
        read_metadata(_MODEL.value)
        files, left_out = find_images(images, out)
        model, metadata = load_localizer(_MODEL.value)
    root = images if images.is_dir() else images.parent
    rows: list[BoxRow] = []
    bad: list[str] = []
    show = progress("localizing", "image")
    results = run_on_files(model, files, _BATCH_SIZE.value)
    for number, (path, found) in enumerate(results, start=1):
        if show is not None:
            show(number, len(files))
        if isinstance(found, str):
            bad.append(f"{printable(path)}: {found}")
            continue
        name = metadata.class_names[int(found["class_index"])]
        probability = float(found["probabilities"][found["class_index"]])
        box = found["box"].tolist() if np.isfinite(found["box"]).all() else None
        relative = printable(path.relative_to(root))
        picture, size = draw(path, found, f"{name} {probability:.0%}", _HEAT_MAP.value)
        rows.append(BoxRow(relative, box, name, probability, size))
        # The extension is kept, so that a.jpg and a.png have pictures of their own.
        drawing.write_png(out / f"{relative}.boxes.png", picture)
    write_boxes_csv(out / "boxes.csv", rows)
    without_box = sum(row.corners is None for row in rows)
    print(f"{len(files) - len(bad)} pictures and boxes.csv written to {out}")
    if without_box:
        print(f"{without_box} maps were empty: no box")
    print_problems("kinds of files are no images", left_out)
    print_problems("files could not be read and were left out", bad, limit=None)
    if len(bad) == len(files):
        sys.exit(1)


if __name__ == "__main__":
    app.run(main)
