"""Writes a dataset into a folder of TFRecord files: planning, shards, resuming, checksums."""

from __future__ import annotations

import abc
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from keras_has.atomic_files import SUFFIX, write_atomically
from keras_has.data.dataset import Dataset
from keras_has.data.records.record_layout import (
    DATASET_FILE,
    FOOTER_BYTES,
    HEADER_BYTES,
    IndexField,
    check_arrays,
    classes_digest,
    index_name,
    load_arrays,
    name_damage,
    save_arrays,
    sha256,
    shard_name,
)
from keras_has.json_files import read_json

Progress = Callable[[str, int, int], None]
"""Called with the split, the number of examples done and of all."""

Arrays = dict[str, np.ndarray]

_MISSING = (-1, -1)


class SplitEncoder(abc.ABC):
    """How one split of a kind of dataset becomes records; `write_folder` does the rest.

    Args:
        name: Name of the split.
        dataset: The split.
        num_shards: How many files it is written to.
        fingerprint: A digest of the dataset and of all settings.
        sources: The file that each example is made of, if examples are files.
    """

    # What an example is called in dataset.json and in messages.
    noun: ClassVar[str]
    # Arrays of a finished shard that make up the index, one row or several per example.
    index_fields: ClassVar[Mapping[str, IndexField]]
    # What else is known about a finished shard.
    state_fields: ClassVar[Mapping[str, IndexField]] = {}
    # Whether a finished folder without its index counts as damaged.
    needs_index: ClassVar[bool] = False

    def __init__(
        self,
        name: str,
        dataset: Dataset,
        num_shards: int,
        fingerprint: str,
        sources: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.dataset = dataset
        self.num_shards = num_shards
        self.fingerprint = fingerprint
        self.sources = sources
        self.order = np.arange(len(dataset))

    def rows(self, shard: int) -> np.ndarray:
        """Returns the positions of the examples of a file."""
        start, end = (len(self.order) * at // self.num_shards for at in (shard, shard + 1))
        return self.order[start:end]

    @abc.abstractmethod
    def write_shard(
        self, shard: int, write: Callable[[bytes], int], progress: Callable[[int], None]
    ) -> Arrays:
        """Writes the records of a file.

        Args:
            shard: Its number.
            write: Writes a record, and returns the offset of its content in the file.
            progress: Called with the number of examples done.

        Returns:
            The arrays of `index_fields`, among them "record_offsets" and "record_lengths"; and
            "rows" if not all examples of the file were written.
        """

    @abc.abstractmethod
    def record(self, row: int) -> bytes:
        """Returns the record of one example as it would be written now."""

    def finish_shard(self, arrays: Arrays) -> None:  # noqa: B027 (optional)
        """Looks at what is known about a file that is done."""

    @abc.abstractmethod
    def index(self, arrays: Arrays) -> Arrays:
        """Returns the arrays of the index, given `index_fields` of all files."""

    @abc.abstractmethod
    def summary(self, index: Arrays) -> dict[str, Any]:
        """Returns what dataset.json says about the split."""

    def shard_path(self, folder: Path, shard: int) -> Path:
        """Returns the path of a file."""
        return folder / shard_name(self.name, shard, self.num_shards)

    def state_path(self, folder: Path, shard: int) -> Path:
        """Returns the path of what is known about a file until the whole folder is done."""
        return self.shard_path(folder, shard).with_suffix(".npz")


def check_splits(splits: Mapping[str, Dataset], num_shards: int | None, noun: str) -> None:
    """Raises if splits cannot be written into one folder.

    Args:
        splits: The splits by name.
        num_shards: How many files the largest split is written to, or `None`.
        noun: What an example is called.

    Raises:
        ValueError: If there is no split, a split is empty, a name is invalid, or the classes
            differ.
    """
    if num_shards is not None and not 1 <= num_shards <= 99_999:
        raise ValueError(
            f"`num_shards` should be from 1 to 99999. Received: num_shards={num_shards}"
        )
    if not splits:
        raise ValueError("`splits` should contain at least one split. Received: none.")
    first = next(iter(splits.values()))
    for name, dataset in splits.items():
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise ValueError(
                "The name of a split should consist of letters, digits and underscores. "
                f"Received: {name!r}"
            )
        if not len(dataset):
            raise ValueError(
                f"A split should contain at least one {noun}. Received: none in {dataset.name!r}."
            )
        if (dataset.class_names, dataset.class_ids) != (first.class_names, first.class_ids):
            raise ValueError(
                f"All splits should have the same classes. Received: {len(first.class_names)} in "
                f"{first.name!r}, {len(dataset.class_names)} others in {dataset.name!r}."
            )


def shards_of(splits: Mapping[str, Dataset], num_shards: int) -> dict[str, int]:
    """Returns how many files each split is written to, in proportion to the largest one."""
    largest = max(len(dataset) for dataset in splits.values())
    return {
        name: min(len(dataset), max(1, round(num_shards * len(dataset) / largest)))
        for name, dataset in splits.items()
    }


def write_folder(
    folder: Path,
    encoders: Sequence[SplitEncoder],
    description: Mapping[str, Any],
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Writes all splits, or what is missing of them, and dataset.json at the end.

    A file is renamed to its name when it is complete. An interrupted call is resumed by the same
    call: finished files are kept if they were made from the same dataset with the same settings.

    Args:
        folder: The folder; it is created.
        encoders: One for each split.
        description: What dataset.json says about the whole dataset.
        progress: Called now and then.

    Returns:
        What dataset.json says about each split.

    Raises:
        FileExistsError: If the folder contains something else, another dataset or other settings,
            or if a source file has changed since it was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    splits = _read_finished(folder, encoders)
    if splits is None:
        _check_folder(folder, encoders)
        splits = {encoder.name: _write_split(encoder, folder, progress) for encoder in encoders}
        digest = {"classes_sha256": classes_digest(description)}
        text = json.dumps({**description, **digest, "splits": splits}, indent=1)
        write_atomically(folder / DATASET_FILE, text + "\n")
    for encoder in encoders:  # The index is complete: the states are not needed any more.
        for shard in range(encoder.num_shards):
            encoder.state_path(folder, shard).unlink(missing_ok=True)
    return splits


def _write_split(encoder: SplitEncoder, folder: Path, progress: Progress | None) -> dict[str, Any]:
    """Writes the missing files and the index of a split; returns its entry in dataset.json."""
    states, shards, done = [], [], 0
    for shard in range(encoder.num_shards):
        path = encoder.shard_path(folder, shard)
        with name_damage(str(encoder.state_path(folder, shard)), "Delete it."):
            state = _read_state(encoder, folder, shard)
        if state is None:
            state = _write_shard(encoder, folder, shard, done, progress)
        encoder.finish_shard(state)
        done += len(encoder.rows(shard))
        if progress is not None:
            progress(encoder.name, done, len(encoder.dataset))
        states.append(state)
        shards.append(
            {
                "file": path.name,
                f"num_{encoder.noun}s": len(state["record_offsets"]),
                "bytes": path.stat().st_size,
                "sha256": str(state["sha256"]),
            }
        )
    arrays = {
        name: np.concatenate([state[name] for state in states]) for name in encoder.index_fields
    }
    index = {**encoder.index(arrays), "fingerprint": np.array(encoder.fingerprint)}
    path = folder / index_name(encoder.name)
    save_arrays(path, index)
    return {
        "name": encoder.dataset.name,
        **encoder.summary(index),
        "fingerprint": encoder.fingerprint,
        "shards": shards,
        "index": {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)},
    }


def _write_shard(
    encoder: SplitEncoder, folder: Path, shard: int, done: int, progress: Progress | None
) -> Arrays:
    """Writes one file and what is known about it."""
    import tensorflow as tf

    path = encoder.shard_path(folder, shard)
    partial = path.with_name(path.name + SUFFIX)
    # Before they are read, so that a file that changes in the meantime is noticed.
    states = [file_state(encoder.sources[row]) for row in encoder.rows(shard) if encoder.sources]
    end = 0

    def show(count: int) -> None:
        if progress is not None:
            progress(encoder.name, done + count, len(encoder.dataset))

    with tf.io.TFRecordWriter(str(partial)) as writer:

        def write(record: bytes) -> int:
            nonlocal end
            writer.write(record)
            offset = end + HEADER_BYTES
            end = offset + len(record) + FOOTER_BYTES
            return offset

        state = encoder.write_shard(shard, write, show)
    state["fingerprint"] = np.array(encoder.fingerprint)
    state["source_states"] = np.array(states, np.int64).reshape(-1, 2)
    state["sha256"] = np.array(sha256(partial))
    # The state first: a file without one was written by somebody else and is never overwritten.
    save_arrays(encoder.state_path(folder, shard), state)
    partial.replace(path)
    return state


def _read_state(encoder: SplitEncoder, folder: Path, shard: int) -> Arrays | None:
    """Returns what is known about a finished file, or `None` if it has to be written."""
    path, state_path = encoder.shard_path(folder, shard), encoder.state_path(folder, shard)
    if not (path.exists() and state_path.exists()):
        return None
    state = load_arrays(state_path.read_bytes(), str(state_path))
    if "sha256" not in state:
        raise ValueError(f"{state_path} should contain 'sha256'. Received: {sorted(state)}")
    check_arrays(state, {**encoder.index_fields, **encoder.state_fields}, str(state_path))
    ends = state["record_offsets"] + state["record_lengths"] + FOOTER_BYTES
    if path.stat().st_size != max(ends, default=0):
        return None  # Truncated: it is ours, and is written again.
    if encoder.sources:
        _check_sources(encoder, shard, path, state)
    return state


def _check_sources(encoder: SplitEncoder, shard: int, path: Path, state: Arrays) -> None:
    """Raises if an example of a finished file would be written differently now."""
    rows = encoder.rows(shard).tolist()
    # States of version 0.1 do not contain those of images.
    known = dict(
        zip(rows, map(tuple, state.get("source_states", np.zeros(0)).tolist()), strict=False)
    )
    written = state["rows"].tolist() if "rows" in state else rows
    with path.open("rb") as file:
        for number, row in enumerate(written):
            source = encoder.sources[row]
            found = file_state(source)
            if known.get(row) == found:
                continue
            file.seek(int(state["record_offsets"][number]))
            # Copied again, or another file of that size: the content decides.
            length = int(state["record_lengths"][number])
            if found == _MISSING or file.read(length) != encoder.record(row):
                raise FileExistsError(
                    f"{source} has changed since {path} was written from it. Write to another "
                    f"folder, or delete {path}."
                )


def _read_finished(folder: Path, encoders: Sequence[SplitEncoder]) -> dict[str, Any] | None:
    """Returns the splits of a finished folder, or `None` if it is not finished."""
    path = folder / DATASET_FILE
    if not path.exists():
        return None
    try:
        splits: dict[str, Any] = read_json(path)["splits"]
        fingerprints = {name: entry["fingerprint"] for name, entry in splits.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        splits, fingerprints = {}, {}
    if fingerprints != {encoder.name: encoder.fingerprint for encoder in encoders}:
        raise FileExistsError(
            f"{folder} contains a finished dataset that is not the same, or was written with other "
            "settings. Write to another folder, or delete this one."
        )
    with name_damage(str(path), "Delete the folder and write it again."):
        for encoder in encoders:
            entry = splits[encoder.name]
            for written in [*entry["shards"], *([entry["index"]] if encoder.needs_index else [])]:
                file = folder / written["file"]
                if not file.is_file() or file.stat().st_size != written["bytes"]:
                    raise FileExistsError(
                        f"{path} says that the dataset is finished, but {file} is missing or "
                        "truncated. Copy it again, or delete the folder and write it again."
                    )
    return splits


def _check_folder(folder: Path, encoders: Sequence[SplitEncoder]) -> None:
    """Raises if a folder contains anything but a part of what is to be written to it."""
    expected = {DATASET_FILE + SUFFIX}
    for encoder in encoders:
        expected |= {index_name(encoder.name), index_name(encoder.name) + SUFFIX}
        for shard in range(encoder.num_shards):
            state, path = encoder.state_path(folder, shard), encoder.shard_path(folder, shard)
            expected |= {state.name, state.name + SUFFIX, path.name + SUFFIX}
            if state.exists():
                expected.add(path.name)
                arrays = load_arrays(state.read_bytes(), str(state))
                if str(arrays["fingerprint"]) != encoder.fingerprint:
                    raise FileExistsError(
                        f"{path} belongs to another dataset, or was written with other settings. "
                        "Write to another folder, or delete this one."
                    )
    others = sorted(path.name for path in folder.iterdir() if path.name not in expected)
    if others:
        raise FileExistsError(
            f"{folder} should be empty, or contain a part of this dataset with these settings. "
            f"Received: {others[0]!r} and {len(others) - 1} more. Write to another folder, or "
            "delete this one."
        )


def file_state(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Returns the size of a file in bytes and the time of its last change in nanoseconds.

    Args:
        path: The file.

    Returns:
        -1 and -1 if there is no such file.
    """
    try:
        state = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return _MISSING
    return state.st_size, state.st_mtime_ns
