"""The report of a run on images: which sections it has, and what they say."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.callbacks.localized_image import LocalizedImage
from keras_has.metrics.max_box_accuracy_v2 import MaxBoxAccuracyV2
from keras_has.ops.boxes import box_iou, boxes_from_maps, scale_boxes
from trainers.image_task import TITLES
from trainers.reports import page, threshold_slider
from trainers.reports.failures import KINDS, count_kinds
from trainers.reports.image_sample import evenly, extremes, spread_over_classes
from trainers.reports.judged_run import JudgedRun, class_is_right
from trainers.reports.occlusion import SHARES
from trainers.reports.page import Markup, element, escape, paragraph
from trainers.reports.plots import Series, bar_plot, line_plot, ranked_bars
from trainers.reports.proportions import wilson_interval
from trainers.reports.tiles import quantize_map, restore_map, tile, tile_picture, tiles, view
from trainers.runs import RunError

_MOST_BYTES = 7_500_000
_EXAMPLES = 4
_MOST_CLASSES = 40
_COVER_SEED = 2017
_NOTHING = "\u2013"  # what a cell shows that has no number
_SIZES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
_FIGURES = (
    ("top1_clas", "Top-1 Clas"),
    ("gt_known_loc", "GT-known Loc, fixed threshold"),
    ("gt_known_loc_cross_fitted", "GT-known Loc, threshold cross-fitted"),
    ("gt_known_loc_best", "GT-known Loc, best threshold (optimistic)"),
    ("top1_loc", "Top-1 Loc, fixed threshold"),
    ("top1_loc_cross_fitted", "Top-1 Loc, threshold cross-fitted"),
    ("max_box_acc", "MaxBoxAcc, best threshold (optimistic)"),
    ("max_box_acc_v2", "MaxBoxAccV2, best thresholds (optimistic)"),
    ("centred_box", "Centred box: GT-known Loc without a network"),
)


def write_image_report(
    run_dir: str | os.PathLike[str],
    baseline_run_dir: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    images: int = 24,
    covered_images: int = 1000,
) -> Path:
    """Writes the report of a finished run, aside and renamed.

    Args:
        run_dir: The run.
        baseline_run_dir: A run on the same images to compare with, or None.
        data_dir: The data set's folder; None for the one that each run was started with.
        out: File to write; None for `report.html` in `run_dir`.
        images: How many images to show with maps.
        covered_images: On how many images to measure classification of partly covered objects.

    Returns:
        The file.

    Raises:
        RunError: If a run is not there or not finished, or the two are not of the same images.
    """
    run = JudgedRun(run_dir, data_dir)
    shown = [run]
    if baseline_run_dir is not None:
        baseline = JudgedRun(baseline_run_dir, data_dir, shares_data_with=run)
        _check_same_images(run, baseline)
        shown.insert(0, baseline)
        _tell_apart(run, baseline)
    file = run.path / "report.html" if out is None else Path(out)
    if file.is_dir():
        raise RunError(f"{file} is a folder: --out should be a file.")
    text = report_text(shown, images, covered_images)
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(file.name + ".tmp")
    aside.write_text(text, encoding="utf-8")
    aside.replace(file)
    return file


def report_text(shown: Sequence[JudgedRun], images: int, covered_images: int) -> str:
    """Returns the page.

    Args:
        shown: The run, the last; and before it the one to compare with, if there is one.
        images: How many images to show with maps.
        covered_images: On how many images to measure classification of partly covered objects.
    """
    run = shown[-1]
    has_boxes = any(image.iou is not None for image in run.images)
    # Examples of failures come first and take little; what the budget leaves is for the grid.
    failures = _failures(shown) if has_boxes else Markup("")
    grid = _grid(shown, images, _MOST_BYTES - len(failures))
    sections = [
        ("figures", "Figures", _figures(shown, has_boxes)),
        ("maps", "Maps and boxes", grid),
        ("thresholds", "Thresholds", _thresholds(shown) if has_boxes else None),
        ("classes", "Classes and sizes", _classes_and_sizes(shown, has_boxes)),
        ("failures", "Why boxes are wrong", failures if has_boxes else None),
        (
            "covered",
            "Partly covered objects",
            _covered(shown, covered_images) if has_boxes and covered_images else None,
        ),
    ]
    sections = [each for each in sections if each[2] is not None]
    links = [element("li", element("a", title, href=f"#{key}")) for key, title, _ in sections]
    title = f"Why did it fail? {run.name}"
    if len(shown) > 1:
        title += f", beside {shown[0].name}"
    return page.render(
        title,
        [
            element("nav", element("ul", *links), aria_label="Sections"),
            *(page.section(name, key, content) for key, name, content in sections),
        ],
        threshold_slider.SCRIPT,
    )


def _tell_apart(run: JudgedRun, baseline: JudgedRun) -> None:
    """Gives two runs of one recipe names that differ."""
    if run.name == baseline.name:
        run.name += " (this run)"
        baseline.name += " (baseline)"
    if run.label == baseline.label:
        run.label, baseline.label = run.name, baseline.name


def _check_same_images(run: JudgedRun, baseline: JudgedRun) -> None:
    for what, is_same in (
        ("images", np.array_equal(run.split.image_ids, baseline.split.image_ids)),
        ("classes", run.split.class_names == baseline.split.class_names),
        ("labels", np.array_equal(run.split.labels, baseline.split.labels)),
        ("boxes", all(map(np.array_equal, run.split.boxes, baseline.split.boxes))),
    ):
        if not is_same:
            raise RunError(
                f"{run.path} and {baseline.path} are not judged on the same {what} "
                f"({run.split.name} and {baseline.split.name}), so that they cannot be compared "
                "image by image. Choose another --baseline_run_dir."
            )


def _key_of(shown: Sequence[JudgedRun], run: JudgedRun) -> str:
    return "run" if run is shown[-1] else "baseline"


def _colour_of(shown: Sequence[JudgedRun], run: JudgedRun) -> int:
    return 1 if run is shown[-1] else 0


def _per_cent(value: float | None, signed: bool = False) -> str:
    if value is None or not math.isfinite(value):
        return _NOTHING
    return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"


def _figures(shown: Sequence[JudgedRun], has_boxes: bool) -> Markup:
    run = shown[-1]
    recipe = run.recipe
    head = ["Per cent", *(each.name for each in shown)]
    head += ["Difference"] if len(shown) > 1 else []
    rows = []
    for key, title in _FIGURES:
        values = [each.results.get(key) for each in shown]
        if all(value is None or not math.isfinite(value) for value in values):
            continue
        cells = [title, *(_per_cent(value) for value in values)]
        if len(shown) > 1:
            known = [math.nan if value is None else value for value in values]
            cells.append(_per_cent(known[1] - known[0], signed=True))
        rows.append(cells)
    facts = []
    for key, title in (
        ("cam_threshold", "Fixed threshold, per cent of the map's maximum"),
        ("gt_known_loc_best_threshold", "Best threshold, likewise"),
    ):
        values = [each.results.get(key) for each in shown]
        if any(value is not None and math.isfinite(value) for value in values):
            cells = [title, *(_per_cent(value).removesuffix(".0") for value in values)]
            facts.append(cells + [""] * (len(head) - len(cells)))
    kind = "tuning" if recipe.tuning_share else "validation"
    unboxed = sum(image.iou is None for image in run.images)
    parts: list[Any] = [
        paragraph(
            f"{len(run.images)} {kind} images of {run.split.name}, "
            f"{len(run.split.class_names)} classes. {recipe.name}: {recipe.description} "
            f"{recipe.model}, {recipe.epochs} epochs; maps by {recipe.cam}"
            f"{', ten crops' if recipe.crops == 10 else ''}."
        ),
        page.table(head, rows + facts, "From results.json of each run."),
    ]
    if unboxed and has_boxes:
        parts.append(paragraph(f"{unboxed} images have no true box: not in localization."))
    if not has_boxes:
        parts.append(
            paragraph("No image has a true box: localization is not measured.", kind="warning")
        )
    parts.append(
        paragraph(
            "The best threshold is picked on the images that it is scored on; the cross-fitted one "
            "on the other half of them. A method whose GT-known Loc is not above that of the "
            "centred box has not shown that it localizes.",
            kind="note",
        )
    )
    parts += [
        paragraph(
            f"Judged again for this page, {each.name} gives slightly other figures: "
            f"{'; '.join(differences)}.",
            kind="warning",
        )
        for each in shown
        if (differences := each.differences())
    ]
    return page.join(parts)


def _grid(shown: Sequence[JudgedRun], count: int, most_bytes: int) -> Markup:
    """The sample and the extremes, with the slider that moves all their boxes."""
    run = shown[-1]
    is_boxed = [image.iou is not None for image in run.images]
    candidates = np.flatnonzero(is_boxed) if any(is_boxed) else np.arange(len(run.images))
    half = count if not any(is_boxed) else count - 2 * (count // 4)
    places = spread_over_classes(run.split.labels[candidates], half)
    sample = [int(candidates[place]) for place in places]
    groups = [
        (
            "Not picked",
            "The first images of the classes, in the order of the data: a fair sample.",
            sample,
        ),
        *_extreme_groups(shown, count // 4, sample),
    ]
    rows = [row for _, _, of_group in groups for row in of_group]
    pixels = [each.with_pixels(rows) for each in shown]
    data: list[dict[str, Any]] = []
    used = left_out = 0
    parts: list[Any] = []
    for title, note, of_group in groups:
        entries = []
        for row in of_group:
            entry, of_script = _grid_tile(shown, [of_run[row] for of_run in pixels], row, len(data))
            size = len(entry) + len(json.dumps(of_script))
            if used + size > most_bytes:
                left_out += 1
                continue
            used += size
            entries.append(entry)
            data.append(of_script)
        if entries:
            parts += [element("h3", title), paragraph(note, kind="note"), tiles(entries)]
    if left_out:
        parts.append(
            paragraph(
                f"{left_out} of {len(rows)} images were left out to keep this page below 8 MB.",
                kind="warning",
            )
        )
    runs_of_script = [
        {
            "key": _key_of(shown, each),
            "name": each.name,
            "size": list(each.map_size),
            "thresholds": each.results.get("curve", {}).get("thresholds", []),
            "curve": _finite_or_none(each.results.get("curve", {}).get("gt_known_loc", [])),
        }
        for each in shown
    ]
    return page.join(
        [
            paragraph(
                "Maps of the true class over the image: yellow is the map's maximum, violet 0 and "
                "below. True boxes ",
                element("span", class_="key of-true"),
                " white and dashed, predicted boxes ",
                element("span", class_="key of-found"),
                " orange. A box is right if its IoU with a true one is above 0.5.",
            ),
            threshold_slider.slider(run.threshold),
            threshold_slider.without_script(run.threshold),
            *parts,
            *_agreement(shown, pixels),
            threshold_slider.slider_data(runs_of_script, data, run.threshold),
        ]
    )


def _finite_or_none(curve: Sequence[float]) -> list[float]:
    return list(curve) if all(math.isfinite(value) for value in curve) else []


def _extreme_groups(
    shown: Sequence[JudgedRun], count: int, sample: Sequence[int]
) -> list[tuple[str, str, list[int]]]:
    """The images, beyond the sample, where the runs differ most; without a baseline the IoU's."""
    ious = [
        np.array([np.nan if image.iou is None else image.iou for image in each.images])
        for each in shown
    ]
    if np.isnan(ious[-1]).all():
        return []
    note = "Picked at the fixed threshold: the extremes among all other images"
    if len(shown) == 1:
        best = extremes(ious[0], count, sample)
        worst = extremes(1 - ious[0], count, [*sample, *best])
        return [
            ("Worst boxes", f"{note}, by the IoU.", worst),
            ("Best boxes", f"{note}, by the IoU.", best),
        ]
    difference = ious[1] - ious[0]
    names = f"{shown[1].name}, against {shown[0].name}"
    by = f"{note}, by the difference of the IoU, whether the class is right or not."
    return [
        (f"Largest losses: {names}", by, extremes(-difference, count, sample)),
        (f"Largest gains: {names}", by, extremes(difference, count, sample)),
    ]


def _grid_tile(
    shown: Sequence[JudgedRun], images: Sequence[LocalizedImage], row: int, number: int
) -> tuple[Markup, dict[str, Any]]:
    """One image with the map of each run, and what the script has to know of it."""
    run, image = shown[-1], images[-1]
    names = run.split.class_names
    true_class = names[image.label]
    title = f"Image {image.image_id} of class {true_class}"
    views = [
        view(
            tile_picture(image.image, image.size),
            image.size,
            image.true_boxes,
            None,
            f"{title}, with its true box",
            "image",
        )
    ]
    said = []
    for each, of_run in zip(shown, images, strict=True):
        key = f"{_key_of(shown, each)}-{number}"
        iou = f"{of_run.iou:.2f}" if of_run.iou is not None else _NOTHING
        has_box = np.isfinite(of_run.box).all()
        views.append(
            view(
                tile_picture(of_run.image, of_run.size, _drawable(of_run.map)),
                of_run.size,
                of_run.true_boxes,
                of_run.box,
                f"{title}: map of {each.name}; at {each.threshold:.0%} of its maximum "
                + (f"the IoU is {iou}" if has_box else "it gives no box"),
                Markup(
                    f"{escape(each.label)} IoU "
                    + element("span", iou, data_iou=key if of_run.iou is not None else None)
                ),
                key,
            )
        )
        said.append(_said_of_class(each, of_run, names))
    of_script = {
        "size": list(image.size),
        "true_boxes": image.true_boxes.astype("float64").round(3).tolist(),
        "maps": {
            _key_of(shown, each): quantize_map(of_run.map)
            for each, of_run in zip(shown, images, strict=True)
        },
    }
    caption = [element("strong", true_class), f" · {image.image_id} · ", "; ".join(said)]
    return tile(views, *caption), of_script


def _drawable(cam: np.ndarray) -> np.ndarray:
    return np.nan_to_num(cam, nan=0.0, posinf=0.0, neginf=0.0)


def _said_of_class(run: JudgedRun, image: LocalizedImage, names: Sequence[str]) -> str:
    outcome = "right" if class_is_right(image) else "wrong"
    name = names[image.predicted_class]
    return f"{run.label} says {name} ({image.probability:.0%}, {outcome})"


def _agreement(
    shown: Sequence[JudgedRun], pixels: Sequence[dict[int, LocalizedImage]]
) -> list[Markup]:
    """How well the boxes of the maps on the page agree with those of the run."""
    same = total = 0
    largest = 0.0
    for each, images in zip(shown, pixels, strict=True):
        for image in images.values():
            quantized = quantize_map(image.map)
            if quantized is None:
                continue
            found = boxes_from_maps(restore_map(quantized)[None], each.threshold, each.map_size)
            box = scale_boxes(found[0], each.map_size, image.size)
            if not np.isfinite(box).all() or not np.isfinite(image.box).all():
                continue
            total += 1
            moved = np.abs(box - image.box) / np.array([*image.size[::-1]] * 2)
            largest = max(largest, float(moved.max()))
            if image.iou is not None:
                is_right = bool(box_iou(image.true_boxes, box).max() > 0.5)
                same += is_right == bool(image.is_localized)
    if not total:
        return []
    return [
        paragraph(
            "The slider works on maps of 256 levels and at most 64 x 64 places. At the fixed "
            f"threshold {same} of {total} boxes are right or wrong as in the run; no edge is moved "
            f"by more than {100 * largest:.1f}% of the image's side.",
            kind="note",
        )
    ]


def _thresholds(shown: Sequence[JudgedRun]) -> Markup | None:
    run = shown[-1]
    with_curve = [each for each in shown if each.results.get("curve")]
    if not with_curve:
        return None
    moment = ("fixed threshold", 100 * run.threshold)
    curves = [
        Series(
            each.name,
            [100 * value for value in each.results["curve"]["gt_known_loc"]],
            [100 * value for value in each.results["curve"]["thresholds"]],
            colour=_colour_of(shown, each),
        )
        for each in with_curve
    ]
    centred = 100 * run.results["centred_box"]
    x_label = "threshold (% of the map's maximum)"
    plots = [
        page.figure(
            line_plot(
                curves,
                x_label,
                "GT-known Loc (% of images)",
                "GT-known Loc over the threshold",
                [("centred box", centred)],
                moment=moment,
            ),
            f"GT-known Loc over the threshold, all {_boxed(run)} images with a true box. The "
            "threshold that suits a map belongs to the network: compare the curves' peaks, not one "
            "threshold alone.",
        )
    ]
    with_boxes = [each for each in shown if each.results.get("max_box_curves", {}).get("v2")]
    plots += [
        page.figure(
            line_plot(
                [_max_box_series(shown, each, place) for each in with_boxes],
                x_label,
                "images with a right box (%)",
                f"MaxBoxAccV2: share of right boxes at IoU {delta:.1f} over the threshold",
            ),
            f"MaxBoxAccV2 at IoU {delta:.1f}: maps between their minimum and maximum, any of all "
            "components' boxes counts. The highest point goes into the mean over the three IoU.",
        )
        for place, delta in enumerate(MaxBoxAccuracyV2().iou_thresholds)
        if with_boxes
    ]
    return element("div", *plots, class_="plots")


def _max_box_series(shown: Sequence[JudgedRun], run: JudgedRun, place: int) -> Series:
    curve = np.array(run.results["max_box_curves"]["v2"], "float64")[place]
    thresholds = 100 * np.arange(len(curve)) / len(curve)
    return Series(
        run.name, (100 * curve).tolist(), thresholds.tolist(), (), (), _colour_of(shown, run)
    )


def _boxed(run: JudgedRun) -> int:
    return sum(image.iou is not None for image in run.images)


def _outcomes(run: JudgedRun, key: str) -> np.ndarray:
    """Whether each image is right, NaN where that is not measured."""
    if key == "top1_clas":
        return np.array([float(class_is_right(image)) for image in run.images])
    return np.array(
        [np.nan if image.iou is None else float(image.iou > 0.5) for image in run.images]
    )


def _classes_and_sizes(shown: Sequence[JudgedRun], has_boxes: bool) -> Markup:
    keys = ["top1_clas"] + (["gt_known_loc"] if has_boxes else [])
    parts: list[Any] = [
        element("div", *[_by_class(shown, key) for key in reversed(keys)], class_="plots")
    ]
    if has_boxes:
        parts.append(
            element("div", *[_by_size(shown, key) for key in reversed(keys)], class_="plots")
        )
    return page.join(parts)


def _by_class(shown: Sequence[JudgedRun], key: str) -> Markup:
    run = shown[-1]
    labels = run.split.labels
    outcomes = [_outcomes(each, key) for each in shown]
    is_known = np.isfinite(outcomes[-1])
    classes = np.unique(labels[is_known])
    shares = [
        np.array([of_run[is_known & (labels == label)].mean() for label in classes])
        for of_run in outcomes
    ]
    order = np.argsort(-shares[-1], kind="stable")
    note = ""
    if len(order) > _MOST_CLASSES:
        half = _MOST_CLASSES // 2
        note = f" The {half} best and the {half} worst of {len(order)} classes."
        order = np.concatenate([order[:half], order[-half:]])
    title = TITLES[key]
    fixed = f" at {run.threshold:.0%} of the map's maximum" if key == "gt_known_loc" else ""
    return page.figure(
        ranked_bars(
            [run.split.class_names[classes[place]] for place in order],
            [
                Series(each.name, (100 * of_run[order]).tolist(), colour=_colour_of(shown, each))
                for each, of_run in zip(shown, shares, strict=True)
            ],
            f"{title} (% of the class's images)",
            f"{title} of each class",
            [int((is_known & (labels == classes[place])).sum()) for place in order],
        ),
        f"{title}{fixed} of each class, sorted by {run.name}; in brackets the number of images."
        + note,
    )


def _by_size(shown: Sequence[JudgedRun], key: str) -> Markup:
    """Accuracy by the share of the image that the largest true box takes."""
    run = shown[-1]
    shares = np.full(len(run.images), np.nan)
    for row, image in enumerate(run.images):
        if len(image.true_boxes):
            sides = image.true_boxes[:, 2:] - image.true_boxes[:, :2]
            shares[row] = np.prod(sides, axis=1).max() / np.prod(image.size)
    outcomes = [_outcomes(each, key) for each in shown]
    names, counts, members = [], [], []
    for low, high in itertools.pairwise(_SIZES):
        is_in = (shares >= low) & ((shares < high) | (high == 1.0))
        if is_in.any():
            names.append(f"{100 * low:.0f} to {100 * high:.0f}")
            counts.append(int(is_in.sum()))
            members.append(is_in)
    series = []
    for each, of_run in zip(shown, outcomes, strict=True):
        hits = [int(of_run[is_in].sum()) for is_in in members]
        series.append(_shares_with_ends(each.name, hits, counts, _colour_of(shown, each)))
    title = TITLES[key]
    return page.figure(
        bar_plot(
            names,
            series,
            "object's share of the image (%)",
            f"{title} (% of images)",
            f"{title} by the size of the object",
            counts,
        ),
        f"{title} by the share of the image that the largest true box takes. "
        "Lines: 95% intervals (Wilson).",
    )


def _shares_with_ends(
    name: str, hits: Sequence[int], counts: Sequence[int], colour: int, x: Sequence[float] = ()
) -> Series:
    ends = [wilson_interval(hit, count) for hit, count in zip(hits, counts, strict=True)]
    return Series(
        name,
        [100 * hit / count for hit, count in zip(hits, counts, strict=True)],
        x,
        [100 * low for low, _ in ends],
        [100 * high for _, high in ends],
        colour,
    )


def _failures(shown: Sequence[JudgedRun]) -> Markup:
    run = shown[-1]
    total = _boxed(run)
    both = [
        [count_kinds([kind for kind in each.kinds(judges_class) if kind]) for each in shown]
        for judges_class in (True, False)
    ]

    def cell(counts: dict[str, int], key: str) -> str:
        return f"{counts[key]} ({100 * counts[key] / total:.1f}%)"

    rows = []
    for kind in KINDS:
        of_class = [cell(counts, kind.key) for counts in both[0]]
        is_of_box = kind.key != "wrong_class"
        of_box = [cell(counts, kind.key) if is_of_box else _NOTHING for counts in both[1]]
        rows.append([kind.title, *of_class, *of_box])
    head = [
        "Kind",
        *(f"{each.label}: class and box" for each in shown),
        *(f"{each.label}: box alone" for each in shown),
    ]
    rules = [
        part
        for kind in KINDS
        for part in (element("dt", element("strong", kind.title)), element("dd", kind.rule))
    ]
    failed = [kind for kind in KINDS if kind.key != "right"]
    # Boxes are shown whether the class is right or not: there are more to see, and of each kind.
    kinds = {judges_class: run.kinds(judges_class) for judges_class in (True, False)}
    members = {
        kind.key: [
            row for row, of_row in enumerate(kinds[kind.key == "wrong_class"]) if of_row == kind.key
        ]
        for kind in failed
    }
    chosen = {key: evenly(rows_of_kind, _EXAMPLES) for key, rows_of_kind in members.items()}
    pixels = run.with_pixels([row for rows_of_kind in chosen.values() for row in rows_of_kind])
    parts: list[Any] = [
        paragraph(
            f"Each of the {total} images with a true box is of the first kind whose rule holds, at "
            f"{run.threshold:.0%} of the map's maximum. The paper shows failures of these kinds; "
            "the rules and their numbers are this project's choice. “Class and box” counts as "
            "Top-1 Loc does, “box alone” as GT-known Loc does."
        ),
        page.table(head, rows, "Images of each kind, and their share."),
        element("h3", "The rules, in the order in which they are tried"),
        element("dl", *rules),
        element("h3", f"Examples of {run.name}"),
        paragraph(
            "Of each kind evenly spread ones in the order of the data; those of wrong boxes by the "
            "box alone, whatever the class.",
            kind="note",
        ),
    ]
    for kind in failed:
        if chosen[kind.key]:
            entries = [_example_tile(run, pixels[row]) for row in chosen[kind.key]]
            parts += [
                element("h3", f"{kind.title}: {len(members[kind.key])} images"),
                tiles(entries, "tiles pairs"),
            ]
    return page.join(parts)


def _example_tile(run: JudgedRun, image: LocalizedImage) -> Markup:
    names = run.split.class_names
    title = f"Image {image.image_id} of class {names[image.label]}"
    true_boxes = image.true_boxes
    views = [
        view(
            tile_picture(image.image, image.size),
            image.size,
            true_boxes,
            image.box,
            f"{title}, with its true and its predicted box",
        ),
        view(
            tile_picture(image.image, image.size, _drawable(image.map)),
            image.size,
            true_boxes,
            image.box,
            f"{title}: map of {run.name}, with both boxes",
        ),
    ]
    caption = f" · {image.image_id} · IoU {image.iou:.2f}; {_said_of_class(run, image, names)}"
    return tile(views, element("strong", names[image.label]), caption)


def _covered(shown: Sequence[JudgedRun], most: int) -> Markup:
    run = shown[-1]
    rows = evenly([row for row, image in enumerate(run.images) if image.iou is not None], most)
    colour, whose = run.mean_colour()
    is_right = [each.right_under_covers(rows, colour, _COVER_SEED) for each in shown]
    counts = [len(rows)] * len(SHARES)
    series = [
        _shares_with_ends(
            each.name,
            of_run.sum(axis=0).tolist(),
            counts,
            _colour_of(shown, each),
            [100 * share for share in SHARES],
        )
        for each, of_run in zip(shown, is_right, strict=True)
    ]
    head = ["Share of the box covered", *(each.name for each in shown)]
    table_rows = [
        [f"{share:.0%}", *(_per_cent(of_run[:, place].mean()) for of_run in is_right)]
        for place, share in enumerate(SHARES)
    ]
    if len(shown) > 1:
        head.append("Difference ± 1.96 standard errors")
        for place, row in enumerate(table_rows):
            difference = is_right[1][:, place].astype(float) - is_right[0][:, place]
            error = 1.96 * difference.std() / math.sqrt(len(rows))
            row.append(f"{_per_cent(difference.mean(), signed=True)} ± {100 * error:.1f}")
    hides = [each.name for each in shown if any(each.recipe.patch_size)]
    caution = (
        f" {' and '.join(hides)} hid patches of one colour while training, which such covers "
        "resemble; a gain here need not carry over to objects hidden behind other things."
        if hides
        else ""
    )
    return page.join(
        [
            paragraph(
                "A network that learned with parts of objects hidden should still know an object "
                f"of which only some is to be seen. A rectangle of {whose} is laid into each true "
                "box, of the box's shape and at a random place; larger covers contain the smaller "
                f"ones, and every network sees the same.{caution}"
            ),
            page.figure(
                line_plot(
                    series,
                    "share of the object's box covered (%)",
                    "Top-1 Clas (% of images)",
                    "Top-1 Clas over the share of the object that is covered",
                    x_range=(0.0, 80.0),
                ),
                f"Top-1 Clas over the share of the true box that is covered; {len(rows)} images. "
                "Lines: 95% intervals (Wilson), of each network by itself.",
            ),
            page.table(
                head,
                table_rows,
                f"Top-1 Clas in per cent of the same {len(rows)} images"
                + ("; differences are paired by image." if len(shown) > 1 else "."),
            ),
        ]
    )
