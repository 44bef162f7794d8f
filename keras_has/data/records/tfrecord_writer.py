"""Writing a data set into TFRecord files, in the schema that TensorFlow's ImageNet scripts use."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_has.data.bad_images import BadImage, BadImageError, bad_image, decodable_images
from keras_has.data.dataset import Dataset
from keras_has.data.image_decoding import decode_image
from keras_has.data.records.record_folder import check_folder, file_state, read_finished
from keras_has.data.records.tfrecords import (
    DATASET_FILE,
    FOOTER_BYTES,
    FORMAT,
    HEADER_BYTES,
    INDEX_FIELDS,
    VERSION,
    add_to_index,
    index_arrays,
    index_name,
    load_index,
    save_index,
    sha256,
    shard_name,
)

if TYPE_CHECKING:
    import tensorflow as tf

_IMAGES_PER_SHARD = 2500
_BEGINNINGS = (
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
    progress: Callable[[str, int, int], None] | None = None,
) -> list[BadImage]:
    """Writes the splits of a data set into TFRecord files.

    ```
    dataset.json                         what the data set is; written last
    train-00000-of-00004.tfrecord ...
    train.index.npz                      labels, boxes and the place of each image
    val-00000-of-00001.tfrecord ...
    ```

    Records are `tf.train.Example`s with the keys of TensorFlow's ImageNet scripts: `image/encoded`,
    `image/format` (what the bytes are, not what the file was called), `image/height`,
    `image/width`, `image/colorspace`, `image/channels`, `image/filename` (the image id),
    `image/class/label`, `image/class/text`, `image/class/synset` (where the classes have ids),
    `image/object/bbox/xmin`, `xmax`, `ymin`, `ymax` (fractions of width and height) and `label`.
    This project's own are `image/row`, the image's position in the data set, and
    `image/object/bbox/pixels`, the boxes as they are, x0, y0, x1, y1 each: fractions in float32 do
    not give every box back. The bytes of image files are stored as they are; images in memory
    become PNG. Masks stay files, whose paths are kept.

    The images of "train" are shuffled over its files, for those who read the records from front to
    back; other splits keep their order. A file is written aside and renamed when it is whole. What
    is interrupted can be started again: files that are done are kept, if they are of the same data
    set under the same settings. Nothing else that lies in the folder is overwritten.

    Args:
        splits: The splits by name, all of the same classes.
        folder: Where to write; made where it is not there.
        num_shards: How many files the largest split is to have; others have as many in proportion.
            `None` (default) for one for every 2,500 images.
        seed: Integer, of the shuffling.
        label_offset: What to add to the labels, which count from 0, in `image/class/label`: 1 for
            those programs that keep 0 for the background. It is recorded, and `tfrecords` takes it
            off again.
        on_bad_image: `"error"` (default) stops at the first file that is missing or cannot be
            decoded; `"skip"` leaves such files out, and names them in `dataset.json`.
        progress: Called with the split, the number of images done and of all.

    Returns:
        The images that were left out.

    Raises:
        BadImageError: If a file is missing or cannot be decoded, unless these are skipped.
        FileExistsError: If the folder holds anything else, another data set or other settings.
        ValueError: If the splits have different classes or an argument is wrong.

    Example:

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> write_tfrecords({"val": keras_has.data.generated_parts("val", num_images=20)}, folder)
    []
    >>> keras_has.data.tfrecords(folder, "val").boxes[3].shape
    (1, 4)
    """
    _check_arguments(splits, num_shards, label_offset, on_bad_image)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    largest = max(len(dataset) for dataset in splits.values())
    wanted = num_shards or -(-largest // _IMAGES_PER_SHARD)
    plans = [
        _Plan.make(
            name, dataset, max(1, round(wanted * len(dataset) / largest)), seed, label_offset
        )
        for name, dataset in splits.items()
    ]
    finished = read_finished(folder, plans)
    if finished is None:
        check_folder(
            folder,
            plans,
            lambda piece: str(load_index(piece.read_bytes(), str(piece))["fingerprint"]),
        )
        finished = {
            plan.name: _write_split(plan, folder, label_offset, on_bad_image, progress)
            for plan in plans
        }
        first = next(iter(splits.values()))
        description = {
            "format": FORMAT,
            "version": VERSION,
            "class_names": list(first.class_names),
            "class_ids": None if first.class_ids is None else list(first.class_ids),
            "label_offset": label_offset,
            "seed": seed,
            "splits": finished,
        }
        _write_text(folder / DATASET_FILE, json.dumps(description, indent=1) + "\n")
    for plan in plans:  # The index is whole: its pieces are not needed any more.
        for shard in range(plan.num_shards):
            plan.piece(folder, shard).unlink(missing_ok=True)
    return [
        BadImage(bad["image_id"], bad["path"], bad["reason"])
        for told in finished.values()
        for bad in told["skipped"]
    ]


@dataclasses.dataclass(frozen=True)
class _Plan:
    """Which image of a split goes into which of its files."""

    name: str
    dataset: Dataset
    order: np.ndarray
    num_shards: int
    fingerprint: str

    @classmethod
    def make(
        cls, name: str, dataset: Dataset, num_shards: int, seed: int, label_offset: int
    ) -> _Plan:
        num_shards = min(num_shards, len(dataset))
        order = np.arange(len(dataset))
        if name == "train":
            order = np.random.default_rng(seed).permutation(len(dataset))
        settings = [FORMAT, VERSION, name, num_shards, seed, label_offset]
        return cls(name, dataset, order, num_shards, _fingerprint(dataset, settings))

    def rows(self, shard: int) -> np.ndarray:
        start, end = (len(self.order) * at // self.num_shards for at in (shard, shard + 1))
        return self.order[start:end]

    def shard(self, folder: Path, shard: int) -> Path:
        return folder / shard_name(self.name, shard, self.num_shards)

    def piece(self, folder: Path, shard: int) -> Path:
        return self.shard(folder, shard).with_suffix(".npz")


def _check_arguments(
    splits: Mapping[str, Dataset], num_shards: int | None, label_offset: int, on_bad_image: str
) -> None:
    if on_bad_image not in ("error", "skip"):
        raise ValueError(
            f'`on_bad_image` should be "error" or "skip". Received: on_bad_image={on_bad_image!r}'
        )
    if num_shards is not None and not 1 <= num_shards <= 99_999:
        raise ValueError(
            f"`num_shards` should be from 1 to 99999. Received: num_shards={num_shards}"
        )
    if label_offset < 0:
        raise ValueError(f"`label_offset` should be at least 0. Received: {label_offset}")
    if not splits:
        raise ValueError("`splits` should hold at least one split. Received: none.")
    first = next(iter(splits.values()))
    for name, dataset in splits.items():
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise ValueError(
                f"A split's name should be letters, digits and underscores. Received: {name!r}"
            )
        if not len(dataset):
            raise ValueError(f"A split should hold an image. Received: none in {dataset.name!r}.")
        if (dataset.class_names, dataset.class_ids) != (first.class_names, first.class_ids):
            raise ValueError(
                f"All splits should have the same classes. Received: {len(first.class_names)} in "
                f"{first.name!r}, {len(dataset.class_names)} others in {dataset.name!r}."
            )


def _fingerprint(dataset: Dataset, settings: list[Any]) -> str:
    """Returns what tells this data set and these settings from others."""
    digest = hashlib.sha256()

    def add(part: bytes) -> None:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)

    flat = np.concatenate([np.zeros((0, 4), np.float32), *dataset.boxes])
    counts = np.array([len(boxes) for boxes in dataset.boxes], "<i8")
    add(json.dumps([settings, dataset.name, dataset.class_names, dataset.class_ids]).encode())
    add("\n".join(dataset.image_ids.tolist()).encode())
    for array in (dataset.labels.astype("<i8"), counts, flat.astype("<f4")):
        add(array.tobytes())
    content = dataset.image_source.content()
    if content:
        add(content)
    return digest.hexdigest()


def _write_split(
    plan: _Plan,
    folder: Path,
    label_offset: int,
    on_bad_image: str,
    progress: Callable[[str, int, int], None] | None,
) -> dict[str, Any]:
    """Writes the files of a split that are not done yet and its index; returns what it holds."""
    pieces = []
    shards = []
    skipped: list[BadImage] = []
    done = 0
    for number in range(plan.num_shards):
        file = plan.shard(folder, number)
        subset = plan.dataset.select(plan.rows(number))
        piece = _read_piece(plan, folder, number, subset)
        if piece is None:

            def show(count: int, before: int = done) -> None:
                if progress is not None:
                    progress(plan.name, before + count, len(plan.dataset))

            # Before they are read: what changes meanwhile is found to have changed.
            sources = subset.image_source.files()
            times = [file_state(path)[1] for path in sources]
            writer = _ShardWriter(subset, plan.rows(number), number, label_offset)
            piece = {
                **writer.write(file, on_bad_image, show),
                "fingerprint": np.array(plan.fingerprint),
                "source_times": np.array(times, np.int64),
                "sha256": np.array(sha256(file.with_name(file.name + ".partial"))),
            }
            # The piece first: a file without one is somebody else's, and never overwritten.
            save_index(plan.piece(folder, number), piece)
            file.with_name(file.name + ".partial").replace(file)
        bad_images = _bad_images(plan.dataset, piece)
        if bad_images and on_bad_image == "error":
            raise BadImageError(*bad_images)
        skipped += bad_images
        done += len(subset)
        if progress is not None:
            progress(plan.name, done, len(plan.dataset))
        pieces.append(piece)
        shards.append(
            {
                "file": file.name,
                "num_images": len(piece["rows"]),
                "bytes": file.stat().st_size,
                "sha256": str(piece["sha256"]),
            }
        )
    index = {name: np.concatenate([piece[name] for piece in pieces]) for name in INDEX_FIELDS}
    index["fingerprint"] = np.array(plan.fingerprint)
    path = folder / index_name(plan.name)
    save_index(path, index)
    return {
        "name": plan.dataset.name,
        "num_images": len(index["rows"]),
        "num_boxes": len(index["boxes"]),
        "skipped": [dataclasses.asdict(bad) for bad in skipped],
        "fingerprint": plan.fingerprint,
        "shards": shards,
        "index": {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)},
    }


def _read_piece(
    plan: _Plan, folder: Path, number: int, subset: Dataset
) -> dict[str, np.ndarray] | None:
    """Returns the index of a file that is done, `None` where it is not."""
    file, path = plan.shard(folder, number), plan.piece(folder, number)
    if not (path.exists() and file.exists()):
        return None
    piece = load_index(path.read_bytes(), str(path))
    ends = piece["record_offsets"] + piece["record_lengths"] + FOOTER_BYTES
    if file.stat().st_size != max(ends, default=0):
        return None  # Cut off: it is ours, and written again.
    sources = subset.image_source.files()
    if len(sources):
        places = zip(piece["offsets"].tolist(), piece["lengths"].tolist(), strict=True)
        place_of = dict(zip(piece["rows"].tolist(), places, strict=True))
        rows = plan.rows(number).tolist()
        # Pieces of former versions of this project have no times: there the size decides.
        times = piece["source_times"].tolist() if "source_times" in piece else [None] * len(rows)
        for row, source, time in zip(rows, sources, times, strict=True):
            if row in place_of and not _is_unchanged(source, time, file, *place_of[row]):
                raise FileExistsError(
                    f"{file} was written from another file than {source} is now. Write to another "
                    f"folder, or delete {file}."
                )
    return piece


def _is_unchanged(source: str, time: int | None, shard: Path, offset: int, length: int) -> bool:
    """Tells whether an image file is what was written from byte `offset` of a shard on."""
    size, changed = file_state(source)
    if size != length or time in (None, changed):
        return size == length
    # Copied anew, or another file of that size: its content tells.
    with shard.open("rb") as file:
        file.seek(offset)
        return file.read(length) == Path(source).read_bytes()


def _bad_images(dataset: Dataset, piece: Mapping[str, np.ndarray]) -> list[BadImage]:
    found = []
    for row, told in zip(piece["bad_rows"].tolist(), piece["bad_reasons"].tolist(), strict=True):
        path, _, reason = told.decode("utf-8").partition("\n")
        found.append(BadImage(str(dataset.image_ids[row]), path, reason))
    return found


class _ShardWriter:
    """Writes one file.

    Args:
        dataset: The images of the file.
        rows: Their positions in the whole split.
        number: The number of the file.
        label_offset: What to add to the labels.
    """

    def __init__(self, dataset: Dataset, rows: np.ndarray, number: int, label_offset: int) -> None:
        self.dataset = dataset
        self.rows = rows
        self.number = number
        self.label_offset = label_offset
        self.start = 0
        self.entries: dict[str, list[Any]] = {name: [] for name in INDEX_FIELDS}

    def write(
        self, file: Path, on_bad_image: str, show: Callable[[int], None]
    ) -> dict[str, np.ndarray]:
        """Writes the file aside, to `file` with ".partial" behind it; returns its index."""
        import tensorflow as tf

        bad: list[tuple[int, BadImage]] = []
        with tf.io.TFRecordWriter(str(file.with_name(file.name + ".partial"))) as writer:
            seen = 0
            for row, size, content in self._images():
                for missed in range(seen, row):
                    self._try_again(missed, writer, bad, on_bad_image)
                self._add(row, size, content, writer)
                seen = row + 1
                show(seen)
            for missed in range(seen, len(self.dataset)):
                self._try_again(missed, writer, bad, on_bad_image)
        index = index_arrays(self.entries)
        index["bad_rows"] = np.array([self.rows[row] for row, _ in bad], np.int64)
        index["bad_reasons"] = np.array(
            [f"{found.path}\n{found.reason}".encode() for _, found in bad], np.bytes_
        )
        return index

    def _images(self) -> Iterator[tuple[int, tuple[int, int], bytes]]:
        """Yields position, size and content of the images that can be decoded, in order."""
        rows = np.arange(len(self.dataset))
        for lot in decodable_images(self.dataset, rows, with_content=True):
            for row, size, content in zip(*lot, strict=True):
                yield int(row), tuple(size.tolist()), content

    def _try_again(
        self,
        row: int,
        writer: tf.io.TFRecordWriter,
        bad: list[tuple[int, BadImage]],
        on_bad_image: str,
    ) -> None:
        found = bad_image(self.dataset, row)
        if found is None:  # It could not be read a moment ago, and can be now.
            content = self.dataset.image_source.encoded_image(row)
            height, width, _ = decode_image(content).shape
            self._add(row, (height, width), content, writer)
        elif on_bad_image == "error":
            raise BadImageError(found)
        else:
            bad.append((row, found))

    def _add(
        self, row: int, size: tuple[int, int], content: bytes, writer: tf.io.TFRecordWriter
    ) -> None:
        example = _example(self.dataset, row, int(self.rows[row]), size, content, self.label_offset)
        serialized = example.SerializeToString(deterministic=True)
        writer.write(serialized)
        add_to_index(self.entries, serialized, self.number, self.start, self.label_offset)
        self.start += HEADER_BYTES + len(serialized) + FOOTER_BYTES


def _example(
    dataset: Dataset,
    row: int,
    row_in_split: int,
    size: tuple[int, int],
    content: bytes,
    label_offset: int,
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
    label = int(dataset.labels[row])
    boxes = dataset.boxes[row]
    fractions = boxes / np.array([width, height, width, height], np.float32)
    kind = next((kind for start, kind in _BEGINNINGS if content.startswith(start)), "unknown")
    features = {
        "image/encoded": texts(content),
        "image/format": texts(kind),
        "image/height": integers(height),
        "image/width": integers(width),
        "image/colorspace": texts("RGB"),
        "image/channels": integers(3),
        "image/filename": texts(str(dataset.image_ids[row])),
        "image/row": integers(row_in_split),
        "image/class/label": integers(label + label_offset),
        "image/class/text": texts(dataset.class_names[label]),
        "image/object/bbox/xmin": floats(fractions[:, 0]),
        "image/object/bbox/ymin": floats(fractions[:, 1]),
        "image/object/bbox/xmax": floats(fractions[:, 2]),
        "image/object/bbox/ymax": floats(fractions[:, 3]),
        "image/object/bbox/label": integers(*[label + label_offset] * len(boxes)),
        "image/object/bbox/pixels": floats(boxes.reshape(-1)),
    }
    if dataset.class_ids is not None:
        features["image/class/synset"] = texts(dataset.class_ids[label])
    if "mask_paths" in dataset and "ignore_path" in dataset:
        features["image/mask/path"] = texts(*dataset["mask_paths"][row])
        features["image/ignore/path"] = texts(str(dataset["ignore_path"][row]))
    return tf.train.Example(features=tf.train.Features(feature=features))


def _write_text(path: Path, text: str) -> None:
    aside = path.with_name(path.name + ".partial")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
