r"""Judges trained networks together: boxes from averaged maps, classes from averaged probabilities.

As in the paper's Table 2, where the maps are those of HaS-16, -32, -44 and -56, and the class is
that of these four and of GAP:

  python -m trainers.ensemble --run_dir=runs/ensemble \
    --map_runs=runs/has_16,runs/has_32,runs/has_44,runs/has_56 \
    --probability_runs=runs/has_16,runs/has_32,runs/has_44,runs/has_56,runs/gap

The runs have to be finished, of one data set and one image size. Nothing is trained.
"""

import os
import sys
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging

_MAP_RUNS = flags.DEFINE_list("map_runs", None, "Run directories whose maps are averaged.")
_PROBABILITY_RUNS = flags.DEFINE_list(
    "probability_runs",
    None,
    "Run directories whose probabilities are averaged. Default: those of --map_runs.",
)
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder for results.json and panel.png.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of the data set. Default: that of the runs."
)
flags.mark_flags_as_required(["map_runs", "run_dir"])

# What networks have to share to be judged on the same images.
_SHARED = ("dataset", "image_size", "resize_size", "crops", "cam", "cam_threshold", "tuning_share")


def main(argv: Sequence[str]) -> None:
    """Evaluates the ensemble."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    map_runs = list(_MAP_RUNS.value)
    probability_runs = list(_PROBABILITY_RUNS.value or map_runs)
    from trainers.engine.runs import RunError

    try:
        judge_together(map_runs, probability_runs, _RUN_DIR.value, _DATA_DIR.value)
    except RunError as error:
        sys.exit(f"error: {error}")


def judge_together(
    map_runs: Sequence[str],
    probability_runs: Sequence[str],
    run_dir: str,
    data_dir: str | None = None,
) -> dict[str, object]:
    """Evaluates an ensemble, writes its results, and returns them.

    Args:
        map_runs: Run directories whose maps are averaged.
        probability_runs: Run directories whose probabilities are averaged.
        run_dir: Where to write.
        data_dir: Folder of the data; None for that of the first run.

    Returns:
        Figures by name, as those of a run.

    Raises:
        RunError: If a run is not finished, or they do not fit together.
    """
    from keras_has import cams, drawing
    from trainers.engine.runs import RunDirectory, RunError, load_network
    from trainers.recipes import ImageRecipe
    from trainers.tasks import image_localization

    directory = RunDirectory(run_dir)
    members = {"maps": list(map_runs), "probabilities": list(probability_runs)}
    there = directory.read_json("ensemble.json")
    if there is not None and there != members:
        raise RunError(f"{run_dir} holds another ensemble ({there}). Choose another --run_dir.")
    if there is None and directory.path.exists() and any(directory.path.iterdir()):
        raise RunError(f"{run_dir} is not empty and holds no ensemble. Choose another --run_dir.")
    if there is not None and (results := directory.read_results()) is not None:
        print(f"{run_dir} is finished already.")
        print("\n".join(image_localization.localization_table(results)))
        return results
    all_runs = list(dict.fromkeys([*map_runs, *probability_runs]))
    directories = {run: RunDirectory(run) for run in all_runs}
    recipes = {run: directories[run].read_recipe(ImageRecipe) for run in all_runs}
    first = recipes[all_runs[0]]
    for run, recipe in recipes.items():
        for field in _SHARED:
            if getattr(recipe, field) != getattr(first, field):
                raise RunError(
                    f"The networks of an ensemble have to share {field}. {all_runs[0]} has "
                    f"{getattr(first, field)!r}, {run} has {getattr(recipe, field)!r}."
                )
    sources = {run: directories[run].read_json("source.json") or {} for run in all_runs}
    for run, source in sources.items():
        if data_dir is None and source != sources[all_runs[0]]:
            raise RunError(
                f"The networks of an ensemble have to share their data. {all_runs[0]} has "
                f"{sources[all_runs[0]]}, {run} has {source}."
            )
    data_dir = data_dir or sources[all_runs[0]].get("data_dir")
    methods, task = {}, None
    networks = []
    for run, recipe in recipes.items():
        leaves_out = bool(directories[run].read_json("bad_images.json"))
        own_task = image_localization.ImageLocalization(
            recipe, data_dir, "skip" if leaves_out else "error"
        )
        if task is None:
            task = own_task
            task.load(directories[run])
        own_task.train_split, own_task.val_split = task.train_split, task.val_split
        network = load_network(own_task, directories[run])
        networks.append(network)
        methods[run] = image_localization.map_method(recipe, recipe.crops)(network)
    ensemble = cams.Ensemble(
        [methods[run] for run in map_runs], [methods[run] for run in probability_runs]
    )
    assert task is not None  # noqa: S101 (there is at least one run)
    final = task.final_localization(lambda _: ensemble)
    results = image_localization.evaluate_localization(networks[0], final, len(task.val_split))
    directory.path.mkdir(parents=True, exist_ok=True)
    directory.write_json("ensemble.json", members)
    if final.panel is not None:
        drawing.write_png(directory.panel, final.panel)
    directory.write_json("results.json", results)
    print(f"{len(map_runs)} maps, {len(probability_runs)} probabilities, per cent")
    print("\n".join(image_localization.localization_table(results)))
    return results


if __name__ == "__main__":
    app.run(main)
