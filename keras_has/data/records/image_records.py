"""Images in TFRecord files, with the keys that TensorFlow's ImageNet scripts use."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from keras_has.data.bad_images import BadImage, BadImageError, bad_image, decodable_images
from keras_has.data.dataset import Dataset
from keras_has.data.exif_orientation import read_orientation
from keras_has.data.image_decoding import decode_image
from keras_has.data.records.folder_reader import RecordFolder, has_format
from keras_has.data.records.record_files import RecordFiles, is_remote
from keras_has.data.records.record_layout import (
    DATASET_FILE,
    FOOTER_BYTES,
    HEADER_BYTES,
    INTEGER,
    TEXT,
    IndexField,
    decode_texts,
    fingerprint,
    name_damage,
    save_arrays,
    split_rows,
)
from keras_has.data.records.record_writer import (
    Arrays,
    Progress,
    SplitEncoder,
    check_splits,
    shards_of,
    write_folder,
)
from keras_has.data.sources import RecordImages

if TYPE_CHECKING:
    import tensorflow as tf

FORMAT = "keras_has.tfrecords"
VERSION = 1
# One row per image, except for the boxes and masks: those of all images below each other.
INDEX_FIELDS = {
    "rows": INTEGER,
    "labels": INTEGER,
    "image_ids": TEXT,
    "image_sizes": IndexField("iu", (2,)),
    "box_counts": INTEGER,
    "boxes": IndexField("f", (4,), "box_counts"),
    "files": INTEGER,
    "record_offsets": INTEGER,
    "record_lengths": INTEGER,
    "offsets": INTEGER,
    "lengths": INTEGER,
    "mask_counts": INTEGER,
    "mask_paths": IndexField("S", (), "mask_counts"),
    "ignore_paths": TEXT,
}
_IMAGES_PER_SHARD = 2500
_SIGNATURES = (
    (b"\xff\xd8", "jpeg"),
    (b"\x89PNG", "png"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
)


def write_tfrecords(
    splits: Mapping[str, Dataset],
    folder: str | os.PathLike[str],
    num_shards: int | None = None,
    seed: int = 0,
    label_offset: int = 0,
    on_bad_image: str = "error",
    progress: Progress | None = None,
) -> list[BadImage]:
    """Writes the splits of a dataset of images into TFRecord files.

    ```
    dataset.json                         describes the dataset; written last
    train-00000-of-00004.tfrecord ...
    train.index.npz                      labels, boxes and the place of each image
    val-00000-of-00001.tfrecord ...
    ```

    Records are `tf.train.Example`s with the keys of TensorFlow's ImageNet scripts: `image/encoded`,
    `image/format` (detected from the bytes, not from the file's name), `image/height`,
    `image/width`, `image/colorspace`, `image/channels`, `image/filename` (the image id),
    `image/class/label`, `image/class/text`, `image/class/synset` (if the classes have ids),
    `image/object/bbox/xmin`, `xmax`, `ymin`, `ymax` (fractions of width and height) and `label`.
    Two keys are this project's own: `image/row`, the position of the image in the dataset, and
    `image/object/bbox/pixels`, the boxes in pixels as x0, y0, x1, y1, because float32 fractions do
    not restore every box. Images of a dataset that are turned as their EXIF orientation says have
    that orientation in `image/orientation`; height, width and boxes are those of the upright image.
    The bytes of image files are stored unchanged, except that WebP and TIFF
    files and images in memory are stored as PNG. Masks stay in their files, whose paths are stored.

    The images of "train" are shuffled over its files, for programs that read records from front to
    back; other splits keep their order. A file is renamed to its name when it is complete. An
    interrupted call is resumed by the same call: finished files are kept if they were made from the
    same dataset with the same settings. Nothing else in the folder is overwritten.

    Args:
        splits: The splits by name, all with the same classes.
        folder: The folder to write to; it is created.
        num_shards: Number of files of the largest split; others get a proportional number. `None`
            (default) for one file per 2,500 images.
        seed: Integer, for the shuffling.
        label_offset: What is added to the labels, which start at 0, in `image/class/label`: 1 for
            programs that reserve 0 for the background. `tfrecords` subtracts it again.
        on_bad_image: `"error"` (default) stops at the first file that is missing or cannot be
            decoded; `"skip"` leaves such files out and lists them in `dataset.json`.
        progress: Called with the split, the number of images done and of all.

    Returns:
        The images that were left out.

    Raises:
        BadImageError: If a file is missing or cannot be decoded, unless these are skipped.
        FileExistsError: If the folder contains anything else, another dataset or other settings, or
            a file has changed since it was written.
        ValueError: If the splits have different classes or an argument is invalid.

    Example:

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> write_tfrecords({"val": keras_has.data.generated_parts("val", num_images=20)}, folder)
    []
    >>> keras_has.data.tfrecords(folder, "val")["boxes"][3].shape
    (1, 4)
    """
    if on_bad_image not in ("error", "skip"):
        raise ValueError(
            f'`on_bad_image` should be "error" or "skip". Received: on_bad_image={on_bad_image!r}'
        )
    if label_offset < 0:
        raise ValueError(f"`label_offset` should be at least 0. Received: {label_offset}")
    check_splits(splits, num_shards, "image")
    largest = max(len(dataset) for dataset in splits.values())
    counts = shards_of(splits, num_shards or -(-largest // _IMAGES_PER_SHARD))
    encoders = [
        _ImageEncoder(name, dataset, counts[name], seed, label_offset, on_bad_image)
        for name, dataset in splits.items()
    ]
    first = next(iter(splits.values()))
    description = {
        "format": FORMAT,
        "version": VERSION,
        "class_names": list(first.class_names),
        "class_ids": None if first.class_ids is None else list(first.class_ids),
        "label_offset": label_offset,
        "seed": seed,
    }
    entries = write_folder(Path(folder), encoders, description, progress)
    with name_damage(str(Path(folder) / DATASET_FILE)):
        return [BadImage(**bad) for entry in entries.values() for bad in entry["skipped"]]


def is_tfrecords(data_dir: str | os.PathLike[str]) -> bool:
    """Returns whether a folder contains a finished dataset of `write_tfrecords`.

    Args:
        data_dir: A folder, local or on a file system of `tf.io.gfile`.

    Example:

    >>> is_tfrecords("/no/such/folder")
    False
    """
    return has_format(data_dir, FORMAT)


def tfrecords(
    data_dir: str | os.PathLike[str],
    split: str = "train",
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Reads the index of a dataset of images in TFRecord files.

    The images come in the order of the dataset that was written, whatever their order in the files:
    training on the records yields the same batches as training on the image files. Images are read
    from their places in the files (see `RecordFiles`), labels and boxes from the index. If the
    index is missing, it is built from the records, all of which are read for that, and it is kept
    if the folder is writable.

    Args:
        data_dir: The folder that `write_tfrecords` wrote, local or on a file system of
            `tf.io.gfile`, such as `"gs://bucket/imagenet"`.
        split: `"train"` (default), `"val"` or any other split that was written.
        progress: Called with the number of records read and of all, while an index is built.

    Returns:
        A `Dataset`.

    Raises:
        FileNotFoundError: If a file is missing; the message says which, and what to do.
        ValueError: If there is no such split, a file has another size than when it was written, or
            the description or the index is damaged; the message names the file.
    """
    folder = RecordFolder(
        data_dir,
        FORMAT,
        VERSION,
        {"label_offset": int, "class_ids": list[str] | None},
        {"num_images": int, "upright": bool | None},
    )
    description, entry = folder.description, folder.split(split)
    paths = folder.shard_paths(split)
    index = folder.read_index(split, INDEX_FIELDS)
    path, is_built = folder.index_path(split), index is None
    if index is None:
        path = folder.path
        with name_damage(path):
            index = _build_index(paths, description["label_offset"], entry["num_images"], progress)
    if len(index["rows"]) != entry["num_images"]:
        advice = "Copy the folder again." if is_built else "Delete it, and it is rebuilt."
        raise ValueError(
            f"{path} should contain {entry['num_images']} images, according to {DATASET_FILE}. "
            f"Received: {len(index['rows'])}. {advice}"
        )
    sizes = np.array([shard["bytes"] for shard in entry["shards"]])
    masks = index["mask_counts"]
    with name_damage(path):
        records = RecordFiles(
            tuple(paths), sizes, index["files"], index["offsets"], index["lengths"]
        )
        paths_of_masks = split_rows(decode_texts(index["mask_paths"]), masks)
        dataset = Dataset(
            name=entry["name"],
            ids=decode_texts(index["image_ids"]),
            columns={
                "label": index["labels"],
                "boxes": split_rows(index["boxes"], index["box_counts"]),
                "image_size": index["image_sizes"],
                "mask_paths": paths_of_masks if masks.any() else None,
                "ignore_path": decode_texts(index["ignore_paths"]) if masks.any() else None,
            },
            source=RecordImages(records, bool(entry.get("upright"))),
            class_names=tuple(description["class_names"]),
            class_ids=description["class_ids"],
        )
    offset = description["label_offset"]
    folder.check_first_records(split, index, "image_ids", lambda record: _identity(record, offset))
    if is_built:
        _keep_index(folder.index_path(split), index, entry["fingerprint"])
    # In the order of the dataset that was written.
    return dataset.select(np.argsort(index["rows"], kind="stable"))


def _identity(record: bytes, label_offset: int) -> tuple[str, dict[int, str]]:
    """Returns the id of an image from its record, and the name of its label."""
    import tensorflow as tf

    features = tf.train.Example.FromString(record).features.feature
    label = features["image/class/label"].int64_list.value[0] - label_offset
    image_id, name = (
        features[key].bytes_list.value[0].decode() for key in ("image/filename", "image/class/text")
    )
    return image_id, {label: name}


class _ImageEncoder(SplitEncoder):
    noun = "image"
    index_fields = INDEX_FIELDS
    state_fields: ClassVar = {
        "bad_rows": IndexField("iu", counts=None),
        "bad_reasons": IndexField("S", counts=None),
    }

    def __init__(
        self,
        name: str,
        dataset: Dataset,
        num_shards: int,
        seed: int,
        label_offset: int,
        on_bad_image: str,
    ) -> None:
        settings: list[Any] = [FORMAT, VERSION, name, num_shards, seed, label_offset]
        settings += ["upright"] if dataset.image_source.upright else []
        digest = _fingerprint(dataset, settings)
        super().__init__(name, dataset, num_shards, digest, dataset.image_source.files())
        if name == "train":
            self.order = np.random.default_rng(seed).permutation(len(dataset))
        self.label_offset = label_offset
        self.on_bad_image = on_bad_image
        self.skipped: list[BadImage] = []

    def write_shard(
        self, shard: int, write: Callable[[bytes], int], progress: Callable[[int], None]
    ) -> Arrays:
        """Writes the images of a file that can be decoded."""
        entries: dict[str, list[Any]] = {name: [] for name in INDEX_FIELDS}
        bad: list[tuple[int, BadImage]] = []
        rows = self.rows(shard)
        for done, (row, size, content) in enumerate(self._images(rows), start=1):
            if isinstance(content, BadImage):
                if self.on_bad_image == "error":
                    raise BadImageError(content)
                bad.append((row, content))
                continue
            record = self._encode(row, size, content)
            _add_to_index(entries, record, shard, write(record), self.label_offset)
            progress(done)
        arrays = _index_arrays(entries)
        arrays["bad_rows"] = np.array([row for row, _ in bad], np.int64)
        arrays["bad_reasons"] = np.array(
            [f"{image.path}\n{image.reason}".encode() for _, image in bad], np.bytes_
        )
        return arrays

    def _images(self, rows: np.ndarray) -> Iterator[tuple[int, tuple[int, int], bytes | BadImage]]:
        """Yields row, size and content of all images in order; what is wrong with a bad one."""
        done = 0
        for batch in decodable_images(self.dataset, rows, with_content=True):
            for row, size, content in zip(*batch, strict=True):
                while rows[done] != row:
                    yield self._second_try(int(rows[done]))
                    done += 1
                yield int(row), tuple(size.tolist()), content
                done += 1
        for row in rows[done:].tolist():
            yield self._second_try(row)

    def _second_try(self, row: int) -> tuple[int, tuple[int, int], bytes | BadImage]:
        found = bad_image(self.dataset, row)
        if found is not None:
            return row, (0, 0), found
        # It could not be read a moment ago, but now it can.
        return row, *self._decode(row)

    def record(self, row: int) -> bytes:
        """Returns the record of an image as it would be written now."""
        return self._encode(row, *self._decode(row))

    def _decode(self, row: int) -> tuple[tuple[int, int], bytes]:
        """Returns the size of an image and the content of its file."""
        source = self.dataset.image_source
        content = source.encoded_image(row)
        height, width, _ = decode_image(content, source.upright).shape
        return (height, width), content

    def _encode(self, row: int, size: tuple[int, int], content: bytes) -> bytes:
        example = _example(self.dataset, row, size, content, self.label_offset)
        serialized: bytes = example.SerializeToString(deterministic=True)
        return serialized

    def finish_shard(self, arrays: Arrays) -> None:
        """Collects the bad images of a file, or raises if they are an error."""
        found = []
        rows, texts = arrays["bad_rows"].tolist(), decode_texts(arrays["bad_reasons"]).tolist()
        for row, text in zip(rows, texts, strict=True):
            path, _, reason = text.partition("\n")
            found.append(BadImage(str(self.dataset.ids[row]), path, reason))
        if found and self.on_bad_image == "error":
            raise BadImageError(*found)
        self.skipped += found

    def index(self, arrays: Arrays) -> Arrays:
        """Returns the arrays as they are."""
        return arrays

    def summary(self, index: Arrays) -> dict[str, Any]:
        """Returns the numbers of images and boxes, and the images that were left out."""
        return {
            "num_images": len(index["rows"]),
            "num_boxes": len(index["boxes"]),
            "skipped": [dataclasses.asdict(bad) for bad in self.skipped],
            **({"upright": True} if self.dataset.image_source.upright else {}),
        }


def _fingerprint(dataset: Dataset, settings: list[Any]) -> str:
    boxes, counts = dataset.columns["boxes"].flat()
    description = [settings, dataset.name, dataset.class_names, dataset.class_ids]
    content = dataset.image_source.content()
    return fingerprint(
        [
            json.dumps(description).encode(),
            "\n".join(dataset.ids.tolist()).encode(),
            dataset["label"].astype("<i8").tobytes(),
            counts.astype("<i8").tobytes(),
            boxes.astype("<f4").tobytes(),
            *([content] if content else []),
        ]
    )


def _example(
    dataset: Dataset, row: int, size: tuple[int, int], content: bytes, label_offset: int
) -> tf.train.Example:
    import tensorflow as tf

    def texts(*values: str | bytes) -> tf.train.Feature:
        encoded = [value.encode() if isinstance(value, str) else value for value in values]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))

    def integers(*values: int) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def floats(values: np.ndarray) -> tf.train.Feature:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values.tolist()))

    height, width = size
    label = int(dataset["label"][row])
    boxes = dataset["boxes"][row]
    fractions = boxes / np.array([width, height, width, height], np.float32)
    kind = next((kind for start, kind in _SIGNATURES if content.startswith(start)), "unknown")
    features = {
        "image/encoded": texts(content),
        "image/format": texts(kind),
        "image/height": integers(height),
        "image/width": integers(width),
        "image/colorspace": texts("RGB"),
        "image/channels": integers(3),
        "image/filename": texts(str(dataset.ids[row])),
        "image/row": integers(row),
        "image/class/label": integers(label + label_offset),
        "image/class/text": texts(dataset.class_names[label]),
        "image/object/bbox/xmin": floats(fractions[:, 0]),
        "image/object/bbox/ymin": floats(fractions[:, 1]),
        "image/object/bbox/xmax": floats(fractions[:, 2]),
        "image/object/bbox/ymax": floats(fractions[:, 3]),
        "image/object/bbox/label": integers(*[label + label_offset] * len(boxes)),
        "image/object/bbox/pixels": floats(boxes.reshape(-1)),
    }
    if dataset.image_source.upright:
        # Sizes and boxes are those of the upright image, the bytes those of the camera.
        features["image/orientation"] = integers(int(read_orientation(tf.constant(content))))
    if dataset.class_ids is not None:
        features["image/class/synset"] = texts(dataset.class_ids[label])
    if "mask_paths" in dataset and "ignore_path" in dataset:
        features["image/mask/path"] = texts(*dataset["mask_paths"][row])
        features["image/ignore/path"] = texts(str(dataset["ignore_path"][row]))
    return tf.train.Example(features=tf.train.Features(feature=features))


def _build_index(
    paths: list[str],
    label_offset: int,
    num_images: int,
    progress: Callable[[int, int], None] | None,
) -> Arrays:
    """Reads all records, verifying their checksums, and returns the index."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    entries: dict[str, list[Any]] = {name: [] for name in INDEX_FIELDS}
    for number, path in enumerate(paths):
        start = 0
        try:
            for record in tf.data.TFRecordDataset([path]).as_numpy_iterator():
                _add_to_index(entries, record, number, start + HEADER_BYTES, label_offset)
                start += HEADER_BYTES + len(record) + FOOTER_BYTES
                done = len(entries["rows"])
                if progress is not None and (done % 256 == 0 or done == num_images):
                    progress(done, num_images)
        except (tf.errors.OpError, DecodeError, KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"{path} should contain complete records of this project's schema. Received: "
                f"{type(error).__name__} after byte {start}. Copy it again, or write it again with "
                "`python -m trainers.prepare`."
            ) from error
    return _index_arrays(entries)


def _keep_index(path: str, index: Arrays, digest: str) -> None:
    if not is_remote(path):
        try:
            save_arrays(Path(path), {**index, "fingerprint": np.array(digest)})
        except OSError:
            return  # The folder is read-only: the index is built each time.


def _add_to_index(
    entries: dict[str, list[Any]], record: bytes, file: int, offset: int, label_offset: int
) -> None:
    """Adds what a record contains to the lists of an index.

    Args:
        entries: A list for each of `INDEX_FIELDS`.
        record: The record.
        file: Number of its file.
        offset: Where the content of the record begins in the file.
        label_offset: What was added to the label when the record was written.
    """
    import tensorflow as tf

    features = tf.train.Example.FromString(record).features.feature

    def texts(name: str) -> list[bytes]:
        return list(features[name].bytes_list.value)

    def number(name: str) -> int:
        return int(features[name].int64_list.value[0])

    encoded = texts("image/encoded")[0]
    boxes = np.array(features["image/object/bbox/pixels"].float_list.value, np.float32)
    masks = texts("image/mask/path")
    for name, value in (
        ("rows", number("image/row")),
        ("labels", number("image/class/label") - label_offset),
        ("image_ids", texts("image/filename")[0]),
        ("image_sizes", (number("image/height"), number("image/width"))),
        ("box_counts", len(boxes) // 4),
        ("boxes", boxes.reshape(-1, 4)),
        ("files", file),
        ("record_offsets", offset),
        ("record_lengths", len(record)),
        # Wherever these bytes occur first in the record, they are the image.
        ("offsets", offset + record.index(encoded)),
        ("lengths", len(encoded)),
        ("mask_counts", len(masks)),
        ("ignore_paths", (texts("image/ignore/path") or [b""])[0]),
    ):
        entries[name].append(value)
    entries["mask_paths"] += masks


def _index_arrays(entries: Mapping[str, list[Any]]) -> Arrays:
    """Returns the lists of an index as arrays."""
    arrays = {}
    for name, values in entries.items():
        if name == "boxes":
            arrays[name] = np.concatenate([np.zeros((0, 4), np.float32), *values])
        elif name in ("image_ids", "mask_paths", "ignore_paths"):
            arrays[name] = np.array(values, np.bytes_)
        elif name == "image_sizes":
            arrays[name] = np.array(values, np.int64).reshape(-1, 2)
        else:
            arrays[name] = np.array(values, np.int64)
    return arrays
