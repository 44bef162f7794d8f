"""Interleaved timing: machines drift, so what is compared takes turns."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def interleaved(
    candidates: Mapping[str, Callable[[int], Any]], repeats: int = 15, warm_up: int = 3
) -> dict[str, np.ndarray]:
    """Calls each candidate in turn, again and again.

    Args:
        candidates: Functions of the number of the call, by name; each has to wait for its result.
        repeats: Timed calls of each.
        warm_up: Calls of each before.

    Returns:
        Seconds of each timed call, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for repeat in range(-warm_up, repeats):
        for name, candidate in candidates.items():
            began = time.perf_counter()
            candidate(repeat + warm_up)
            if repeat >= 0:
                seconds[name].append(time.perf_counter() - began)
    return {name: np.array(values) for name, values in seconds.items()}


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
    import jax

    return jax.jit(function)


def print_machine() -> None:
    """Prints what the figures belong to."""
    from benchmarks.results import device, machine, versions

    print(f"{machine()}; {device()}; {versions()}")
