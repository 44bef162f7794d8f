r"""Evaluates trained networks together, with averaged maps and averaged probabilities.

As in Table 2 of the paper, where the maps are those of HaS-16, -32, -44 and -56, and the
probabilities those of these four and of GAP:

  python -m trainers.ensemble --run_dir=runs/ensemble \
    --map_runs=runs/has_16,runs/has_32,runs/has_44,runs/has_56 \
    --probability_runs=runs/has_16,runs/has_32,runs/has_44,runs/has_56,runs/gap

The runs have to be finished, and have the same dataset and image size. Nothing is trained.
"""

import os
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging

from trainers.engine.command import exit_on_error, refuse_arguments

_MAP_RUNS = flags.DEFINE_list("map_runs", None, "Run directories whose maps are averaged.")
_PROBABILITY_RUNS = flags.DEFINE_list(
    "probability_runs",
    None,
    "Run directories whose probabilities are averaged. Default: those of --map_runs.",
)
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder for results.json and panel.png.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of the dataset. Default: the one the runs were made with."
)
flags.mark_flags_as_required(["map_runs", "run_dir"])

# What networks have to share so that they can be evaluated on the same images.
_SHARED = ("dataset", "image_size", "resize_size", "crops", "cam", "cam_threshold", "tuning_share")


def evaluate_ensemble(
    map_runs: Sequence[str],
    probability_runs: Sequence[str],
    run_dir: str,
    data_dir: str | None = None,
) -> dict[str, Any]:
    """Evaluates an ensemble, writes its results, and returns them.

    Args:
        map_runs: Run directories whose maps are averaged.
        probability_runs: Run directories whose probabilities are averaged.
        run_dir: The folder to write to.
        data_dir: The folder of the data; `None` for that of the first run.

    Returns:
        Results by name, as for a run.

    Raises:
        RunError: If a run is not finished, or the runs do not fit together.
    """
    from keras_has import cams, drawing
    from trainers.engine.run_directory import RunDirectory, open_finished
    from trainers.engine.run_error import RunError
    from trainers.engine.training import load_network
    from trainers.recipes import ImageRecipe
    from trainers.tasks.image_localization import (
        ImageLocalization,
        evaluate_localization,
        localization_table,
        map_method,
    )

    directory = RunDirectory(run_dir)
    members = {"maps": list(map_runs), "probabilities": list(probability_runs)}
    existing = directory.read_json("ensemble.json")
    if existing is not None and existing != members:
        raise RunError(
            f"{run_dir} contains another ensemble ({existing}). Choose another --run_dir."
        )
    if existing is None and directory.path.exists() and any(directory.path.iterdir()):
        raise RunError(
            f"{run_dir} is not empty and contains no ensemble. Choose another --run_dir."
        )
    if existing is not None and (results := directory.read_results()) is not None:
        print(f"{run_dir} is finished already.")
        print("\n".join(localization_table(results)))
        return results
    runs = {
        run: open_finished(run, ImageRecipe)
        for run in dict.fromkeys([*map_runs, *probability_runs])
    }
    first = next(iter(runs))
    for run, (_, recipe, _) in runs.items():
        for field in _SHARED:
            values = [getattr(each, field) for each in (runs[first][1], recipe)]
            if values[0] != values[1]:
                raise RunError(
                    f"The networks of an ensemble should share {field}. {first} has "
                    f"{values[0]!r}, {run} has {values[1]!r}."
                )
    sources = {run: opened[0].read_source() or {} for run, opened in runs.items()}
    for run, source in sources.items():
        if data_dir is None and source != sources[first]:
            raise RunError(
                f"The networks of an ensemble should share their data. {first} has "
                f"{sources[first]}, {run} has {source}."
            )
    data_dir = data_dir or sources[first].get("data_dir")
    tasks: list[ImageLocalization] = []
    networks, methods = [], {}
    for run, (member, recipe, _) in runs.items():
        has_bad_images = bool(member.read_json("bad_images.json"))
        task = ImageLocalization(recipe, data_dir, "skip" if has_bad_images else "error")
        if tasks:  # the data are read once
            task.train_split, task.val_split = tasks[0].train_split, tasks[0].val_split
        else:
            task.load(member)
        tasks.append(task)
        networks.append(load_network(task, member))
        methods[run] = map_method(recipe, recipe.crops)(networks[-1])
    ensemble = cams.Ensemble(
        [methods[run] for run in map_runs], [methods[run] for run in probability_runs]
    )
    final = tasks[0].final_localization(lambda _: ensemble)
    results = evaluate_localization(networks[0], final, len(tasks[0].val_split))
    directory.path.mkdir(parents=True, exist_ok=True)
    directory.write_json("ensemble.json", members)
    if final.panel is not None:
        drawing.write_png(directory.panel, final.panel)
    directory.write_json("results.json", results)
    print(f"{len(map_runs)} maps, {len(probability_runs)} probabilities, percent")
    print("\n".join(localization_table(results)))
    return results


def main(argv: Sequence[str]) -> None:
    """Evaluates the ensemble that the flags describe."""
    refuse_arguments(argv)
    logging.set_verbosity(logging.WARNING)
    map_runs = list(_MAP_RUNS.value)
    probability_runs = list(_PROBABILITY_RUNS.value or map_runs)
    with exit_on_error(interrupted="Nothing was written."):
        evaluate_ensemble(map_runs, probability_runs, _RUN_DIR.value, _DATA_DIR.value)


if __name__ == "__main__":
    app.run(main)
