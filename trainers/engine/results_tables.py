"""Tables that compare runs: mean and spread over the seeds, and differences paired by seed."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Results = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""Results of runs by row (a recipe, or a row of a table) and seed."""
Columns = Sequence[tuple[str, str]]
"""Keys of results, and their titles."""


def mean_and_spread(values: np.ndarray, signed: bool = False) -> str:
    """Returns "mean ± standard deviation" with one decimal, or "-" if a value is missing.

    Args:
        values: One value per seed.
        signed: Whether to write the sign of a positive mean.

    Example:

    >>> mean_and_spread([50.0, 54.0])
    '52.0 ± 2.8'
    """
    values = np.asarray(values, "float64")
    if len(values) == 0 or not np.isfinite(values).all():
        return "-"
    mean = f"{values.mean():+.1f}" if signed else f"{values.mean():.1f}"
    return f"{mean} ± {values.std(ddof=1):.1f}" if len(values) > 1 else mean


def table_cells(
    results: Results,
    columns: Columns,
    bases: Mapping[str, str],
    heading: str = "row",
    published: Mapping[str, Mapping[str, float]] | None = None,
    published_columns: Columns = (),
    baseline: tuple[str, Mapping[str, str]] | None = None,
) -> list[list[str]]:
    """Returns a table in percent: headings, measured figures, and differences to other rows.

    Args:
        results: Fractions by row, seed and key.
        columns: The keys and titles of columns that show measured figures only.
        bases: For each row that is compared, the row that it is compared to.
        heading: Title of the first column.
        published: The published figures of each row, in percent, by key.
        published_columns: The keys and titles of columns with the published figure next to the
            measured one; they come first.
        baseline: Title of a row that needs no network, and the keys of its figures in any run's
            results, by the keys of `published_columns`; or `None`.

    Returns:
        Rows of cells; the last column is the number of seeds.
    """
    published = published or {}
    headings = [heading]
    for _, title in published_columns:
        headings += [title, "published"]
    cells = [[*headings, *(title for _, title in columns), "seeds"]]
    for row, runs in results.items():
        line = [row]
        for key, _ in published_columns:
            line += [mean_and_spread(_percent(runs, key)), _number(published[row].get(key))]
        line += [mean_and_spread(_percent(runs, key)) for key, _ in columns]
        cells.append([*line, str(len(runs))])
    any_run = next((run for runs in results.values() for run in runs.values()), None)
    if baseline is not None and any_run is not None:
        line = [baseline[0]]
        for key, _ in published_columns:
            value = any_run.get(baseline[1][key], np.nan)
            line += [mean_and_spread(100 * np.array([value])), "-"]
        cells.append([*line, *("-" for _ in columns), "-"])
    for row in results:
        if row not in bases:
            continue
        base = bases[row]
        seeds = sorted(results[row].keys() & results[base].keys())
        line = [f"{row} - {base}"]
        for key, _ in published_columns:
            both = published[row].get(key), published[base].get(key)
            difference = None if None in both else both[0] - both[1]
            line += [_difference(results, row, base, seeds, key), _number(difference, signed=True)]
        line += [_difference(results, row, base, seeds, key) for key, _ in columns]
        cells.append([*line, str(len(seeds))])
    return cells


def as_markdown(cells: Sequence[Sequence[str]]) -> str:
    """Returns cells as a Markdown table."""
    lines = ["| " + " | ".join(line) + " |" for line in cells]
    return "\n".join([lines[0], "|---" * len(cells[0]) + "|", *lines[1:]]) + "\n"


def as_text(cells: Sequence[Sequence[str]]) -> str:
    """Returns cells in aligned columns."""
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def as_csv(
    results: Results,
    keys: Sequence[str],
    heading: str = "row",
    published: Mapping[str, Mapping[str, float]] | None = None,
    published_columns: Columns = (),
) -> str:
    """Returns one line per run, with unrounded fractions.

    Args:
        results: Results by row, seed and key.
        keys: The keys to write; missing ones are left empty.
        heading: Title of the first column.
        published: The published figures of each row, in percent, by key.
        published_columns: The keys of the published figures to write, as fractions.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = [key for key, _ in published_columns]
    writer.writerow([heading, "seed", *keys, *(f"published_{name}" for name in names)])
    for row, runs in results.items():
        figures = [(published or {})[row].get(name) for name in names]
        fractions = ["" if figure is None else figure / 100 for figure in figures]
        for seed, run in sorted(runs.items()):
            writer.writerow([row, seed, *(run.get(key, "") for key in keys), *fractions])
    return file.getvalue()


def _percent(runs: Mapping[int, Mapping[str, Any]], key: str) -> np.ndarray:
    return 100 * np.array([run.get(key, np.nan) for _, run in sorted(runs.items())], "float64")


def _difference(results: Results, row: str, base: str, seeds: Sequence[int], key: str) -> str:
    values, base_values = (
        _percent({seed: results[name][seed] for seed in seeds}, key) for name in (row, base)
    )
    return mean_and_spread(values - base_values, signed=True)


def _number(value: float | None, signed: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+.2f}" if signed else f"{value:.2f}"
