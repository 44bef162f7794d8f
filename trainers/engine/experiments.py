"""Many runs below one folder: planned, run in processes of their own, and read again."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from trainers.engine import json_files
from trainers.engine.run_error import RunError
from trainers.tasks.registry import find_recipe, find_task

# The experiment sets these flags for each run.
OWN_FLAGS = ("seed", "run_dir", "recipe", "network_from")


@dataclasses.dataclass(frozen=True)
class Job:
    """One command that fills one folder.

    Args:
        title: What to call it.
        command: The module of `trainers` to run.
        arguments: Its flags.
        folder: The folder that will contain its `results.json`.
    """

    title: str
    command: str
    arguments: tuple[str, ...]
    folder: Path

    @property
    def is_done(self) -> bool:
        """Whether there are results."""
        return (self.folder / "results.json").is_file()


class Experiment:
    """Runs of several recipes and seeds below one folder.

    Args:
        out: The folder; the run of a recipe and a seed is in `OUT/RECIPE/seed_SEED`.
        seeds: The seeds.
        jobs: Number of runs at a time; with more than one, each uses one core.
        run_flags: Flags for every run.

    Raises:
        ValueError: If `run_flags` contains a flag that the experiment sets for each run.
    """

    def __init__(
        self, out: Path, seeds: Sequence[int], jobs: int = 1, run_flags: Sequence[str] = ()
    ) -> None:
        if any(flag.lstrip("-").split("=")[0] in OWN_FLAGS for flag in run_flags):
            raise ValueError(
                f"{', '.join(OWN_FLAGS)} are set for each run and cannot be passed on."
            )
        self.out = out
        self.seeds = tuple(seeds)
        self.jobs = jobs
        self.run_flags = tuple(run_flags)

    @property
    def data_dir(self) -> str | None:
        """The value of `--data_dir` in the flags of the runs, however it is spelled."""
        found = re.search(r"(?:^|\n)--?data_dir[=\n]([^\n]+)", "\n".join(self.run_flags))
        return found.group(1) if found else None

    def run_dir(self, name: str, seed: int) -> Path:
        """Returns the folder of the run of a recipe, or of an ensemble."""
        return self.out / name / f"seed_{seed}"

    def training_job(self, recipe: str, seed: int, network_from: str | None = None) -> Job:
        """Returns the job that trains a recipe, or evaluates the network of another recipe.

        Args:
            recipe: The name of the recipe.
            seed: The seed of the run.
            network_from: The name of a recipe that trains the same network, or `None`.
        """
        run_dir = self.run_dir(recipe, seed)
        arguments = [
            f"--recipe={recipe}",
            f"--seed={seed}",
            f"--run_dir={run_dir}",
            *self.run_flags,
        ]
        if network_from is not None:
            arguments.append(f"--network_from={self.run_dir(network_from, seed)}")
        command = find_task(find_recipe(recipe).TASK).command
        return Job(f"{recipe}, seed {seed}", command, tuple(arguments), run_dir)

    def ensemble_job(
        self,
        title: str,
        name: str,
        seed: int,
        maps: Sequence[tuple[str, int]],
        probabilities: Sequence[tuple[str, int]],
    ) -> Job:
        """Returns the job that evaluates an ensemble.

        Args:
            title: What to call it.
            name: The name of its folder.
            seed: Its seed.
            maps: Recipe and seed of the runs whose maps are averaged.
            probabilities: Recipe and seed of the runs whose probabilities are averaged.
        """
        run_dir = self.run_dir(name, seed)
        map_runs, probability_runs = (
            ",".join(str(self.run_dir(*run)) for run in runs) for runs in (maps, probabilities)
        )
        arguments = (
            f"--map_runs={map_runs}",
            f"--probability_runs={probability_runs}",
            f"--run_dir={run_dir}",
        )
        return Job(f"{title}, seed {seed}", "ensemble", arguments, run_dir)

    def run(self, jobs: Sequence[Job]) -> None:
        """Runs all jobs, in order. Finished runs end at once, after checking their recipe.

        Raises:
            RunError: If a job fails; its output says why.
        """
        done = 0

        def run(job: Job) -> None:
            nonlocal done
            self._run(job)
            done += 1
            print(f"done: {job.title} ({done} of {len(jobs)})", flush=True)

        with ThreadPoolExecutor(self.jobs) as executor:
            futures = [executor.submit(run, job) for job in jobs]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                executor.shutdown(cancel_futures=True)
                raise

    def _run(self, job: Job) -> None:
        environment = dict(os.environ)
        is_parallel = self.jobs > 1
        if is_parallel:
            environment.update(OMP_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1")
        log = subprocess.PIPE if is_parallel else None
        ended = subprocess.run(  # noqa: S603 (our own module, no shell)
            [sys.executable, "-m", f"trainers.{job.command}", *job.arguments],
            env=environment,
            stdout=log,
            stderr=log,
            text=True,
            check=False,
        )
        if ended.returncode:
            output = f":\n{(ended.stderr or '')[-2000:]}" if is_parallel else ", see above"
            raise RunError(f"{job.title} failed{output}")

    def results(self, name: str, seeds: Sequence[int] | None = None) -> dict[int, dict[str, Any]]:
        """Returns the results of a recipe, or of an ensemble, by seed; missing ones are left out.

        Args:
            name: The name of the recipe, or of the ensemble's folder.
            seeds: The seeds; `None` for all.

        Raises:
            RunError: If results cannot be read.
        """
        found = {}
        for seed in self.seeds if seeds is None else seeds:
            file = self.run_dir(name, seed) / "results.json"
            try:
                results = json_files.null_to_nan(json_files.read_json(file))
            except (OSError, ValueError) as error:
                raise RunError(f"{file} cannot be read ({error}): delete {file.parent}.") from error
            if isinstance(results, dict) and results:
                found[seed] = results
        return found
