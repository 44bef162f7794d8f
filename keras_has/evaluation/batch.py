"""One batch of examples together with the model's outputs for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


class Batch(Mapping[str, np.ndarray]):
    """NumPy arrays by name, without padding; each is copied from the devices on first access.

    `Inference` makes it. An entry that no evaluator reads is never copied, so that evaluation does
    not move images back from a GPU for nothing.

    Args:
        parts: For each name, the tensors of all replicas, in order.
        is_example: Bool tensors of all replicas: False for rows that are padding.

    Example:

    >>> from keras_has.evaluation import Batch
    >>> replicas = [np.array([3, 1]), np.array([2, 0])]
    >>> batch = Batch({"label": replicas}, [[True, True], [True, False]])
    >>> batch.num_examples, batch["label"].tolist()
    (3, [3, 1, 2])
    """

    def __init__(self, parts: Mapping[str, Any], is_example: Any) -> None:
        self._parts = dict(parts)
        self._arrays: dict[str, np.ndarray] = {}
        self._is_example = _joined(is_example)
        self.num_examples = int(self._is_example.sum())

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            array = _joined(self._parts[name])
            is_whole = self.num_examples == len(self._is_example)
            self._arrays[name] = array if is_whole else array[self._is_example]
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __contains__(self, name: object) -> bool:
        return name in self._parts


def _joined(parts: Any) -> np.ndarray:
    return np.concatenate([np.asarray(part) for part in parts])
