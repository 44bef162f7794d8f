r"""Runs several recipes over several seeds, and lays the results side by side.

  python -m trainers.compare --recipes=parts_gap,parts_has --seeds=3

Each run has a folder of its own below --out; finished ones are not done again, so the command can
be interrupted and started again, and seeds added later. Other flags of
`python -m trainers.imagenet` go behind a double dash:

  python -m trainers.compare --recipes=tiny_imagenet_gap,tiny_imagenet_has -- --data_dir=DIR
"""

import csv
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from absl import app, flags, logging

from trainers.engine.experiments import (
    OWN_FLAGS,
    Results,
    data_dir_among,
    mean_and_spread,
    own_flags_among,
    read_results,
    run_dir_of,
    run_jobs,
    training_job,
)
from trainers.engine.text_files import write_aside
from trainers.tasks.registry import find_recipe

_RECIPES = flags.DEFINE_list(
    "recipes", ["parts_gap", "parts_has"], "Recipes; the first is what the others are compared to."
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "How many seeds, from --first_seed on.", lower_bound=1)
_FIRST_SEED = flags.DEFINE_integer("first_seed", 0, "The first seed.", lower_bound=0)
_OUT = flags.DEFINE_string("out", "runs/compare", "Folder for the runs and the tables.")
_JOBS = flags.DEFINE_integer(
    "jobs", 1, "Runs at a time; with more than one, each computes on one core.", lower_bound=1
)

COLUMNS = (
    ("top1_clas", "Top-1 Clas"),
    ("gt_known_loc", "GT-known Loc, fixed"),
    ("gt_known_loc_cross_fitted", "GT-known Loc, cross-fitted"),
    ("gt_known_loc_best", "GT-known Loc, best"),
    ("top1_loc", "Top-1 Loc, fixed"),
    ("top1_loc_cross_fitted", "Top-1 Loc, cross-fitted"),
    ("max_box_acc_v2", "MaxBoxAccV2"),
    ("centred_box", "centred box"),
)
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")  # Okabe and Ito
_PICTURED_CLASSES = 8


def markdown_table(results: Results) -> str:
    """Returns mean and standard deviation over the seeds, and paired differences, in per cent."""
    recipes = list(results)
    seeds = sorted(results[recipes[0]])
    lines = [
        "| recipe | " + " | ".join(title for _, title in COLUMNS) + " |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]

    def values(recipe: str, key: str) -> np.ndarray:
        return 100 * np.array([results[recipe][seed].get(key, np.nan) for seed in seeds], "float64")

    for recipe in recipes:
        cells = [mean_and_spread(values(recipe, key)) for key, _ in COLUMNS]
        lines.append(f"| {recipe} | " + " | ".join(cells) + " |")
    for recipe in recipes[1:]:
        cells = [
            mean_and_spread(values(recipe, key) - values(recipes[0], key), signed=True)
            for key, _ in COLUMNS
        ]
        lines.append(f"| {recipe} - {recipes[0]} | " + " | ".join(cells) + " |")
    threshold = {f"{results[recipe][seeds[0]]['cam_threshold']:.0%}" for recipe in recipes}
    best = {
        recipe: ", ".join(
            f"{results[recipe][s].get('gt_known_loc_best_threshold', np.nan):.0%}" for s in seeds
        )
        for recipe in recipes
    }
    images = results[recipes[0]][seeds[0]]["images"]
    lines += [
        "",
        f"Per cent of {images} validation images; mean and standard deviation over "
        f"{len(seeds)} seed(s) ({', '.join(map(str, seeds))}); differences are paired by seed. "
        f"Fixed: {', '.join(sorted(threshold))} of the map's maximum. Cross-fitted: the threshold "
        "best on one half of the images, used on the other, both ways. Best: picked on the images "
        "it is scored on, so optimistic (as in MaxBoxAccV2); it was "
        + "; ".join(f"{thresholds} for {recipe}" for recipe, thresholds in best.items())
        + ". Centred box: of the size best on the training boxes; GT-known Loc below it is no "
        "localization.",
    ]
    return "\n".join(lines) + "\n"


def csv_table(results: Results) -> str:
    """Returns one line a run, fractions unrounded."""
    file = io.StringIO()
    names = [*(key for key, _ in COLUMNS), "gt_known_loc_best_threshold", "cam_threshold", "loss"]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["recipe", "seed", "images", *names])
    for recipe, runs in results.items():
        for seed, result in sorted(runs.items()):
            writer.writerow(
                [recipe, seed, result["images"], *(result.get(name, "") for name in names)]
            )
    return file.getvalue()


def plot_curves(results: Results, path: Path) -> None:
    """Draws GT-known Loc over the threshold, a line a recipe, its spread as a band."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
    for (recipe, runs), colour in zip(results.items(), _COLOURS * len(results), strict=False):
        thresholds = 100 * np.array(next(iter(runs.values()))["curve"]["thresholds"])
        curves = 100 * np.array([run["curve"]["gt_known_loc"] for run in runs.values()])
        axes.plot(thresholds, curves.mean(axis=0), color=colour, label=recipe)
        if len(curves) > 1:
            low, high = curves.min(axis=0), curves.max(axis=0)
            axes.fill_between(thresholds, low, high, color=colour, alpha=0.2, linewidth=0)
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
    aside = path.with_name("aside_" + path.name)
    figure.savefig(aside, dpi=150)
    plt.close(figure)
    aside.replace(path)


def draw_maps(results: Results, out: Path, data_dir: str | None) -> None:
    """Draws the same validation images with the map and the box of each recipe's first seed."""
    import tensorflow as tf

    from keras_has import drawing
    from keras_has.ops.boxes import box_iou
    from trainers.engine.runs import RunDirectory
    from trainers.recipes import ImageRecipe
    from trainers.tasks.image_localization import ImageLocalization

    recipes = list(results)
    seed = min(results[recipes[0]])
    run_dirs = {recipe: run_dir_of(out, recipe, seed) for recipe in recipes}
    resolved = RunDirectory(run_dirs[recipes[0]]).read_recipe(ImageRecipe)
    split = ImageLocalization(resolved, data_dir).read_split("val")
    boxed = np.flatnonzero([len(boxes) > 0 for boxes in split.boxes])
    if not len(boxed):
        return
    # The first image with a box of each of some classes, spread evenly: not picked.
    classes, first = np.unique(split.labels[boxed], return_index=True)
    spread = np.linspace(0, len(classes) - 1, min(_PICTURED_CLASSES, len(classes))).astype(int)
    chosen = split.select(boxed[first[spread]])
    examples = list(chosen.examples().as_numpy_iterator())
    side = 144
    rows = [[drawing.localization_tile(e["image"], None, e["boxes"], (), side) for e in examples]]
    captions = [[chosen.class_names[e["label"]] for e in examples]]
    for recipe in recipes:
        model = tf.saved_model.load(str(run_dirs[recipe] / "saved_model"))
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
    drawing.write_png(out / "maps.png", drawing.sheet(rows, captions=captions, heading=heading))


def main(argv: Sequence[str]) -> None:
    """Runs and compares."""
    logging.set_verbosity(logging.WARNING)
    flags_for_all = list(argv[1:])
    recipes = list(_RECIPES.value)
    try:
        datasets = {find_recipe(recipe).dataset for recipe in recipes}
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    if len(datasets) > 1:
        raise app.UsageError(f"--recipes should be of one data set. They are of {datasets}.")
    if own_flags_among(flags_for_all):
        raise app.UsageError(
            f"{', '.join(OWN_FLAGS)} are set for each run; they cannot be passed on."
        )
    out = Path(_OUT.value)
    seeds = range(_FIRST_SEED.value, _FIRST_SEED.value + _SEEDS.value)
    try:
        # Seed by seed, so that an interrupted comparison holds pairs.
        run_jobs(
            [
                training_job(recipe, seed, out, flags_for_all)
                for seed in seeds
                for recipe in recipes
            ],
            _JOBS.value,
        )
        results: Results = {
            recipe: {seed: read_results(run_dir_of(out, recipe, seed)) or {} for seed in seeds}
            for recipe in recipes
        }
    except RuntimeError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command goes on from there.")
    table = markdown_table(results)
    for name, text in (("comparison.md", table), ("comparison.csv", csv_table(results))):
        write_aside(out / name, text)
    draw_maps(results, out, data_dir_among(flags_for_all))
    written = ["comparison.md", "comparison.csv", "maps.png"]
    try:
        plot_curves(results, out / "curves.png")
        written.append("curves.png")
    except ImportError:
        print("curves.png is not drawn: it needs `pip install keras-has[plots]`.")
    print(f"\n{table}\nwritten to {out}: {', '.join(written)}")


if __name__ == "__main__":
    app.run(main)
