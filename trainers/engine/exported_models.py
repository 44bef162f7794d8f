"""Running exported models on image files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.error_causes import cause_of


def run_on_files(
    model: Any, files: Sequence[Path], batch_size: int
) -> Iterator[tuple[Path, dict[str, np.ndarray] | str]]:
    """Yields each file with the outputs of the model, or with the reason it cannot be read.

    Args:
        model: A SavedModel with the signature `encoded` from the content of files to outputs.
        files: Image files in any format that this project reads.
        batch_size: Files per call of the model.
    """
    import tensorflow as tf

    from keras_has.data.image_decoding import to_upright

    encoded = model.signatures["encoded"]

    def results_of(batch: Sequence[Path]) -> list[tuple[Path, dict[str, np.ndarray] | str]]:
        try:
            contents = [to_upright(file.read_bytes()) for file in batch]
            outputs = {k: v.numpy() for k, v in encoded(encoded=tf.constant(contents)).items()}
        except (OSError, ValueError, tf.errors.OpError) as error:
            if len(batch) == 1:
                return [(batch[0], cause_of(error))]
            # One file is broken: process them one by one to find out which.
            return [result for file in batch for result in results_of([file])]
        return [
            (file, {key: value[row] for key, value in outputs.items()})
            for row, file in enumerate(batch)
        ]

    for start in range(0, len(files), batch_size):
        yield from results_of(files[start : start + batch_size])
