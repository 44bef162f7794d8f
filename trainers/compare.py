r"""Runs several recipes with several seeds, and compares the results.

  python -m trainers.compare --recipes=parts_gap,parts_has --seeds=3

Each run has a folder of its own below --out. Finished runs are not repeated, so that the command
can be interrupted and resumed, and seeds can be added later. Other flags of the training command,
such as `python -m trainers.imagenet`, follow a double dash:

  python -m trainers.compare --recipes=tiny_imagenet_gap,tiny_imagenet_has -- --data_dir=DIR
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from absl import app, flags, logging

from keras_has.atomic_files import atomic_path, write_atomically
from trainers.engine.command import exit_on_error
from trainers.engine.experiments import Experiment
from trainers.engine.results_tables import Results, as_csv, as_markdown, table_cells
from trainers.tasks.registry import TaskEntry, find_recipe, find_task

_RECIPES = flags.DEFINE_list(
    "recipes", ["parts_gap", "parts_has"], "Recipes; the others are compared to the first."
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 3, "Number of seeds, starting at --first_seed.", lower_bound=1
)
_FIRST_SEED = flags.DEFINE_integer("first_seed", 0, "The first seed.", lower_bound=0)
_OUT = flags.DEFINE_string("out", "runs/compare", "Folder for the runs and the tables.")
_JOBS = flags.DEFINE_integer(
    "jobs", 1, "Number of runs at a time; with more than one, each uses one core.", lower_bound=1
)

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")  # Okabe and Ito
_PICTURED_CLASSES = 8


def markdown_table(results: Results, entry: TaskEntry) -> str:
    """Returns the comparison as Markdown, in percent, with its notes.

    Args:
        results: Results by recipe and seed.
        entry: The task of the recipes.
    """
    task = entry.task_class()
    first, *others = results
    cells = table_cells(results, task.columns, dict.fromkeys(others, first), heading="recipe")
    seeds = sorted(results[first])
    notes = (
        f"Percent; mean and standard deviation over {len(seeds)} seed(s) "
        f"({', '.join(map(str, seeds))}); differences are paired by seed. "
        + task.table_notes([run for runs in results.values() for run in runs.values()])
    )
    best = "gt_known_loc_best_threshold"
    if best in results[first][seeds[0]]:
        notes += " Best thresholds: " + "; ".join(
            f"{', '.join(f'{runs[seed].get(best, np.nan):.0%}' for seed in seeds)} for {recipe}"
            for recipe, runs in results.items()
        )
        notes += "."
    return f"{as_markdown([line[:-1] for line in cells])}\n{notes}\n"


def csv_table(results: Results, entry: TaskEntry) -> str:
    """Returns one line per run, with unrounded fractions.

    Args:
        results: Results by recipe and seed.
        entry: The task of the recipes.
    """
    task = entry.task_class()
    keys = [task.examples, *(key for key, _ in task.columns)]
    others = ("gt_known_loc_best_threshold", "cam_threshold", "loss")
    any_run = next(run for runs in results.values() for run in runs.values())
    return as_csv(results, [*keys, *(key for key in others if key in any_run)], heading="recipe")


def plot_curves(results: Results, path: Path) -> None:
    """Plots GT-known Loc over the threshold, one line per recipe, with the range over the seeds."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
    for (recipe, runs), color in zip(results.items(), _COLORS * len(results), strict=False):
        thresholds = 100 * np.array(next(iter(runs.values()))["curve"]["thresholds"])
        curves = 100 * np.array([run["curve"]["gt_known_loc"] for run in runs.values()])
        axes.plot(thresholds, curves.mean(axis=0), color=color, label=recipe)
        if len(curves) > 1:
            low, high = curves.min(axis=0), curves.max(axis=0)
            axes.fill_between(thresholds, low, high, color=color, alpha=0.2, linewidth=0)
    first = next(iter(next(iter(results.values())).values()))
    if np.isfinite(first.get("centred_box", np.nan)):
        axes.axhline(100 * first["centred_box"], color="grey", linestyle="--", label="centred box")
    axes.axvline(100 * first["cam_threshold"], color="grey", linestyle=":", label="fixed threshold")
    axes.set_xlabel("threshold (% of the map's maximum)")
    axes.set_ylabel("GT-known Loc (% of images)")
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    seeds = len(next(iter(results.values())))
    axes.set_title(f"mean and range over {seeds} seed(s)", fontsize=10)
    axes.legend(frameon=False)
    with atomic_path(path, keep_suffix=True) as partial:
        figure.savefig(partial, dpi=150)
    plt.close(figure)


def draw_maps(results: Results, experiment: Experiment, entry: TaskEntry) -> bool:
    """Draws the same validation images with the map and the box of each recipe's first seed.

    Args:
        results: Results by recipe and seed.
        experiment: The experiment that made the runs.
        entry: The task of the recipes, which has to be localization in images.

    Returns:
        Whether there is an image with a box.
    """
    import tensorflow as tf

    from keras_has import drawing
    from keras_has.export import load_localizer
    from keras_has.ops.boxes import box_iou
    from trainers.engine.run_directory import RunDirectory
    from trainers.engine.run_error import RunError

    recipes = list(results)
    seed = min(results[recipes[0]])
    run_dirs = {recipe: experiment.run_dir(recipe, seed) for recipe in recipes}
    resolved = RunDirectory(run_dirs[recipes[0]]).read_recipe(entry.recipe_class)
    split: Any = entry.task_class()(resolved, experiment.data_dir).read_split("val")
    boxed = np.flatnonzero([len(boxes) > 0 for boxes in split["boxes"]])
    if not len(boxed):
        return False
    # The first image with a box in classes that are spread evenly: not hand-picked.
    classes, first = np.unique(split["label"][boxed], return_index=True)
    spread = np.linspace(0, len(classes) - 1, min(_PICTURED_CLASSES, len(classes))).astype(int)
    chosen = split.select(boxed[first[spread]])
    examples = list(chosen.examples().as_numpy_iterator())
    side = 144
    rows = [[drawing.localization_tile(e["image"], None, e["boxes"], (), side) for e in examples]]
    captions = [[chosen.class_names[e["label"]] for e in examples]]
    for recipe in recipes:
        try:
            model, _ = load_localizer(run_dirs[recipe] / "saved_model")
        except (OSError, ValueError) as error:
            raise RunError(str(error)) from error
        of_class = model.signatures["of_class"]
        tiles, texts = [], []
        for example in examples:
            found = of_class(
                images=tf.constant(example["image"][None]),
                class_index=tf.constant(example["label"][None]),
            )
            box = found["box"].numpy()[0]
            cam = found["cam"].numpy()[0]
            tiles.append(
                drawing.localization_tile(example["image"], cam, example["boxes"], [box], side)
            )
            texts.append(f"{recipe}\nIoU {box_iou(example['boxes'], box).max():.2f}")
        rows.append(tiles)
        captions.append(texts)
    threshold = results[recipes[0]][seed]["cam_threshold"]
    heading = (
        f"maps of the true class; true box white, predicted box orange (above {threshold:.0%} of "
        "the map's maximum)"
    )
    picture = drawing.sheet(rows, captions=captions, heading=heading)
    drawing.write_png(experiment.out / "maps.png", picture)
    return True


def draw(results: Results, experiment: Experiment, entry: TaskEntry) -> list[str]:
    """Draws what can be drawn of the results, and returns the names of the pictures."""
    if "curve" not in next(run for runs in results.values() for run in runs.values()):
        return []
    written = ["maps.png"] if draw_maps(results, experiment, entry) else []
    try:
        plot_curves(results, experiment.out / "curves.png")
    except ImportError:
        print("curves.png is not drawn: it needs `pip install keras-has[plots]`.")
    else:
        written.append("curves.png")
    return written


def main(argv: Sequence[str]) -> None:
    """Runs and compares the recipes."""
    logging.set_verbosity(logging.WARNING)
    names = list(_RECIPES.value)
    seeds = range(_FIRST_SEED.value, _FIRST_SEED.value + _SEEDS.value)
    try:
        recipes = [find_recipe(name) for name in names]
        experiment = Experiment(Path(_OUT.value), seeds, _JOBS.value, argv[1:])
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    datasets = {recipe.dataset for recipe in recipes}
    if len(datasets) > 1:
        raise app.UsageError(f"--recipes should be of one dataset. Received: {sorted(datasets)}")
    entry = find_task(recipes[0].TASK)
    with exit_on_error():
        # Seed by seed, so that an interrupted comparison contains pairs.
        experiment.run([experiment.training_job(name, seed) for seed in seeds for name in names])
        results = {name: experiment.results(name) for name in names}
        table = markdown_table(results, entry)
        write_atomically(experiment.out / "comparison.md", table)
        write_atomically(experiment.out / "comparison.csv", csv_table(results, entry))
        written = ["comparison.md", "comparison.csv", *draw(results, experiment, entry)]
    print(f"\n{table}\nwritten to {experiment.out}: {', '.join(written)}")


if __name__ == "__main__":
    app.run(main)
