"""Reads what a folder of TFRecord files says about itself."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.data.records.record_files import RecordFiles, check_file_sizes, is_remote
from keras_has.data.records.record_layout import (
    DATASET_FILE,
    IndexField,
    check_arrays,
    classes_digest,
    decode_texts,
    index_name,
    load_arrays,
    name_damage,
    shard_name,
)
from keras_has.json_files import is_of_type, parse_json

_ADVICE = (
    "Write the dataset with `python -m trainers.prepare --dataset=... --out=DIR`, and pass that "
    "folder."
)
_COPY_ADVICE = "Copy the folder again, or write it again with `python -m trainers.prepare`."
_TYPES = {"class_names": list[str], "splits": dict}
_SPLIT_TYPES = {"name": str, "fingerprint": str, "shards": list[dict]}
_SHARD_TYPES = {"file": str, "bytes": int}


class RecordFolder:
    """A finished folder of TFRecord files, local or on a file system of `tf.io.gfile`.

    Args:
        data_dir: The folder.
        record_format: What dataset.json has to give as its format.
        version: The version of the format.
        types: The types of entries that dataset.json must have besides the usual ones, by name.
        split_types: The same for each of its splits.

    Raises:
        FileNotFoundError: If there is no dataset.json.
        ValueError: If it is damaged, or has another format or version; the message names it.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str],
        record_format: str,
        version: int,
        types: Mapping[str, Any],
        split_types: Mapping[str, Any],
    ) -> None:
        self.path = os.fspath(data_dir)
        path = f"{self.path}/{DATASET_FILE}"
        content = read_file(path)
        if content is None:
            raise FileNotFoundError(f"There is no description of a dataset at {path}. {_ADVICE}")
        try:
            description = parse_json(content, path, object)
        except ValueError as error:
            raise ValueError(f"{error} {_ADVICE}") from error
        if not isinstance(description, dict) or description.get("format") != record_format:
            raise ValueError(f'{path} should have "format": "{record_format}". {_ADVICE}')
        if description.get("version") != version:
            raise ValueError(
                f"{path} should have version {version}. Received: {description.get('version')}; it "
                "was written by another version of this project. Write the dataset again."
            )
        try:
            _check_types(description, {**_TYPES, **types}, DATASET_FILE)
            if not all(description["class_names"]):
                raise ValueError("`class_names` should not contain ''")
            for name, entry in description["splits"].items():
                if not re.fullmatch(r"\w+", name):
                    raise ValueError(f"a split should not be called {name!r:.50}")
                _check_types(entry, {**_SPLIT_TYPES, **split_types}, name)
                for number, shard in enumerate(entry["shards"]):
                    _check_types(shard, _SHARD_TYPES, f"a file of {name}")
                    wanted = shard_name(name, number, len(entry["shards"]))
                    if shard["file"] != wanted or shard["bytes"] < 0:
                        raise ValueError(
                            f"a file of {name} should be {wanted}, with a size, not {shard!r:.100}"
                        )
            # Folders of versions before 0.2 have no such digest.
            if description.get("classes_sha256", "") not in ("", classes_digest(description)):
                raise ValueError(
                    "`class_names` or `class_ids` are not those that the records were written with"
                )
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}. {_ADVICE}") from error
        self.description: dict[str, Any] = description

    def split(self, name: str) -> dict[str, Any]:
        """Returns what dataset.json says about a split.

        Raises:
            ValueError: If there is no such split.
        """
        splits: dict[str, dict[str, Any]] = self.description["splits"]
        if name not in splits:
            raise ValueError(
                f"`split` should be one of those in {self.path}: {', '.join(splits)}. "
                f"Received: split={name!r}"
            )
        return splits[name]

    def shard_paths(self, split: str) -> list[str]:
        """Returns the paths of a split's files.

        Raises:
            FileNotFoundError: If one is missing.
            ValueError: If one has another size than when it was written.
        """
        shards = self.split(split)["shards"]
        paths = [f"{self.path}/{shard['file']}" for shard in shards]
        check_file_sizes(paths, [shard["bytes"] for shard in shards])
        return paths

    def index_path(self, split: str) -> str:
        """Returns the path of the index of a split."""
        return f"{self.path}/{index_name(split)}"

    def read_index(
        self, split: str, fields: Mapping[str, IndexField]
    ) -> dict[str, np.ndarray] | None:
        """Returns the arrays of the index of a split, or `None` if there is no index.

        Raises:
            ValueError: If it is damaged, or belongs to other records.
        """
        path = self.index_path(split)
        content = read_file(path)
        if content is None:
            return None
        index = load_arrays(content, path)
        if str(index["fingerprint"]) != self.split(split)["fingerprint"]:
            raise ValueError(
                f"{path} belongs to other records than those beside it. Copy the folder again, or "
                "write it again with `python -m trainers.prepare`."
            )
        check_arrays(index, fields, path)
        return index

    def check_first_records(
        self,
        split: str,
        index: Mapping[str, np.ndarray],
        ids: str,
        parse: Callable[[bytes], tuple[str, dict[int, str]]],
    ) -> None:
        """Checks that every file begins with the record that the index lists first for it.

        Files of equal size that were exchanged would otherwise give examples the wrong labels.

        Args:
            split: The split.
            index: The arrays of its index.
            ids: The array with the ids.
            parse: From a record to its id, and to the names of its labels.

        Raises:
            ValueError: If a file begins with another record or names another class; the message
                names the file.
        """
        paths = self.shard_paths(split)
        with name_damage(self.index_path(split)):
            sizes = np.array([shard["bytes"] for shard in self.split(split)["shards"]])
            places = [index[name] for name in ("files", "record_offsets", "record_lengths")]
            records = RecordFiles(tuple(paths), sizes, *places)
            files, rows = np.unique(records.files, return_index=True)
            wanted = decode_texts(index[ids][rows]).tolist()
        class_names = dict(enumerate(self.description["class_names"]))
        for file, row, example_id in zip(files.tolist(), rows.tolist(), wanted, strict=True):
            (record,) = records.read([row])
            try:
                found, names = parse(record)
            except Exception as error:  # protobuf raises errors of several kinds.
                raise ValueError(
                    f"{paths[file]} should begin with the record of {example_id!r}. Received: "
                    f"{type(error).__name__}. {_COPY_ADVICE}"
                ) from error
            if found != example_id:
                raise ValueError(
                    f"{paths[file]} should begin with the record of {example_id!r}. Received: that "
                    f"of {found!r}; the file was exchanged with another one. {_COPY_ADVICE}"
                )
            for label, name in names.items():
                if class_names.get(label) != name:
                    raise ValueError(
                        f"{paths[file]} calls class {label} {name!r}, but {DATASET_FILE} calls it "
                        f"{class_names.get(label)!r}. {_COPY_ADVICE}"
                    )


def has_format(data_dir: str | os.PathLike[str], record_format: str) -> bool:
    """Returns whether a folder contains a dataset.json of this format."""
    content = read_file(f"{os.fspath(data_dir)}/{DATASET_FILE}")
    if content is None:
        return False
    try:
        description = parse_json(content, DATASET_FILE)
    except ValueError:
        return False
    return description.get("format") == record_format


def read_file(path: str) -> bytes | None:
    """Returns the content of a file, or `None` if there is no such file."""
    if is_remote(path):
        import tensorflow as tf

        if not tf.io.gfile.exists(path):
            return None
        with tf.io.gfile.GFile(path, "rb") as file:
            content: bytes = file.read()
        return content
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _check_types(entry: Any, expected: Mapping[str, Any], where: str) -> None:
    """Raises if entries of an object are missing or of another type."""
    if not isinstance(entry, dict):
        raise ValueError(f"{where} should be an object, not {entry!r:.50}")
    for key, kind in expected.items():
        if not is_of_type(entry.get(key), kind):
            raise ValueError(
                f"`{key}` of {where} should be of type {getattr(kind, '__name__', kind)}, not "
                f"{entry.get(key)!r:.50}"
            )
