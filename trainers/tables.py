r"""Lays measured figures beside the published ones, a table of the paper at a time.

Every row of Tables 1 to 7 on a small data set, trained where it is missing:

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

from trainers.engine.experiments import (
    OWN_FLAGS,
    Job,
    mean_and_spread,
    own_flags_among,
    read_results,
    run_dir_of,
    run_jobs,
    training_job,
)
from trainers.engine.text_files import write_aside
from trainers.recipes.tables import TABLES, Row, Table
from trainers.tasks.registry import find_recipe

Measured = dict[str, dict[int, dict[str, Any]]]


class TableRuns:
    """The runs of one table: which there are, which are missing, and what they gave.

    Args:
        table: The table.
        out: Folder of the runs.
        seeds: Seeds of the runs.
        dataset: A small data set, or None for the paper's own.
        jobs: Runs at a time.
        flags_for_all: Flags for every run.
    """

    def __init__(
        self,
        table: Table,
        out: Path,
        seeds: Sequence[int],
        dataset: str | None = None,
        jobs: int = 1,
        flags_for_all: Sequence[str] = (),
    ) -> None:
        self.table = table
        self.out = out
        self.seeds = tuple(seeds)
        self.dataset = dataset
        self.jobs = jobs
        self.flags_for_all = tuple(flags_for_all)

    def do_missing(self) -> None:
        """Trains, judges and puts together what has no results yet.

        Raises:
            RuntimeError: If a run fails, or the folder holds runs made otherwise.
        """
        self._check_flags()
        training: list[Job] = []
        judging: list[Job] = []
        trained: list[tuple[str, int]] = []
        for name, seed in self._runs():
            alike = next(
                (
                    other
                    for other, other_seed in trained
                    if other_seed == seed
                    and not find_recipe(other).training_differences(find_recipe(name))
                ),
                None,
            )
            source = None if alike is None else run_dir_of(self.out, alike, seed)
            job = training_job(name, seed, self.out, self.flags_for_all, source, self.table.module)
            if alike is None:
                trained.append((name, seed))
                training.append(job)
            else:
                judging.append(job)
        for jobs in (training, judging, self._ensembles()):
            missing = [job for job in jobs if not job.is_done]
            if missing:
                run_jobs(missing, self.jobs)

    def measured(self) -> Measured:
        """Returns the results that there are, by title of the row and seed.

        Raises:
            RuntimeError: If some cannot be read.
        """
        measured: Measured = {}
        for row in self.table.rows:
            found = {
                seed: read_results(
                    run_dir_of(self.out, self._name(row.recipe), seed)
                    if row.recipe
                    else self._ensemble_dir(row, seed)
                )
                for seed in self._seeds_of(row)
            }
            measured[row.title] = {s: results for s, results in found.items() if results}
        return measured

    def _name(self, recipe: str) -> str:
        return self.table.recipe_name(recipe, self.dataset)

    def _seeds_of(self, row: Row) -> Sequence[int]:
        """An ensemble of runs that all have their own seed is one, however many seeds there are."""
        is_fixed = all(seed is not None for _, seed in (*row.maps, *row.probabilities))
        return self.seeds[:1] if is_fixed and not row.recipe else self.seeds

    def _runs(self) -> list[tuple[str, int]]:
        """Returns recipe and seed of each run that the rows need, each once, seed by seed."""
        runs: dict[tuple[str, int], None] = {}
        for seed in self.seeds:
            for row in self.table.rows:
                members = [(row.recipe, seed)] if row.recipe else []
                if not row.recipe and seed in self._seeds_of(row):
                    members = [run for part in row.members(seed) for run in part]
                for name, member_seed in members:
                    runs[self._name(name), member_seed] = None
        return list(runs)

    def _ensemble_dir(self, row: Row, seed: int) -> Path:
        name = row.title.lower().replace("-", "_")
        return run_dir_of(self.out, self._name(name), seed)

    def _ensembles(self) -> list[Job]:
        jobs = []
        for row in self.table.rows:
            for seed in () if row.recipe else self._seeds_of(row):
                folder = self._ensemble_dir(row, seed)
                maps, probabilities = (
                    ",".join(str(run_dir_of(self.out, self._name(name), s)) for name, s in part)
                    for part in row.members(seed)
                )
                arguments = (
                    f"--map_runs={maps}",
                    f"--probability_runs={probabilities}",
                    f"--run_dir={folder}",
                )
                jobs.append(Job(f"{row.title}, seed {seed}", "ensemble", arguments, folder))
        return jobs

    def _check_flags(self) -> None:
        """Keeps what the runs of a folder are made with, and refuses to mix them with others."""
        wanted = list(self.flags_for_all)
        file = self.out / f"flags_{self.dataset}.json"
        if file.is_file():
            try:
                there = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise RuntimeError(f"{file} cannot be read ({error}): delete it.") from error
            if there != wanted:
                raise RuntimeError(
                    f"{self.out} holds runs made with the flags {there}, asked for are {wanted}. "
                    "Choose another --runs."
                )
        write_aside(file, json.dumps(wanted) + "\n")


def _percent(results: Mapping[int, Mapping[str, Any]], key: str) -> np.ndarray:
    return 100 * np.array([each.get(key, np.nan) for _, each in sorted(results.items())], "float64")


def _number(value: float | None, signed: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+.2f}" if signed else f"{value:.2f}"


def cells_of(table: Table, measured: Measured) -> list[list[str]]:
    """Returns the table as rows of cells, headings first: figures, then differences."""
    headings = ["row"]
    for _, title in table.columns:
        headings += [title, "published"]
    headings += [title for _, title in table.others] + ["seeds"]
    cells = [headings]
    published = {row.title: row.published for row in table.rows}
    for row in table.rows:
        of_row = measured[row.title]
        line = [row.title]
        for key, _ in table.columns:
            line += [mean_and_spread(_percent(of_row, key)), _number(row.published.get(key))]
        line += [mean_and_spread(_percent(of_row, key)) for key, _ in table.others]
        cells.append([*line, str(len(of_row))])
    cells += _baseline_cells(table, measured)
    for row in table.rows:
        base = table.bases.get(row.title)
        if base is None:
            continue
        pairs, count = _pairs(measured[row.title], measured[base])
        line = [f"{row.title} - {base}"]
        for key, _ in table.columns:
            both = (published[row.title].get(key), published[base].get(key))
            difference = None if None in both else both[0] - both[1]
            line += [mean_and_spread(pairs(key), signed=True), _number(difference, signed=True)]
        line += [mean_and_spread(pairs(key), signed=True) for key, _ in table.others]
        cells.append([*line, str(count)])
    return cells


def _baseline_cells(table: Table, measured: Measured) -> list[list[str]]:
    """Returns the row of the baseline, which is the same in all runs, if the table has one."""
    results = [results for of_row in measured.values() for results in of_row.values()]
    if table.baseline is None or not results:
        return []
    title, keys = table.baseline
    line = [title]
    for key, _ in table.columns:
        line += [mean_and_spread(100 * np.array([results[0].get(keys[key], np.nan)])), "-"]
    return [[*line, *("-" for _ in table.others), "-"]]


def _pairs(
    of_row: Mapping[int, Any], of_base: Mapping[int, Any]
) -> tuple[Callable[[str], np.ndarray], int]:
    """Returns the function from a key to differences, paired by seed, and their number."""
    shared = sorted(of_row.keys() & of_base.keys())

    def differences(key: str) -> np.ndarray:
        with_it, without = ({s: results[s] for s in shared} for results in (of_row, of_base))
        return _percent(with_it, key) - _percent(without, key)

    return differences, len(shared)


def notes_of(table: Table, measured: Measured, dataset: str | None) -> str:
    """Returns what has to be known to read the table."""
    all_results = [results for of_row in measured.values() for results in of_row.values()]
    if not all_results:
        return "No run of this table is there."
    notes = ""
    if dataset is not None:
        published = "THUMOS'14" if table.module == "thumos" else "ILSVRC 2012"
        kind = ", which is semi-synthetic," if dataset == "watch_untrimmed" else ""
        notes = (
            f"Measured on {dataset}{kind} with a small network, published on {published} with the "
            "paper's: compare differences, not figures. "
        )
    notes += "Per cent; mean and standard deviation over the seeds; differences are paired by seed."
    return f"{notes} {(_about_videos if table.module == 'thumos' else _about_images)(all_results)}"


def _about_images(all_results: Sequence[Mapping[str, Any]]) -> str:
    thresholds = sorted({f"{results['cam_threshold']:.0%}" for results in all_results})
    both = len(thresholds) > 1
    fixed = f"{thresholds[0]} (AlexNet) and {thresholds[1]} (GoogLeNet)" if both else thresholds[0]
    centred = sorted({f"{100 * results.get('centred_box', np.nan):.1f}" for results in all_results})
    images = sorted({str(results["images"]) for results in all_results})
    return (
        f"{', '.join(images)} validation images. GT-known and Top-1 Loc at a fixed threshold of "
        f"{fixed} of the map's maximum; cross-fitted: the threshold best on one half of the "
        "images, used on the other, both ways; MaxBoxAccV2: at its best thresholds, so optimistic. "
        f"A centred box has a GT-known Loc of {', '.join(centred)}."
    )


def _about_videos(all_results: Sequence[Mapping[str, Any]]) -> str:
    thresholds = sorted({f"{results['cam_threshold']:.0%}" for results in all_results})
    protocols = sorted({str(results["protocol"]) for results in all_results})
    known = {bool(results["known_classes"]) for results in all_results}
    return (
        f"{all_results[0]['videos']} videos. Runs above {', '.join(thresholds)} of the temporal "
        f"map's maximum, {'classes of a video known' if known == {True} else 'all classes'}, "
        f"protocol {', '.join(protocols)}. Whole sequence: one detection of each class that a "
        "video shows, from its start to its end."
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
    keys = [key for key, _ in (*table.columns, *table.others)]
    others = []
    if table.module == "imagenet":
        others = ["gt_known_loc_best", "gt_known_loc_best_threshold", "max_box_acc", "centred_box"]
    size = "videos" if table.module == "thumos" else "images"
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["row", "seed", size, *keys, *others, *(f"published_{key}" for key, _ in table.columns)]
    )
    for row in table.rows:
        published = [row.published.get(key) for key, _ in table.columns]
        published = ["" if value is None else value / 100 for value in published]
        for seed, results in sorted(measured[row.title].items()):
            values = [results.get(key, "") for key in (*keys, *others)]
            writer.writerow([row.title, seed, results[size], *values, *published])
    return file.getvalue()


def main(argv: Sequence[str]) -> None:
    """Runs what is missing, and lays out the table."""
    logging.set_verbosity(logging.WARNING)
    values = flags.FLAGS
    flags_for_all = list(argv[1:])
    if own_flags_among(flags_for_all):
        raise app.UsageError(
            f"{', '.join(OWN_FLAGS)} are set for each run; they cannot be passed on."
        )
    is_small = values.scale == "small"
    if values.dataset and not is_small:
        raise app.UsageError("--dataset is for --scale=small.")
    if flags_for_all and is_small and not values.run:
        raise app.UsageError("--norun reads runs as they are: flags for runs have no effect.")
    if flags_for_all and not is_small:
        raise app.UsageError(f"unknown arguments without --scale=small: {' '.join(flags_for_all)}")
    table, out = TABLES[values.table], Path(values.runs)
    dataset = values.dataset or table.small_datasets[0] if is_small else None
    if dataset is not None and dataset not in table.small_datasets:
        raise app.UsageError(
            f"--dataset of table {values.table} should be one of "
            f"{', '.join(table.small_datasets)}. Received: {dataset}"
        )
    runs = TableRuns(table, out, range(values.seeds), dataset, values.jobs, flags_for_all)
    try:
        if is_small and values.run:
            runs.do_missing()
        measured = runs.measured()
    except RuntimeError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command goes on from there.")
    cells, notes = cells_of(table, measured), notes_of(table, measured, dataset)
    name = f"table_{values.table}" + (f"_{dataset}" if dataset else "")
    write_aside(out / f"{name}.md", f"{as_markdown(cells)}\n{notes}\n")
    write_aside(out / f"{name}.csv", as_csv(table, measured))
    print(f"\nTable {values.table}: {table.title}\n\n{as_text(cells)}\n\n{notes}\n")
    print(f"written to {out}: {name}.md, {name}.csv")


def define_flags() -> None:
    """Defines the flags of the command."""
    flags.DEFINE_integer(
        "table", 1, "Which table of the paper.", lower_bound=min(TABLES), upper_bound=max(TABLES)
    )
    flags.DEFINE_string("runs", "runs/tables", "Folder of the runs and of the tables.")
    flags.DEFINE_enum(
        "scale", "full", ["full", "small"], "The paper's runs that are there, or a small data set."
    )
    datasets = sorted({name for table in TABLES.values() for name in table.small_datasets})
    flags.DEFINE_enum("dataset", None, datasets, "The small data set. Default: the generated one.")
    flags.DEFINE_integer("seeds", 3, "How many seeds, from 0 on.", lower_bound=1)
    flags.DEFINE_integer(
        "jobs", 1, "Runs at a time; with more than one, each computes on one core.", lower_bound=1
    )
    flags.DEFINE_boolean("run", True, "Whether to do missing runs, with --scale=small.")


if __name__ == "__main__":
    define_flags()
    app.run(main)
