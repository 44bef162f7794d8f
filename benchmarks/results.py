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

from benchmarks.timing import Timed

# Another file by KERAS_HAS_BENCHMARKS, for trials that are not to be kept.
FILE = Path(os.environ.get("KERAS_HAS_BENCHMARKS", Path(__file__).with_name("results.csv")))
PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python", "numba", "torch", "keras-cv", "jax")
STARTED = datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes")
FACTOR = {"s": 1.0, "ms": 1e3, "MiB": 1.0, "": 1.0}


@dataclasses.dataclass(frozen=True)
class Row:
    """One candidate of one comparison.

    Attributes:
        date: When the process began, ISO 8601, UTC: the same for all rows of a run.
        benchmark: The module's name.
        comparison: Title: what was done to what.
        candidate: What did it.
        base: The candidate that ratios refer to.
        unit: Of the median and the quartiles: s, ms, MiB, or none.
        median: Median of the repeats.
        quartile_low: Lower quartile.
        quartile_high: Upper quartile.
        ratio: Median over the rounds of this candidate's value to the base's of the same round.
        ratio_low: Lower quartile of the same.
        ratio_high: Upper quartile.
        ratio_of_minima: Ratio of the smallest values, which bursts of other work disturb least.
        aim: What the ratio should be at most; empty where nothing is asked.
        cores: How many cores were busy: processor time by time; None where that is not known.
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
    ratio_low: float
    ratio_high: float
    ratio_of_minima: float
    aim: float | None
    cores: float | None
    items: int
    repeats: int
    machine: str
    device: str
    versions: str

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; `None` without a target."""
        return None if self.aim is None else self.ratio <= self.aim

    @property
    def verdict(self) -> str:
        """Whether the target is met, in words; "" without a target.

        Where the aim lies between the quartiles of the ratio, another run may say otherwise.
        """
        if self.aim is None:
            return ""
        noise = ", within noise" if self.ratio_low < self.aim < self.ratio_high else ""
        return ("met" if self.is_met else "not met") + noise


def record(
    benchmark: str,
    comparison: str,
    values: Mapping[str, Timed | np.ndarray],
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
        values: The timed calls of each candidate, as `benchmarks.timing.interleaved` gives them; or
            an array with one entry a round, of seconds or of another quantity with its `unit`.
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
    of_base = _entries(values[base])
    rows = []
    for candidate, each in values.items():
        entries = _entries(each)
        low, median, high = FACTOR[unit] * np.percentile(entries, (25, 50, 75))
        ratios = np.percentile(entries / of_base, (25, 50, 75))
        cores = None
        if isinstance(each, Timed):
            cores = float(each.processor_seconds.sum() / each.seconds.sum())
        rows.append(
            Row(
                date=STARTED,
                benchmark=benchmark,
                comparison=comparison,
                candidate=candidate,
                base=base,
                unit=unit,
                median=float(median),
                quartile_low=float(low),
                quartile_high=float(high),
                ratio=float(ratios[1]),
                ratio_low=float(ratios[0]),
                ratio_high=float(ratios[2]),
                ratio_of_minima=float(entries.min() / of_base.min()),
                aim=(aims or {}).get(candidate),
                cores=cores,
                items=items,
                repeats=len(entries),
                machine=machine(),
                device=device(),
                versions=versions(),
            )
        )
    print_rows(rows)
    append(rows, FILE if file is None else file)
    return rows


def _entries(values: Timed | np.ndarray) -> np.ndarray:
    return values.seconds if isinstance(values, Timed) else values


def print_rows(rows: list[Row]) -> None:
    """Prints the rows of one comparison as a table."""
    unit = rows[0].unit
    print(f"\n{rows[0].comparison}; ratios to: {rows[0].base}")
    print(
        f"  {'':<46}{('median ' + unit).strip():>12}{'ratio':>9}{'quartiles':>20}"
        f"{'of minima':>11}{'cores':>7}{'a second' if rows[0].items else '':>10}"
    )
    for row in rows:
        quartiles = f"{row.ratio_low:.3f} to {row.ratio_high:.3f}"
        rate = f"{row.items * FACTOR[unit] / row.median:.0f}" if row.items else ""
        cores = "" if row.cores is None else f"{row.cores:.1f}"
        aim = "" if row.aim is None else f"  aim {row.aim:g}: {row.verdict}"
        print(
            f"  {row.candidate:<46}{row.median:>12.2f}{row.ratio:>9.3f}{quartiles:>20}"
            f"{row.ratio_of_minima:>11.3f}{cores:>7}{rate:>10}{aim}"
        )
    sys.stdout.flush()


def append(rows: list[Row], file: Path) -> None:
    """Appends rows to a CSV file, which is created if it does not exist."""
    with file.open("a+", newline="", encoding="utf-8") as stream:
        stream.seek(0)
        content = stream.read()
        if content and not content.endswith("\n"):
            stream.write("\n")  # a run was cut off; `read` names its line
        writer = csv.writer(stream, lineterminator="\n")
        if not content:
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
        reader = csv.reader(stream)
        if next(reader, None) != list(fields):
            raise ValueError(f"{file}:1: should name the columns {', '.join(fields)}")
        for line in reader:
            place = f"{file}:{reader.line_num}"
            if len(line) != len(fields):
                raise ValueError(
                    f"{place}: should hold {len(fields)} values. Received: {len(line)}"
                )
            try:
                values = (
                    _parsed(text, kind) for text, kind in zip(line, fields.values(), strict=True)
                )
                rows.append(Row(*values))
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from error
    return rows


def latest(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    """Returns the comparisons of the last run of each benchmark on each device.

    Returns:
        Rows by benchmark and comparison; the device is added to the name of a comparison that was
        made on another than a CPU.
    """
    last: dict[tuple[str, str], str] = {}
    for row in rows:
        last[row.benchmark, row.device] = max(row.date, last.get((row.benchmark, row.device), ""))
    comparisons: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.date == last[row.benchmark, row.device]:
            if row.device != "CPU":
                row = dataclasses.replace(row, comparison=f"{row.comparison} ({row.device})")
            comparisons.setdefault((row.benchmark, row.comparison), []).append(row)
    return comparisons


def _parsed(text: str, kind: object) -> object:
    if kind == float | None:
        return float(text) if text else None
    if kind is float:
        return float(text)
    return int(text) if kind is int else text


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


def print_machine() -> None:
    """Prints what the figures belong to."""
    print(f"{machine()}; {device()}; {versions()}")
