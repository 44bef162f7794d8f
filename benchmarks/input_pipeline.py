"""The trainers' input pipeline against decoding alone, and against Keras' own.

  python -m benchmarks.input_pipeline [--photos=DIR]

It makes 1,000 JPEG files of 500 x 375 in a temporary folder: cuts from photographs, those that come
with scikit-image or all below DIR, resized, with qualities that give files nearly as large as
ILSVRC's. The recipe is ILSVRC's too: short side to 256, crop of 224. What is timed is the steady
flow: a fresh iterator gives a few batches first.
"""

import argparse
import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf

from benchmarks.results import print_machine, record
from benchmarks.timing import interleaved
from keras_has.data import (
    Dataset,
    hide_images,
    image_folder,
    tfrecords,
    training_batches,
    write_tfrecords,
)
from keras_has.layers import HideAndSeek

COUNT, CLASSES = 1000, 10
HEIGHT, WIDTH = 375, 500
IMAGE_SIZE, RESIZE_SIZE, BATCH_SIZE = 224, 256, 50
CROP_SIDE = round(HEIGHT * IMAGE_SIZE / RESIZE_SIZE)
# Colour photographs in scikit-image's wheel, large enough to be cut.
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
MEAN, DEVIATION = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)
BATCHES = 12  # a call


def photographs(folder: Path | None) -> list[np.ndarray]:
    """Returns the photographs that the images are cut from.

    Raises:
        SystemExit: Where there are none, saying what to do.
    """
    if folder is None:
        try:
            import skimage
        except ImportError:
            sys.exit("Photographs are needed: `pip install scikit-image`, or --photos=DIR.")
        paths = [Path(skimage.__file__).parent / "data" / name for name in PHOTOS]
    else:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))[:200]
    photos = [cv2.imread(str(path)) for path in paths if path.is_file()]
    photos = [photo for photo in photos if photo is not None]
    if not photos:
        sys.exit(f"No photograph is found: {paths[:5] or folder}. Pass another folder as --photos.")
    return photos


def make_images(photos: list[np.ndarray], folder: Path) -> Dataset:
    """Writes the images in folders of classes; each is another cut, size, side and quality."""
    random = np.random.default_rng(0)
    sizes = []
    for number in range(COUNT):
        photo = photos[number % len(photos)]
        largest = min(photo.shape[0] / HEIGHT, photo.shape[1] / WIDTH)
        scale = largest * random.uniform(0.6, 1)
        height, width = int(HEIGHT * scale), int(WIDTH * scale)
        top = random.integers(photo.shape[0] - height + 1)
        left = random.integers(photo.shape[1] - width + 1)
        cut = photo[top : top + height, left : left + width]
        way = cv2.INTER_CUBIC if scale < 1 else cv2.INTER_AREA
        image = cv2.resize(cut, (WIDTH, HEIGHT), interpolation=way)
        if random.random() < 0.5:
            image = image[:, ::-1]
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(95, 100))]
        content = cv2.imencode(".jpg", image, quality)[1].tobytes()
        path = folder / "train" / f"class_{number % CLASSES}" / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        sizes.append(len(content))
    print(f"{COUNT} images of {WIDTH} x {HEIGHT}, {np.mean(sizes) / 1024:.0f} KiB each on average")
    return image_folder(folder, "train")


def decoding_alone(dataset: Dataset) -> tf.data.Dataset:
    """Reads and decodes crops of the same side; nothing but their sizes goes on."""
    random = np.random.default_rng(1)
    places = random.integers(0, (HEIGHT - CROP_SIDE + 1, WIDTH - CROP_SIDE + 1), (COUNT, 2))
    windows = np.concatenate([places, np.full((COUNT, 2), CROP_SIDE)], axis=1).astype(np.int32)

    def decode(path: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
        image = tf.image.decode_and_crop_jpeg(tf.io.read_file(path), window, channels=3)
        return tf.shape(image)[0]

    return (
        tf.data.Dataset.from_tensor_slices((dataset.source.paths, windows))
        .shuffle(COUNT, seed=1)
        .repeat()
        .map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(BATCH_SIZE)
        .prefetch(tf.data.AUTOTUNE)
    )


def normalise(images: tf.Tensor) -> tf.Tensor:
    """From uint8 to float32 of mean 0 and deviation 1."""
    return (tf.cast(images, tf.float32) - MEAN) * (1 / np.array(DEVIATION, np.float32))


def ours(dataset: Dataset, hiding: str | None = "layer") -> tf.data.Dataset:
    """The trainers' batches, normalised, and hidden in the pipeline, by the layer, or not.

    "copy" copies the batches of uint8 instead: no hiding apart from decoding could cost less.
    """
    layer = HideAndSeek(seed=1)

    # As in a compiled model, normalisation and hiding are one function.
    @tf.function(jit_compile=True)
    def prepare(images: tf.Tensor) -> tf.Tensor:
        images = normalise(images)
        return layer(images, training=True) if hiding == "layer" else images

    batches = training_batches(dataset, BATCH_SIZE, IMAGE_SIZE, RESIZE_SIZE, seed=1)
    if hiding == "pipeline":
        batches = batches.apply(hide_images(fill_value=np.round(MEAN), seed=1))
    elif hiding == "copy":
        batches = batches.map(lambda images, labels: (images + tf.cast(0, tf.uint8), labels))
    return batches.map(lambda images, labels: (prepare(images), labels)).prefetch(2)


def keras_layers(folder: Path) -> tf.data.Dataset:
    """As the user of Keras writes it: files to images of 256, layers in `map`."""
    layers = keras.Sequential(
        [
            keras.layers.RandomCrop(IMAGE_SIZE, IMAGE_SIZE, seed=1),
            keras.layers.RandomFlip("horizontal", seed=1),
            keras.layers.Rescaling(1 / 57.6, offset=-114.5 / 57.6),
            keras.layers.RandomErasing(
                factor=(1.0, 1.0), fill_value=0.0, value_range=(-2.0, 2.5), seed=1
            ),
        ]
    )
    batches = keras.utils.image_dataset_from_directory(
        folder / "train",
        batch_size=BATCH_SIZE,
        image_size=(RESIZE_SIZE, RESIZE_SIZE),
        crop_to_aspect_ratio=True,
        seed=1,
        verbose=False,
    )
    return batches.repeat().map(
        lambda images, labels: (layers(images, training=True), labels),
        num_parallel_calls=tf.data.AUTOTUNE,
    ).prefetch(tf.data.AUTOTUNE)  # fmt: skip


def measure(
    pipelines: Mapping[str, tf.data.Dataset], repeats: int, batches: int = BATCHES
) -> dict[str, np.ndarray]:
    """Returns what `batches` batches of each take, taking turns.

    `interleaved` would count what a pipeline takes to begin; that comes once an epoch at most.
    """
    found: dict[str, list[float]] = {name: [] for name in pipelines}

    def flow(name: str, number: int) -> None:
        iterator = iter(pipelines[name])
        for _ in range(3):
            next(iterator)
        began = time.perf_counter()
        for _ in range(batches):
            next(iterator)
        found[name].append(time.perf_counter() - began)

    def of(name: str) -> Callable[[int], Any]:
        return lambda number: flow(name, number)

    interleaved({name: of(name) for name in pipelines}, repeats, warm_up=1)
    return {name: np.array(seconds[1:]) for name, seconds in found.items()}


def resident_mebibytes() -> float:
    """Returns the memory of this process, or NaN if the system does not report it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def memory_of_epochs(title: str, dataset: Dataset) -> None:
    """Records what is held after each of three epochs of one iterator."""
    iterator = iter(ours(dataset))
    held: dict[str, np.ndarray] = {}
    for epoch in (1, 2, 3):
        for _ in range(COUNT // BATCH_SIZE):
            next(iterator)
        held[f"after epoch {epoch}"] = np.array([resident_mebibytes()])
    if np.isnan(held["after epoch 1"]):
        print(f"{title}: not measured, for there is no /proc/self/status")
        return
    record(
        "input_pipeline", title, held, "after epoch 1", {"after epoch 3": 1.02}, unit="MiB"
    )  # fmt: skip


def main() -> None:
    """Runs all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="folder of photographs, JPEG")
    arguments = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = make_images(photographs(arguments.photos), folder / "images")
        write_tfrecords({"train": files}, folder / "records", num_shards=4)
        records = tfrecords(folder / "records", "train")
        # First, while the process holds nothing that could be given up for something else.
        memory_of_epochs("memory held by the process, folder", files)
        memory_of_epochs("memory held by the process, TFRecords", records)
        images = BATCHES * BATCH_SIZE
        record(
            "input_pipeline",
            "crop, resize, flip, normalise, hide, batch: beside decoding alone",
            measure(
                {
                    "decode_and_crop_jpeg alone": decoding_alone(files),
                    "folder": ours(files),
                    "TFRecords": ours(records),
                    "folder, without hiding": ours(files, None),
                    "folder, uint8 batches without either": training_batches(
                        files, BATCH_SIZE, IMAGE_SIZE, RESIZE_SIZE, seed=1
                    ),
                },
                repeats=5,
            ),
            "decode_and_crop_jpeg alone",
            {"folder": 1.25, "TFRecords": 1.25},
            items=images,
        )
        record(
            "input_pipeline",
            "what hiding adds to the pipeline",
            measure(
                {
                    "without hiding": ours(files, None),
                    "the same again": ours(files, None),
                    "HideAndSeek on the batch": ours(files),
                    "hide_images on batches of uint8": ours(files, "pipeline"),
                    "a copy of the batches of uint8 instead": ours(files, "copy"),
                },
                repeats=9,
            ),
            "without hiding",
            {"HideAndSeek on the batch": 1.02, "hide_images on batches of uint8": 1.02},
            items=images,
        )
        record(
            "input_pipeline",
            "beside image_dataset_from_directory and Keras' layers",
            measure(
                {
                    "image_dataset_from_directory, Keras' layers": keras_layers(folder / "images"),
                    "folder": ours(files),
                    "TFRecords": ours(records),
                },
                repeats=5,
            ),
            "image_dataset_from_directory, Keras' layers",
            {"folder": 0.667, "TFRecords": 0.667},
            items=images,
        )


if __name__ == "__main__":
    main()
