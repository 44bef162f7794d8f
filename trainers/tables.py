r"""Compares measured figures with the published ones, one table of the paper at a time.

Every row of Tables 1 to 7 on a small dataset; missing runs are trained:

  python -m trainers.tables --scale=small --table=1

On Tiny-ImageNet or CUB-200-2011 instead of the generated images (flags after the double dash are
passed to every run):

  python -m trainers.tables --scale=small --dataset=tiny_imagenet --table=4 -- --data_dir=DIR

Runs on ILSVRC 2012, made one by one with `python -m trainers.imagenet --recipe=ROW --seed=N
--run_dir=RUNS/ROW/seed_N`, are only read:

  python -m trainers.tables --runs=RUNS --table=1

The table is printed as text and written as table_N.md and table_N.csv. Finished runs are not
repeated, so that the command can be interrupted and resumed, and seeds and tables can be added
later.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging

from keras_has.atomic_files import write_atomically
from trainers.engine import json_files
from trainers.engine.choices import define_choice
from trainers.engine.command import exit_on_error
from trainers.engine.experiments import Experiment, Job
from trainers.engine.results_tables import Results, as_csv, as_markdown, as_text, table_cells
from trainers.engine.run_error import RunError
from trainers.recipes.tables import TABLES, Row, Table
from trainers.tasks.registry import find_recipe, find_task


class TableExperiment(Experiment):
    """The runs of one table.

    Args:
        table: The table.
        out: The folder of the runs.
        seeds: The seeds of the runs.
        dataset: A small dataset, or `None` for the paper's own.
        jobs: Number of runs at a time.
        run_flags: Flags for every run.
    """

    def __init__(
        self,
        table: Table,
        out: Path,
        seeds: Sequence[int],
        dataset: str | None = None,
        jobs: int = 1,
        run_flags: Sequence[str] = (),
    ) -> None:
        super().__init__(out, seeds, jobs, run_flags)
        self.table = table
        self.dataset = dataset

    def run_missing(self) -> None:
        """Trains, evaluates and combines what has no results yet.

        Raises:
            RunError: If a run fails, or the folder contains runs made with other flags.
        """
        self._check_flags()
        training: list[Job] = []
        evaluation: list[Job] = []
        trained: list[tuple[str, int]] = []
        for name, seed in self._runs():
            same = next(
                (other for other in trained if self._trains_alike(other, (name, seed))), None
            )
            job = self.training_job(name, seed, None if same is None else same[0])
            if same is None:
                trained.append((name, seed))
                training.append(job)
            else:
                evaluation.append(job)
        for jobs in (training, evaluation, self._ensembles()):
            missing = [job for job in jobs if not job.is_done]
            if missing:
                self.run(missing)

    def measured(self) -> Results:
        """Returns the existing results by title of the row and seed.

        Raises:
            RunError: If results cannot be read.
        """
        return {
            row.title: self.results(
                self._name(row.recipe) if row.recipe else self._ensemble_name(row),
                self._seeds_of(row),
            )
            for row in self.table.rows
        }

    def _name(self, recipe: str) -> str:
        return self.table.recipe_name(recipe, self.dataset)

    def _ensemble_name(self, row: Row) -> str:
        return self._name(row.title.lower().replace("-", "_"))

    def _seeds_of(self, row: Row) -> Sequence[int]:
        """Returns the seeds; an ensemble whose members all have fixed seeds exists only once."""
        is_fixed = all(seed is not None for _, seed in (*row.maps, *row.probabilities))
        return self.seeds[:1] if is_fixed and not row.recipe else self.seeds

    @staticmethod
    def _trains_alike(run: tuple[str, int], other: tuple[str, int]) -> bool:
        recipe, other_recipe = find_recipe(run[0]), find_recipe(other[0])
        return run[1] == other[1] and not recipe.training_differences(other_recipe)

    def _runs(self) -> list[tuple[str, int]]:
        """Returns recipe and seed of each run that the rows need, without repetition."""
        runs: dict[tuple[str, int], None] = {}
        for seed in self.seeds:
            for row in self.table.rows:
                members = [(row.recipe, seed)] if row.recipe else []
                if not row.recipe and seed in self._seeds_of(row):
                    members = [run for part in row.members(seed) for run in part]
                for name, member_seed in members:
                    runs[self._name(name), member_seed] = None
        return list(runs)

    def _ensembles(self) -> list[Job]:
        jobs = []
        for row in self.table.rows:
            for seed in () if row.recipe else self._seeds_of(row):
                maps, probabilities = (
                    [(self._name(name), member_seed) for name, member_seed in part]
                    for part in row.members(seed)
                )
                name = self._ensemble_name(row)
                jobs.append(self.ensemble_job(row.title, name, seed, maps, probabilities))
        return jobs

    def _check_flags(self) -> None:
        """Records the flags of the runs, and refuses to mix runs made with different flags."""
        flags_of_runs = list(self.run_flags)
        file = self.out / f"flags_{self.dataset}.json"
        try:
            recorded = json_files.read_json(file)
        except (OSError, ValueError) as error:
            raise RunError(f"{file} cannot be read ({error}): delete it.") from error
        if recorded not in (None, flags_of_runs):
            raise RunError(
                f"{self.out} contains runs made with the flags {recorded}, but {flags_of_runs} "
                "were given. Choose another --runs."
            )
        json_files.write_json(file, flags_of_runs)


def notes_of(table: Table, measured: Results, dataset: str | None) -> str:
    """Returns what readers of the table have to know."""
    all_results: list[Mapping[str, Any]] = [
        results for runs in measured.values() for results in runs.values()
    ]
    if not all_results:
        return "There are no runs of this table."
    notes = ""
    if dataset is not None:
        # Results of former versions do not say it.
        is_watch = all(results.get("semi_synthetic", True) for results in all_results)
        is_watch &= dataset == "watch_untrimmed"
        kind = ", which is semi-synthetic," if is_watch else ""
        notes = f"Measured on {dataset}{kind} with a small network"
        if any(row.published for row in table.rows):
            notes += (
                f", published on {table.published_on} with the paper's: compare differences, not "
                "figures"
            )
        notes += ". "
    notes += "Percent; mean and standard deviation over the seeds; differences are paired by seed."
    return f"{notes} {find_task(table.task).task_class().table_notes(all_results)}"


def write_table(table: Table, measured: Results, out: Path, name: str, notes: str) -> str:
    """Writes a table as Markdown and CSV, and returns it as text.

    Args:
        table: The table.
        measured: Results by title of the row and seed.
        out: The folder to write to.
        name: Name of the files without extension.
        notes: The text below the table.
    """
    published = {row.title: row.published for row in table.rows}
    cells = table_cells(
        measured,
        table.other_columns,
        table.bases,
        published=published,
        published_columns=table.columns,
        baseline=table.baseline,
    )
    keys = [
        find_task(table.task).task_class().examples,
        *(key for key, _ in (*table.columns, *table.other_columns)),
        *table.csv_keys,
    ]
    write_atomically(out / f"{name}.md", f"{as_markdown(cells)}\n{notes}\n")
    write_atomically(
        out / f"{name}.csv",
        as_csv(measured, keys, published=published, published_columns=table.columns),
    )
    return as_text(cells)


def main(argv: Sequence[str]) -> None:
    """Runs what is missing, and writes the table."""
    logging.set_verbosity(logging.WARNING)
    values = flags.FLAGS
    run_flags = argv[1:]
    is_small = values.scale == "small"
    if values.dataset and not is_small:
        raise app.UsageError("--dataset requires --scale=small.")
    if run_flags and is_small and not values.run:
        raise app.UsageError("--norun reads existing runs: flags for runs have no effect.")
    if run_flags and not is_small:
        raise app.UsageError(f"unknown arguments without --scale=small: {' '.join(run_flags)}")
    table, out = TABLES[values.table], Path(values.runs)
    table = table.small_table or table if is_small else table
    dataset = values.dataset or table.datasets[0] if is_small else None
    if dataset is not None and dataset not in table.datasets:
        raise app.UsageError(
            f"--dataset of table {values.table} should be one of "
            f"{', '.join(table.datasets)}. Received: {dataset}"
        )
    try:
        runs = TableExperiment(table, out, range(values.seeds), dataset, values.jobs, run_flags)
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    with exit_on_error():
        if is_small and values.run:
            runs.run_missing()
        measured = runs.measured()
        notes = notes_of(table, measured, dataset)
        name = f"table_{values.table}" + (f"_{dataset}" if dataset else "")
        text = write_table(table, measured, out, name, notes)
    print(f"\nTable {values.table}: {table.title}\n\n{text}\n\n{notes}\n")
    print(f"written to {out}: {name}.md, {name}.csv")


def define_flags() -> None:
    """Defines the flags of the command."""
    flags.DEFINE_integer(
        "table", 1, "Number of the paper's table.", lower_bound=min(TABLES), upper_bound=max(TABLES)
    )
    flags.DEFINE_string("runs", "runs/tables", "Folder of the runs and of the tables.")
    flags.DEFINE_enum(
        "scale",
        "full",
        ["full", "small"],
        "full: existing runs on the paper's data; small: runs on a small dataset.",
    )
    datasets = sorted({name for table in TABLES.values() for name in table.datasets})
    define_choice("dataset", datasets, "The small dataset. Default: the generated one.")
    flags.DEFINE_integer("seeds", 3, "Number of seeds, starting at 0.", lower_bound=1)
    flags.DEFINE_integer(
        "jobs",
        1,
        "Number of runs at a time; with more than one, each uses one core.",
        lower_bound=1,
    )
    flags.DEFINE_boolean("run", True, "Whether to do missing runs, with --scale=small.")


if __name__ == "__main__":
    define_flags()
    app.run(main)
