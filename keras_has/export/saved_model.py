"""A SavedModel and the JSON file beside it that describes the model."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import keras

from keras_has.json_files import read_json

METADATA_FILE = "keras_has.json"

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

    Args:
        archive: The endpoints to write.
        metadata: A dataclass, written as `keras_has.json` into the folder.
        path: Folder to write; an existing one is replaced.
    """
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    archive.write_out(str(temporary), verbose=False)
    text = json.dumps(dataclasses.asdict(metadata), indent=2, ensure_ascii=False)
    (temporary / METADATA_FILE).write_text(text + "\n", encoding="utf-8")
    _replace_folder(temporary, path)


def read_fields(path: str | os.PathLike[str], kind: str, writer: str) -> dict[str, Any]:
    """Reads the metadata beside an exported model of a given kind.

    Args:
        path: Folder of the exported model.
        kind: `"embedding"`, `"image"`, `"segmentation"` or `"temporal"`.
        writer: Name of the function that writes such folders, for error messages.

    Returns:
        The fields, with `"class_names"` as a tuple if the model has classes.

    Raises:
        FileNotFoundError: If there is no metadata.
        ValueError: If the model is of another kind.
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
        if found != "embedding":
            fields["class_names"] = tuple(map(str, fields["class_names"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged ({error}). Export the model again.") from error
    if found != kind:
        raise ValueError(
            f"The model should be a folder written by `{writer}`. Received: {path}, which has "
            f"kind={found!r}. Load it with {_READERS.get(found, 'a newer version of keras-has')}."
        )
    return dict(fields)


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
