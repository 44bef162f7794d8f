"""Many runs: each in a process of its own, finished ones not done again."""

import dataclasses
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

Results = dict[str, dict[int, dict[str, Any]]]
"""Results of runs by recipe and seed."""

# Set for each run; not to be passed on.
OWN_FLAGS = ("seed", "run_dir", "recipe", "network_from")


@dataclasses.dataclass(frozen=True)
class Job:
    """One command that fills one folder.

    Args:
        title: What to call it.
        module: Which command of `trainers`.
        arguments: Its flags.
        folder: Where its `results.json` will be.
    """

    title: str
    module: str
    arguments: tuple[str, ...]
    folder: Path

    @property
    def is_done(self) -> bool:
        """Whether there are results."""
        return (self.folder / "results.json").is_file()


def run_dir_of(out: Path, recipe: str, seed: int) -> Path:
    """Returns the folder of a run among many."""
    return out / recipe / f"seed_{seed}"


def training_job(
    recipe: str,
    seed: int,
    out: Path,
    flags_for_all: Sequence[str],
    network_from: Path | None = None,
    module: str = "imagenet",
) -> Job:
    """Returns the job of one recipe and seed."""
    run_dir = run_dir_of(out, recipe, seed)
    arguments = [f"--recipe={recipe}", f"--seed={seed}", f"--run_dir={run_dir}", *flags_for_all]
    if network_from is not None:
        arguments.append(f"--network_from={network_from}")
    return Job(f"{recipe}, seed {seed}", module, tuple(arguments), run_dir)


def run_jobs(jobs: Sequence[Job], at_a_time: int) -> None:
    """Does all jobs, in order; with more than one at a time, each computes on one core.

    Args:
        jobs: What to do. Finished runs end at once, and check that they are what was asked for.
        at_a_time: How many.

    Raises:
        RuntimeError: If one fails; its output has said why.
    """
    done = 0

    def run(job: Job) -> None:
        nonlocal done
        environment = dict(os.environ)
        if at_a_time > 1:
            environment.update(OMP_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1")
        log = subprocess.PIPE if at_a_time > 1 else None
        ended = subprocess.run(  # noqa: S603 (our own module, no shell)
            [sys.executable, "-m", f"trainers.{job.module}", *job.arguments],
            env=environment,
            stdout=log,
            stderr=log,
            text=True,
            check=False,
        )
        if ended.returncode:
            output = f":\n{(ended.stderr or '')[-2000:]}" if log else ", see above"
            raise RuntimeError(f"{job.title} failed{output}")
        done += 1
        print(f"done: {job.title} ({done} of {len(jobs)})", flush=True)

    with ThreadPoolExecutor(at_a_time) as executor:
        futures = [executor.submit(run, job) for job in jobs]
        try:
            for future in futures:
                future.result()
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise


def read_results(folder: Path) -> dict[str, Any] | None:
    """Returns the results in a folder, null as NaN, or None if it has none.

    Raises:
        RuntimeError: If they cannot be read.
    """
    file = folder / "results.json"
    if not file.is_file():
        return None
    try:
        results: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RuntimeError(f"{file} cannot be read ({error}): delete {folder}.") from error
    return {key: math.nan if value is None else value for key, value in results.items()}


def data_dir_among(flags_for_all: Sequence[str]) -> str | None:
    """Returns the value of `--data_dir` among flags, however it is spelled."""
    joined = re.search(r"(?:^|\n)--?data_dir[=\n]([^\n]+)", "\n".join(flags_for_all))
    return joined.group(1) if joined else None


def own_flags_among(flags_for_all: Sequence[str]) -> bool:
    """Returns whether a flag is among them that is set for each run."""
    return any(flag.lstrip("-").split("=")[0] in OWN_FLAGS for flag in flags_for_all)


def mean_and_spread(values: np.ndarray, signed: bool = False) -> str:
    """Returns "mean ± standard deviation" of values in per cent, "-" of none."""
    values = np.asarray(values, "float64")
    if len(values) == 0 or not np.isfinite(values).all():
        return "-"
    mean = f"{values.mean():+.1f}" if signed else f"{values.mean():.1f}"
    return f"{mean} ± {values.std(ddof=1):.1f}" if len(values) > 1 else mean
