"""A SavedModel and the JSON file beside it that describes the model."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_has.error_causes import cause_of
from keras_has.json_files import is_of_type, read_json

METADATA_FILE = "keras_has.json"
# The entry of the metadata with the SHA-256 of each file; models of older versions have none.
_CHECKSUMS = "sha256"

# What reads the exported models of each kind. Files of localizers for images name no kind.
_READERS = {
    "embedding": "`keras_has.export.load_embedder`, or with `python -m trainers.search`",
    "image": "`keras_has.export.load_localizer`, or with `python -m trainers.localize`",
    "segmentation": "`keras_has.export.load_segmenter`",
    "temporal": "`keras_has.export.load_temporal_localizer`, or with `python -m trainers.detect`",
}


def write_saved_model(
    archive: keras.export.ExportArchive, metadata: Any, path: str | os.PathLike[str]
) -> None:
    """Writes a SavedModel with its metadata to a temporary folder and renames it.

    The metadata contain a checksum of every file, with which `load_saved_model` finds damage.

    Args:
        archive: The endpoints to write.
        metadata: A dataclass, written as `keras_has.json` into the folder.
        path: Folder to write; an existing one is replaced.
    """
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    archive.write_out(str(temporary), verbose=False)
    content = {**dataclasses.asdict(metadata), _CHECKSUMS: _checksums(temporary)}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (temporary / METADATA_FILE).write_text(text + "\n", encoding="utf-8")
    _replace_folder(temporary, path)


def read_metadata_file(
    path: str | os.PathLike[str], metadata_class: type[Any], kind: str, writer: str
) -> Any:
    """Reads the metadata beside an exported model of a given kind.

    Args:
        path: Folder of the exported model.
        metadata_class: The dataclass of the metadata. Its integers are at least 1, and its
            `threshold`, if it has one, lies in [0, 1).
        kind: `"embedding"`, `"image"`, `"segmentation"` or `"temporal"`.
        writer: Name of the function that writes such folders, for error messages.

    Returns:
        An object of `metadata_class`.

    Raises:
        FileNotFoundError: If there is no metadata.
        ValueError: If they are damaged, or the model is of another kind.
    """
    file = Path(path) / METADATA_FILE
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} is missing. The model should be a folder written by `{writer}`, such as the "
            "`saved_model` of a run directory."
        )
    try:
        fields = read_json(file)
        found = fields.get("kind", "image")
        if found != kind:
            loader = _READERS.get(str(found), "a newer version of keras-has")
            raise ValueError(
                f"The model should be a folder written by `{writer}`. Received: {path}, which has "
                f"kind={found!r}. Load it with {loader}."
            )
        return _metadata_of(fields, metadata_class)
    except _DamageError as error:
        raise ValueError(f"{file} is damaged: {error}. Export the model again.") from error


class _DamageError(Exception):
    """What is wrong with the metadata."""


def _metadata_of(fields: dict[str, Any], metadata_class: type[Any]) -> Any:
    """Returns metadata after checking their types and ranges."""
    fields = {name: value for name, value in fields.items() if name != _CHECKSUMS}
    types = typing.get_type_hints(metadata_class)
    if "kind" not in types:
        fields.pop("kind", None)
    for field in dataclasses.fields(metadata_class):
        if field.name not in fields:
            if field.default is dataclasses.MISSING:
                raise _DamageError(f"`{field.name}` is missing")
            continue
        value = fields[field.name]
        is_sound = is_of_type(value, types[field.name])
        if is_sound and field.name == "threshold":
            is_sound = 0 <= value < 1
        elif is_sound and isinstance(value, int):
            is_sound = value >= 1
        if not is_sound:
            raise _DamageError(f"`{field.name}` should not be {value!r:.50}")
    unknown = sorted(fields.keys() - types.keys())
    if unknown:
        raise _DamageError(f"there is no entry {unknown[0]!r:.50}")
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return metadata_class(**{**fields, **lists})


def load_saved_model(
    path: str | os.PathLike[str], class_names: Sequence[str], signatures: Sequence[str]
) -> Any:
    """Loads an exported model, after comparing its files with their checksums.

    Args:
        path: Folder of the exported model, whose metadata have been read.
        class_names: Those of the metadata; empty if the model has no classes.
        signatures: The signatures that it has to have.

    Returns:
        The SavedModel.

    Raises:
        ValueError: If it is damaged, or of other classes than its metadata say.
    """
    import tensorflow as tf

    folder = Path(path)
    expected = read_json(folder / METADATA_FILE).get(_CHECKSUMS)
    try:
        if expected is not None and expected != _checksums(folder):
            raise ValueError("its files are not those that were written")
        model = tf.saved_model.load(os.fspath(path))
        outputs = [model.signatures[name].structured_outputs for name in signatures]
        for output in outputs:
            classes = output["probabilities"].shape[-1] if "probabilities" in output else None
            if classes not in (None, len(class_names)):
                raise ValueError(f"it has {classes} classes, {METADATA_FILE} {len(class_names)}")
    except Exception as error:  # TensorFlow raises nearly everything for damaged models.
        raise ValueError(
            f"{path} cannot be loaded as a model: {cause_of(error)}. Export it again."
        ) from error
    return model


def _checksums(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of each file of a SavedModel, by its path within the folder."""
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != METADATA_FILE:
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            found[file.relative_to(folder).as_posix()] = digest
    return found


def _replace_folder(new: Path, path: Path) -> None:
    """Renames a folder and replaces an existing one; `path` never holds half a folder."""
    if path.exists():
        old = path.with_name(path.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
        new.rename(path)
        shutil.rmtree(old)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.rename(path)
