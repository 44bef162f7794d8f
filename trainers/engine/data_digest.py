"""What a run was trained on, in a few lines: so that it is not resumed on other data unnoticed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from trainers.engine.run_error import RunError

if TYPE_CHECKING:
    from keras_has.data import Dataset

FILE = "data.json"
# Columns of what is evaluated against, besides the labels.
_TRUTH = ("boxes", "segments", "segment_labels")


def digest(train: Dataset, val: Dataset) -> dict[str, Any]:
    """Returns the class names of the data, and for each split its size and a checksum.

    Args:
        train: The examples to train on.
        val: The examples to evaluate on.
    """
    of_val = _digest_of_split(val)
    if val.class_names != train.class_names:  # people to recognize are not those of training
        of_val["class_names"] = list(val.class_names)
    return {
        "class_names": list(train.class_names),
        "train": _digest_of_split(train),
        "val": of_val,
    }


def _digest_of_split(dataset: Dataset) -> dict[str, Any]:
    """Returns the number of examples, in total and by class, and a checksum of ids and labels."""
    column = next(name for name in ("label", "labels", "label_counts") if name in dataset)
    labels = np.asarray(dataset[column])
    per_class = (
        (labels > 0).sum(0)
        if labels.ndim == 2
        else np.bincount(labels, minlength=len(dataset.class_names))
    )
    checksum = hashlib.sha256()
    for name in dataset.ids.tolist():
        encoded = name.encode("utf-8", "surrogatepass")
        checksum.update(len(encoded).to_bytes(8, "little") + encoded)
    checksum.update(np.ascontiguousarray(labels, "<i8").tobytes())
    truth = hashlib.sha256()
    for name in _TRUTH:
        if name in dataset:
            values, counts = dataset.columns[name].flat()
            for array in (counts, values):
                truth.update(np.ascontiguousarray(array).tobytes())
    return {
        "examples": len(dataset),
        "examples_per_class": per_class.astype(int).tolist(),
        "sha256": checksum.hexdigest(),
        "sha256_of_truth": truth.hexdigest(),
    }


def changes(recorded: Any, current: dict[str, Any], place: str) -> list[str]:
    """Returns in what the examples of two digests differ, one sentence for each split.

    Args:
        recorded: The digest of the run.
        current: The digest of the data as they are now.
        place: Where the run is, for messages.

    Raises:
        RunError: If the classes differ, or `recorded` is no digest.
    """
    try:
        names, splits = recorded["class_names"], {key: recorded[key] for key in ("train", "val")}
        counts = {key: split["examples_per_class"] for key, split in splits.items()}
        checksums = {key: split["sha256"] for key, split in splits.items()}
        of_split = {key: split.get("class_names", names) for key, split in splits.items()}
        is_digest = all(
            isinstance(of_split[key], list)
            and isinstance(count, list)
            and len(count) == len(of_split[key])
            for key, count in counts.items()
        )
    except (AttributeError, KeyError, TypeError):
        is_digest = False
    if not is_digest:
        raise RunError(f"{place}/{FILE} is damaged: delete it to accept the data as they are now.")
    if names != current["class_names"]:
        raise RunError(
            f"{place} was trained on other classes, so its network does not fit the data. "
            f"{_class_difference(names, current['class_names'])} Restore the classes, or choose "
            "another --run_dir."
        )
    return [
        _split_difference(key, splits[key], current[key], of_split[key])
        for key in ("train", "val")
        if checksums[key] != current[key]["sha256"]
    ] + [
        f"{key}: other boxes or segments"
        for key in ("train", "val")
        # Older runs did not record them.
        if splits[key].get("sha256_of_truth", current[key]["sha256_of_truth"])
        != current[key]["sha256_of_truth"]
    ]


def _class_difference(before: list[Any], now: list[str]) -> str:
    """Returns which classes were added and removed, or that their order changed."""
    added = [name for name in now if name not in before]
    removed = [name for name in before if name not in now]
    parts = [
        f"{len(names)} {verb}, such as {names[0]!r}"
        for names, verb in ((added, "added"), (removed, "removed"))
        if names
    ]
    text = " and ".join(parts) if parts else "the same classes in another order"
    return f"Received: {len(now)} classes instead of {len(before)}: {text}."


def _split_difference(
    split: str, before: dict[str, Any], now: dict[str, Any], names: list[str]
) -> str:
    now_names = now.get("class_names", names)
    if len(now_names) != len(names):
        return f"{split}: {len(now_names)} classes instead of {len(names)}"
    pairs = zip(names, before["examples_per_class"], now["examples_per_class"], strict=True)
    changed = [f"{name} {new} instead of {old}" for name, old, new in pairs if old != new]
    if not changed:
        return f"{split}: {now['examples']} examples as before, but with other ids or labels"
    more = f" and {len(changed) - 3} more classes" if len(changed) > 3 else ""
    return (
        f"{split}: {now['examples']} examples instead of {before.get('examples')} "
        f"({', '.join(changed[:3])}{more})"
    )
