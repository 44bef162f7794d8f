"""Interleaved timing: machines drift, so what is compared takes turns."""

import platform
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


def print_table(title: str, seconds: Mapping[str, np.ndarray], base: str, unit: str = "ms") -> None:
    """Prints median and quartiles, and two ratios to `base`: of calls side by side, of minima."""
    print(f"\n{title}")
    print(f"  {'':<44}{'median ' + unit:>12}{'quartiles':>20}{'ratio':>8}{'of minima':>11}")
    for name, values in seconds.items():
        low, median, high = 1e3 * np.percentile(values, (25, 50, 75))
        ratio = np.median(values / seconds[base])
        of_minima = values.min() / seconds[base].min()
        quartiles = f"{low:.2f} to {high:.2f}"
        print(f"  {name:<44}{median:>12.2f}{quartiles:>20}{ratio:>8.2f}{of_minima:>11.2f}")


def print_machine() -> None:
    """Prints what the figures belong to."""
    import os

    import keras
    import tensorflow as tf

    print(
        f"{platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}, NumPy {np.__version__}"
    )
