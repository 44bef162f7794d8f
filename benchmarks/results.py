"""What benchmarks found: printed as tables, appended to a CSV, and read back for the plots."""

import csv
import dataclasses
import datetime
import functools
import importlib.metadata
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

# Another file by KERAS_HAS_BENCHMARKS, for trials that are not to be kept.
FILE = Path(os.environ.get("KERAS_HAS_BENCHMARKS", Path(__file__).with_name("results.csv")))
PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python", "numba", "torch", "keras-cv", "jax")
FACTOR = {"s": 1.0, "ms": 1e3, "MiB": 1.0, "": 1.0}


@dataclasses.dataclass(frozen=True)
class Row:
    """One candidate of one comparison.

    Attributes:
        date: Day of the run, ISO 8601, UTC.
        benchmark: The module's name.
        comparison: Title: what was done to what.
        candidate: What did it.
        base: The candidate that ratios refer to.
        unit: Of the median and the quartiles: s, ms, MiB, or none.
        median: Median of the repeats.
        quartile_low: Lower quartile.
        quartile_high: Upper quartile.
        ratio: Median over the rounds of this candidate's value to the base's of the same round.
        ratio_of_minima: Ratio of the smallest values, which bursts of other work disturb least.
        aim: What the ratio should be at most; empty where nothing is asked.
        items: Images (or sequences) in one call, 0 where that makes no sense.
        repeats: Timed calls.
        machine: Processor architecture and number of cores.
        device: What computed: "CPU", or the GPU's name.
        versions: Python and the packages that were used.
    """

    date: str
    benchmark: str
    comparison: str
    candidate: str
    base: str
    unit: str
    median: float
    quartile_low: float
    quartile_high: float
    ratio: float
    ratio_of_minima: float
    aim: float | None
    items: int
    repeats: int
    machine: str
    device: str
    versions: str

    @property
    def is_met(self) -> bool | None:
        """Whether the aim is met; None where there is none."""
        return None if self.aim is None else self.ratio <= self.aim


def record(
    benchmark: str,
    comparison: str,
    values: Mapping[str, np.ndarray],
    base: str,
    aims: Mapping[str, float] | None = None,
    items: int = 0,
    unit: str = "ms",
    file: Path | None = None,
) -> list[Row]:
    """Prints a comparison and appends it to the CSV, a row for each candidate.

    Args:
        benchmark: The module's name.
        comparison: Title: what was done to what.
        values: Seconds of each call (or another quantity, with its `unit`) by candidate, one entry
            a round: `benchmarks.timing.interleaved` gives them.
        base: The candidate that ratios refer to.
        aims: What the ratio of a candidate should be at most.
        items: Images (or sequences) in one call.
        unit: "s", "ms", "MiB" or "": seconds are turned into milliseconds.
        file: The CSV; `benchmarks/results.csv` by default.

    Returns:
        The rows.
    """
    unknown = sorted({base, *(aims or {})} - set(values))
    if unknown:
        raise ValueError(f"{comparison}: no candidate is called {unknown}; there is {list(values)}")
    rows = []
    for candidate, each in values.items():
        low, median, high = (float(v) for v in FACTOR[unit] * np.percentile(each, (25, 50, 75)))
        rows.append(
            Row(
                date=datetime.datetime.now(datetime.UTC).date().isoformat(),
                benchmark=benchmark,
                comparison=comparison,
                candidate=candidate,
                base=base,
                unit=unit,
                median=median,
                quartile_low=low,
                quartile_high=high,
                ratio=float(np.median(each / values[base])),
                ratio_of_minima=float(each.min() / values[base].min()),
                aim=(aims or {}).get(candidate),
                items=items,
                repeats=len(each),
                machine=machine(),
                device=device(),
                versions=versions(),
            )
        )
    print_rows(rows)
    append(rows, FILE if file is None else file)
    return rows


def print_rows(rows: list[Row]) -> None:
    """Prints the rows of one comparison as a table."""
    unit = rows[0].unit
    print(f"\n{rows[0].comparison}; ratios to: {rows[0].base}")
    print(
        f"  {'':<46}{('median ' + unit).strip():>12}{'quartiles':>20}{'ratio':>8}{'of minima':>11}"
        f"{'aim':>16}{'a second' if rows[0].items else '':>10}"
    )
    for row in rows:
        quartiles = f"{row.quartile_low:.2f} to {row.quartile_high:.2f}"
        aim = "" if row.aim is None else f"{row.aim:g} {'met' if row.is_met else 'NOT MET'}"
        rate = f"{row.items * FACTOR[unit] / row.median:.0f}" if row.items else ""
        print(
            f"  {row.candidate:<46}{row.median:>12.2f}{quartiles:>20}{row.ratio:>8.3f}"
            f"{row.ratio_of_minima:>11.3f}{aim:>16}{rate:>10}"
        )
    sys.stdout.flush()


def append(rows: list[Row], file: Path) -> None:
    """Appends rows to a CSV file, which is begun where there is none."""
    is_new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if is_new:
            writer.writerow(field.name for field in dataclasses.fields(Row))
        for row in rows:
            values = dataclasses.asdict(row).values()
            writer.writerow(
                ["" if v is None else f"{v:.5g}" if isinstance(v, float) else v for v in values]
            )


def read(file: Path | None = None) -> list[Row]:
    """Returns all rows of the CSV, oldest first.

    Raises:
        ValueError: Where a line does not hold what `append` writes, with file and line.
    """
    file = FILE if file is None else file
    fields = {field.name: field.type for field in dataclasses.fields(Row)}
    rows = []
    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if list(reader.fieldnames or []) != list(fields):
            raise ValueError(f"{file}:1: should name the columns {', '.join(fields)}")
        for line in reader:
            try:
                rows.append(Row(**{name: _parsed(line[name], fields[name]) for name in fields}))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{file}:{reader.line_num}: {error}") from error
    return rows


def latest(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    """Returns the rows of the last run of each comparison on each device.

    Rows of one run follow one another; the same candidate again begins another run.
    """
    runs: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        key = (row.benchmark, row.comparison, row.device)
        if any(row.candidate == earlier.candidate for earlier in runs.get(key, [])):
            runs[key] = []
        runs.setdefault(key, []).append(row)
    return {
        (benchmark, comparison if place == "CPU" else f"{comparison} ({place})"): found
        for (benchmark, comparison, place), found in runs.items()
    }


def _parsed(text: str, kind: object) -> object:
    if kind == "float | None" or kind == float | None:
        return float(text) if text else None
    if kind in (float, "float"):
        return float(text)
    return int(text) if kind in (int, "int") else text


@functools.cache
def machine() -> str:
    """Returns the processor's architecture and how many cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.machine()}, {cores} cores"


@functools.cache
def device() -> str:
    """Returns "CPU", or the name of the first GPU that TensorFlow or JAX computes on."""
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"))
    if "jax" in sys.modules:
        import jax

        first = jax.devices()[0]
        if first.platform != "cpu":
            return str(first.device_kind)
    return "CPU"


@functools.cache
def versions() -> str:
    """Returns Python's version and those of the packages that matter here and are installed."""
    found = [f"python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return "; ".join(found)
