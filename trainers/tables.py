r"""Lays measured figures beside the published ones, a table of the paper at a time.

Every row of Tables 1 to 6 on a small data set, trained where it is missing:

  python -m trainers.tables --scale=small --table=1

On Tiny-ImageNet or CUB-200-2011 in place of the generated images (flags behind the double dash go
to every run):

  python -m trainers.tables --scale=small --dataset=tiny_imagenet --table=4 -- --data_dir=DIR

Runs on ILSVRC 2012, made one by one with `python -m trainers.imagenet --recipe=ROW --seed=N
--run_dir=RUNS/ROW/seed_N`, are only read:

  python -m trainers.tables --runs=RUNS --table=1

Printed as text; written as table_N.md and table_N.csv. Runs that are finished are not done again,
so the command can be interrupted, and seeds and tables added later.
"""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from absl import app, flags, logging

from trainers.experiments import (
    OWN_FLAGS,
    Job,
    mean_and_spread,
    own_flags_among,
    read_results,
    run_dir_of,
    run_jobs,
    training_job,
    write_aside,
)
from trainers.recipes import find_recipe
from trainers.recipes.small import BASES, small_name
from trainers.recipes.tables import TABLES, Row, Table

_TABLE = flags.DEFINE_integer(
    "table", 1, "Which table of the paper.", lower_bound=min(TABLES), upper_bound=max(TABLES)
)
_RUNS = flags.DEFINE_string("runs", "runs/tables", "Folder of the runs and of the tables.")
_SCALE = flags.DEFINE_enum(
    "scale", "full", ["full", "small"], "ILSVRC runs that are there, or a small data set."
)
_DATASET = flags.DEFINE_enum(
    "dataset", "parts", sorted(BASES), "The small data set, with --scale=small."
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "How many seeds, from 0 on.", lower_bound=1)
_JOBS = flags.DEFINE_integer(
    "jobs", 1, "Runs at a time; with more than one, each computes on one core.", lower_bound=1
)
_RUN = flags.DEFINE_boolean("run", True, "Whether to do missing runs, with --scale=small.")

# Figures that the paper's tables have, and those that reviewers ask for since.
PUBLISHED = (
    ("gt_known_loc", "GT-known Loc"),
    ("top1_loc", "Top-1 Loc"),
    ("top1_clas", "Top-1 Clas"),
)
OTHERS = (
    ("gt_known_loc_cross_fitted", "GT-known Loc, cross-fitted"),
    ("max_box_acc_v2", "MaxBoxAccV2"),
)

Measured = dict[str, dict[int, dict[str, Any]]]


def recipe_name(row_recipe: str) -> str:
    """Returns the name of the recipe of a row at the scale that the flags ask for."""
    return small_name(row_recipe, _DATASET.value) if _SCALE.value == "small" else row_recipe


def runs_of(table: Table, seeds: Sequence[int]) -> list[tuple[str, int]]:
    """Returns recipe and seed of each run that the rows need, each once, seed by seed."""
    runs: dict[tuple[str, int], None] = {}
    for seed in seeds:
        for row in table.rows:
            if row.recipe:
                runs[recipe_name(row.recipe), seed] = None
            elif _ensemble_seeds(row, seeds)[-1] >= seed:
                for name, member_seed in [run for part in row.members(seed) for run in part]:
                    runs[recipe_name(name), member_seed] = None
    return list(runs)


def _ensemble_seeds(row: Row, seeds: Sequence[int]) -> Sequence[int]:
    """An ensemble of runs that all have their own seed is one, whatever the number of seeds."""
    is_fixed = all(seed is not None for _, seed in (*row.maps, *row.probabilities))
    return seeds[:1] if is_fixed and not row.recipe else seeds


def _ensemble_dir(row: Row, seed: int, out: Path) -> Path:
    name = row.title.lower().replace("-", "_")
    return run_dir_of(out, recipe_name(name), seed)


def do_missing_runs(
    table: Table, seeds: Sequence[int], out: Path, flags_for_all: Sequence[str]
) -> None:
    """Trains, judges and puts together what has no results yet.

    Raises:
        RuntimeError: If a run fails.
    """
    _check_flags(out, flags_for_all)
    training: list[Job] = []
    judging: list[Job] = []
    trained: list[tuple[str, int]] = []
    for name, seed in runs_of(table, seeds):
        recipe = find_recipe(name)
        alike = next(
            (
                other
                for other, other_seed in trained
                if other_seed == seed and not find_recipe(other).training_differences(recipe)
            ),
            None,
        )
        if alike is None:
            trained.append((name, seed))
            training.append(training_job(name, seed, out, flags_for_all))
        else:
            source = run_dir_of(out, alike, seed)
            judging.append(training_job(name, seed, out, flags_for_all, source))
    ensembles = []
    for row in table.rows:
        for seed in () if row.recipe else _ensemble_seeds(row, seeds):
            folder = _ensemble_dir(row, seed, out)
            maps, probabilities = (
                ",".join(str(run_dir_of(out, recipe_name(name), s)) for name, s in part)
                for part in row.members(seed)
            )
            arguments = (
                f"--map_runs={maps}",
                f"--probability_runs={probabilities}",
                f"--run_dir={folder}",
            )
            ensembles.append(Job(f"{row.title}, seed {seed}", "ensemble", arguments, folder))
    for jobs in (training, judging, ensembles):
        missing = [job for job in jobs if not job.is_done]
        if missing:
            run_jobs(missing, _JOBS.value)


def _check_flags(out: Path, flags_for_all: Sequence[str]) -> None:
    """Keeps what the runs of a folder are made with, and refuses to mix them with others."""
    wanted = {"dataset": _DATASET.value, "flags": list(flags_for_all)}
    file = out / "flags.json"
    if file.is_file():
        there = json.loads(file.read_text(encoding="utf-8"))
        if there != wanted:
            raise RuntimeError(
                f"{out} holds runs made with {there}, asked for are {wanted}. "
                "Choose another --runs."
            )
    write_aside(file, json.dumps(wanted) + "\n")


def measured_rows(table: Table, seeds: Sequence[int], out: Path) -> Measured:
    """Returns the results that there are, by title of the row and seed."""
    measured: Measured = {}
    for row in table.rows:
        of_row = {}
        for seed in _ensemble_seeds(row, seeds):
            folder = (
                run_dir_of(out, recipe_name(row.recipe), seed)
                if row.recipe
                else _ensemble_dir(row, seed, out)
            )
            results = read_results(folder)
            if results is not None:
                of_row[seed] = results
        measured[row.title] = of_row
    return measured


def _percent(results: Mapping[int, Mapping[str, Any]], key: str) -> np.ndarray:
    return 100 * np.array([each.get(key, np.nan) for _, each in sorted(results.items())], "float64")


def _number(value: float | None, signed: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+.2f}" if signed else f"{value:.2f}"


def cells_of(table: Table, measured: Measured) -> list[list[str]]:
    """Returns the table as rows of cells, headings first: figures, then differences."""
    headings = ["row"]
    for _, title in PUBLISHED:
        headings += [title, "published"]
    headings += [title for _, title in OTHERS] + ["seeds"]
    cells = [headings]
    published = {row.title: row.published for row in table.rows}
    for row in table.rows:
        of_row = measured[row.title]
        line = [row.title]
        for key, _ in PUBLISHED:
            line += [mean_and_spread(_percent(of_row, key)), _number(row.published.get(key))]
        line += [mean_and_spread(_percent(of_row, key)) for key, _ in OTHERS]
        cells.append([*line, str(len(of_row))])
    for row in table.rows:
        base = table.bases.get(row.title)
        if base is None:
            continue
        pairs, count = _pairs(measured[row.title], measured[base])
        line = [f"{row.title} - {base}"]
        for key, _ in PUBLISHED:
            both = (published[row.title].get(key), published[base].get(key))
            difference = None if None in both else both[0] - both[1]
            line += [mean_and_spread(pairs(key), signed=True), _number(difference, signed=True)]
        line += [mean_and_spread(pairs(key), signed=True) for key, _ in OTHERS]
        cells.append([*line, str(count)])
    return cells


def _pairs(
    of_row: Mapping[int, Any], of_base: Mapping[int, Any]
) -> tuple[Callable[[str], np.ndarray], int]:
    """Returns the function from a key to differences, paired by seed, and their number."""
    shared = sorted(of_row.keys() & of_base.keys())

    def differences(key: str) -> np.ndarray:
        with_it, without = ({s: results[s] for s in shared} for results in (of_row, of_base))
        return _percent(with_it, key) - _percent(without, key)

    return differences, len(shared)


def notes_of(table: Table, measured: Measured) -> str:
    """Returns what has to be known to read the table."""
    all_results = [results for of_row in measured.values() for results in of_row.values()]
    if not all_results:
        return "No run of this table is there."
    scale = (
        f"Measured on {_DATASET.value} with a small network, published on ILSVRC 2012 with the "
        "paper's: compare differences, not figures. "
        if _SCALE.value == "small"
        else ""
    )
    thresholds = sorted({f"{results['cam_threshold']:.0%}" for results in all_results})
    centred = sorted({f"{100 * results['centred_box']:.1f}" for results in all_results})
    images = sorted({str(results["images"]) for results in all_results})
    both = len(thresholds) > 1
    fixed = f"{thresholds[0]} (AlexNet) and {thresholds[1]} (GoogLeNet)" if both else thresholds[0]
    return (
        f"{scale}Per cent of {', '.join(images)} validation images; mean and standard deviation "
        "over the seeds; differences are paired by seed. GT-known and Top-1 Loc at a fixed "
        f"threshold of {fixed} of the map's maximum; cross-fitted: the threshold best on one half "
        "of the images, used on the other, both ways; MaxBoxAccV2: at its best thresholds, so "
        f"optimistic. A centred box has a GT-known Loc of {', '.join(centred)}."
    )


def as_markdown(cells: Sequence[Sequence[str]]) -> str:
    """Returns cells as a Markdown table."""
    lines = ["| " + " | ".join(line) + " |" for line in cells]
    return "\n".join([lines[0], "|---" * len(cells[0]) + "|", *lines[1:]]) + "\n"


def as_text(cells: Sequence[Sequence[str]]) -> str:
    """Returns cells in columns."""
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def as_csv(table: Table, measured: Measured) -> str:
    """Returns one line a run, fractions unrounded, published figures as fractions beside them."""
    file = io.StringIO()
    keys = [key for key, _ in (*PUBLISHED, *OTHERS)]
    others = ["gt_known_loc_best", "gt_known_loc_best_threshold", "max_box_acc", "centred_box"]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["row", "seed", "images", *keys, *others, *(f"published_{key}" for key, _ in PUBLISHED)]
    )
    for row in table.rows:
        published = [row.published.get(key) for key, _ in PUBLISHED]
        published = ["" if value is None else value / 100 for value in published]
        for seed, results in sorted(measured[row.title].items()):
            values = [results.get(key, "") for key in (*keys, *others)]
            writer.writerow([row.title, seed, results["images"], *values, *published])
    return file.getvalue()


def main(argv: Sequence[str]) -> None:
    """Runs what is missing, and lays out the table."""
    logging.set_verbosity(logging.WARNING)
    flags_for_all = list(argv[1:])
    if own_flags_among(flags_for_all):
        raise app.UsageError(
            f"{', '.join(OWN_FLAGS)} are set for each run; they cannot be passed on."
        )
    if flags_for_all and _SCALE.value != "small":
        raise app.UsageError(f"unknown arguments without --scale=small: {' '.join(flags_for_all)}")
    table, out, seeds = TABLES[_TABLE.value], Path(_RUNS.value), range(_SEEDS.value)
    try:
        if _SCALE.value == "small" and _RUN.value:
            do_missing_runs(table, seeds, out, flags_for_all)
        measured = measured_rows(table, seeds, out)
    except RuntimeError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command goes on from there.")
    cells, notes = cells_of(table, measured), notes_of(table, measured)
    name = f"table_{_TABLE.value}" + (f"_{_DATASET.value}" if _SCALE.value == "small" else "")
    markdown = f"{as_markdown(cells)}\n{notes}\n"
    write_aside(out / f"{name}.md", markdown)
    write_aside(out / f"{name}.csv", as_csv(table, measured))
    print(f"\nTable {_TABLE.value}: {table.title}\n\n{as_text(cells)}\n\n{notes}\n")
    print(f"written to {out}: {name}.md, {name}.csv")


if __name__ == "__main__":
    app.run(main)
