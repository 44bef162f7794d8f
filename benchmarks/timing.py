"""Interleaved timing: machines drift, so what is compared takes turns."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Timed:
    """The timed calls of one candidate.

    Attributes:
        seconds: Of each call.
        processor_seconds: Of each call, summed over the cores of this process.
    """

    seconds: np.ndarray
    processor_seconds: np.ndarray


def interleaved(
    candidates: Mapping[str, Callable[[int], Any]], repeats: int = 15, warm_up: int = 3
) -> dict[str, Timed]:
    """Calls each candidate in turn, again and again.

    Args:
        candidates: Functions of the number of the call, by name; each has to wait for its result.
        repeats: Timed calls of each.
        warm_up: Calls of each before.

    Returns:
        The timed calls by name.
    """
    clocks: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    for repeat in range(-warm_up, repeats):
        for name, candidate in candidates.items():
            began = time.perf_counter(), time.process_time()
            candidate(repeat + warm_up)
            if repeat >= 0:
                clocks[name].append(
                    (time.perf_counter() - began[0], time.process_time() - began[1])
                )
    return {name: Timed(*np.array(each).T) for name, each in clocks.items()}


def compiled(function: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """Returns a function as one of the modes runs it, on the backend that Keras uses.

    Args:
        function: Of tensors.
        mode: "eager", "graph" (TensorFlow only) or "XLA".
    """
    import keras

    if mode == "eager":
        return function
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=mode == "XLA")
    if keras.backend.backend() != "jax":
        raise SystemExit(f"Keras runs on {keras.backend.backend()}: take tensorflow or jax.")
    import jax

    return jax.jit(function)
