"""Localizes objects in one's own images with an exported model, and draws the boxes.

  python -m trainers.localize --model=RUN/saved_model --images=DIR --out=DIR

Writes one picture an image, and boxes.csv: image, class, probability, x0, y0, x1, y1 (pixels of the
image, half-open). Files that cannot be decoded are named and counted.
"""

import csv
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from absl import app, flags, logging

from keras_has.data.folders import IMAGE_EXTENSIONS

_MODEL = flags.DEFINE_string("model", None, "Folder of an exported model: RUN/saved_model.")
_IMAGES = flags.DEFINE_string("images", None, "An image, or a folder that is searched for images.")
_OUT = flags.DEFINE_string("out", None, "Folder for the pictures and boxes.csv.")
_HEAT_MAP = flags.DEFINE_boolean("heat_map", True, "Whether to draw the map beside the image.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Images at a time.", lower_bound=1)
flags.mark_flags_as_required(["model", "images", "out"])
_FRAME = ("Graph execution error", "Node:", "function_node", "(most recent", "File ")


def find_images(path: Path, out: Path) -> list[Path]:
    """Returns the image itself, or all images below a folder, sorted; none below `out`.

    Raises:
        FileNotFoundError: If there is none.
    """
    if path.is_file():
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in IMAGE_EXTENSIONS
        and not file.resolve().is_relative_to(out.resolve())
    )
    if not found:
        raise FileNotFoundError(
            f"{path} holds no image ({', '.join(IMAGE_EXTENSIONS)}): --images should be an image "
            "or a folder of images."
        )
    return found


def printable(path: Path) -> str:
    """Returns a file's name as text; bytes that are none are shown as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def reason(error: Exception) -> str:
    """Returns why a file could not be decoded, without TensorFlow's frame around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(_FRAME) and "Detected at" not in line]
    text = re.sub(r"{{.*?}}\s*|\s*\[Op:.*|\s*\[\[.*", "", said[0] if said else lines[0])
    return text.strip() or type(error).__name__


def localize_files(
    model: Any, files: Sequence[Path], batch_size: int
) -> Iterator[tuple[Path, dict[str, np.ndarray] | str]]:
    """Yields each file with what the model says of it, or with why it could not be read."""
    import tensorflow as tf

    encoded = model.signatures["encoded"]

    def results_of(batch: Sequence[Path]) -> list[tuple[Path, dict[str, np.ndarray] | str]]:
        try:
            contents = [file.read_bytes() for file in batch]
            outputs = {k: v.numpy() for k, v in encoded(encoded=tf.constant(contents)).items()}
        except (OSError, tf.errors.InvalidArgumentError) as error:
            if len(batch) == 1:
                return [(batch[0], reason(error))]
            # One of them is broken: one by one, to know which.
            return [result for file in batch for result in results_of([file])]
        return [
            (file, {key: value[row] for key, value in outputs.items()})
            for row, file in enumerate(batch)
        ]

    for start in range(0, len(files), batch_size):
        yield from results_of(files[start : start + batch_size])


def draw(file: Path, found: dict[str, np.ndarray], caption: str, heat_map: bool) -> np.ndarray:
    """Returns the picture of one image: with its box and, if wanted, its map beside it."""
    import tensorflow as tf

    from keras_has import drawing
    from keras_has.data.image_decoding import decode_image

    image = decode_image(tf.constant(file.read_bytes())).numpy()
    side = min(max(image.shape[:2]), 640) if max(image.shape[:2]) >= 256 else 256
    tiles = [drawing.localization_tile(image, None, (), [found["box"]], side)]
    if heat_map:
        tiles.append(drawing.localization_tile(image, found["cam"], (), [found["box"]], side))
    return drawing.sheet([tiles], captions=[[caption] + [""] * (len(tiles) - 1)])


def main(argv: Sequence[str]) -> None:
    """Localizes and draws."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    import tensorflow as tf

    from keras_has import drawing
    from keras_has.export import read_metadata

    out, images = Path(_OUT.value), Path(_IMAGES.value)
    try:
        metadata = read_metadata(_MODEL.value)
        files = find_images(images, out)
    except FileNotFoundError as error:
        sys.exit(f"error: {error}")
    root = images if images.is_dir() else images.parent
    model = tf.saved_model.load(_MODEL.value)
    out.mkdir(parents=True, exist_ok=True)
    table = out / "boxes.csv"
    aside = table.with_name("boxes.csv.tmp")
    bad: list[tuple[Path, str]] = []
    without_box = 0
    with aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "class", "probability", "x0", "y0", "x1", "y1"])
        for number, (path, found) in enumerate(
            localize_files(model, files, _BATCH_SIZE.value), start=1
        ):
            if isinstance(found, str):
                bad.append((path, found))
                continue
            name = metadata.class_names[int(found["class_index"])]
            probability = float(found["probabilities"][found["class_index"]])
            box = [f"{value:.1f}" if np.isfinite(value) else "" for value in found["box"]]
            without_box += not box[0]
            relative = path.relative_to(root)
            writer.writerow([printable(relative), name, f"{probability:.4f}", *box])
            picture = draw(path, found, f"{name} {probability:.0%}", _HEAT_MAP.value)
            # The whole name stays, so that a.jpg and a.png do not meet in one picture.
            drawing.write_png(out / f"{printable(relative)}.boxes.png", picture)
            if sys.stderr.isatty():
                print(f"\r{number}/{len(files)}", end="", file=sys.stderr, flush=True)
    aside.replace(table)
    print(f"{len(files) - len(bad)} pictures and {table.name} written to {out}")
    if without_box:
        print(f"{without_box} maps showed nothing: no box")
    if bad:
        print(f"{len(bad)} files could not be read and were left out:")
        for path, why in bad:
            print(f"  {printable(path)}: {why}")
        if len(bad) == len(files):
            sys.exit(1)


if __name__ == "__main__":
    app.run(main)
