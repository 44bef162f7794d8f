"""A folder of record files in the making: what belongs to it, and whether it is done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from keras_has.data.records.tfrecords import DATASET_FILE, index_name


class SplitPlan(Protocol):
    """Which files a split is written to, and what tells its content from others."""

    @property
    def name(self) -> str:
        """Name of the split."""

    @property
    def num_shards(self) -> int:
        """How many files."""

    @property
    def fingerprint(self) -> str:
        """What the content and the settings come to."""

    def shard(self, folder: Path, number: int, /) -> Path:
        """The file of that number."""

    def piece(self, folder: Path, number: int, /) -> Path:
        """What is known of that file while the folder is in the making."""


def read_finished(
    folder: Path,
    plans: Sequence[SplitPlan],
    more_files: Callable[[dict[str, Any]], list[dict[str, Any]]] = lambda told: [],
) -> dict[str, Any] | None:
    """Returns the splits of a data set that is done, or None where there is none.

    Args:
        folder: The folder.
        plans: What is to be written.
        more_files: From what is told of a split to its files beside the shards that have to be
            there.

    Raises:
        FileExistsError: If another data set is there, or a file is missing or cut off.
    """
    path = folder / DATASET_FILE
    if not path.exists():
        return None
    try:
        splits: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["splits"]
        same = {name: told["fingerprint"] for name, told in splits.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        splits, same = {}, {}
    if same != {plan.name: plan.fingerprint for plan in plans}:
        raise FileExistsError(
            f"{folder} holds a finished data set that is another one, or was written under other "
            "settings. Write to another folder, or delete this one."
        )
    for told in splits.values():
        for shard in [*told["shards"], *more_files(told)]:
            file = folder / shard["file"]
            if not file.is_file() or file.stat().st_size != shard["bytes"]:
                raise FileExistsError(
                    f"{path} says that the data set is finished, but {file} is not there or was "
                    "cut off. Copy it again, or delete the folder and write it again."
                )
    return splits


def check_folder(
    folder: Path, plans: Sequence[SplitPlan], fingerprint_of: Callable[[Path], str]
) -> None:
    """Raises where a folder holds anything but a part of what is to be written to it.

    Args:
        folder: The folder.
        plans: What is to be written.
        fingerprint_of: From a piece to the fingerprint in it.

    Raises:
        FileExistsError: If something else is there.
    """
    expected = {DATASET_FILE + ".partial"}
    for plan in plans:
        expected |= {index_name(plan.name), index_name(plan.name) + ".partial"}
        for number in range(plan.num_shards):
            piece, file = plan.piece(folder, number), plan.shard(folder, number)
            expected |= {piece.name, piece.name + ".partial", file.name + ".partial"}
            if piece.exists():
                expected.add(file.name)
                if fingerprint_of(piece) != plan.fingerprint:
                    raise FileExistsError(
                        f"{file} should be a part of this data set under these settings. Received: "
                        "that of another one. Write to another folder, or delete this one."
                    )
    others = sorted(path.name for path in folder.iterdir() if path.name not in expected)
    if others:
        raise FileExistsError(
            f"{folder} should be empty, or hold a part of this data set under these settings. "
            f"Received: {others[0]!r} and {len(others) - 1} more. Write to another folder, or "
            "delete this one."
        )


def file_state(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Returns size and time of the last change of a file, by which another one is told from it.

    Args:
        path: The file.

    Returns:
        Bytes, and nanoseconds; -1 and -1 where there is no such file.
    """
    try:
        state = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return -1, -1
    return state.st_size, state.st_mtime_ns
