"""Evaluates your own score maps by the protocol of "Evaluating WSOL Methods Right".

  python -m trainers.evaluate --score_maps=DIR --metadata=metadata/CUB/test
  python -m trainers.evaluate --score_maps=DIR --boxes=boxes.csv --out=figures.json
  python -m trainers.evaluate --score_maps=DIR --masks=DIR

Score maps are .npy files of floats, (height, width), named after the image: the map of val/a.jpg is
val/a.jpg.npy or val/a.npy. With boxes, the command prints MaxBoxAcc, MaxBoxAccV2, GT-known Loc at a
fixed threshold and the centred box; with masks, PxAP. docs/evaluation.md explains them.
"""

import csv
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging

from keras_has.atomic_files import write_atomically
from trainers.engine.command import exit_on_error, refuse_arguments
from trainers.engine.console import print_problems, progress
from trainers.engine.json_files import write_json

_SCORE_MAPS = flags.DEFINE_string("score_maps", None, "Folder of .npy files.")
_METADATA = flags.DEFINE_string(
    "metadata", None, "Folder of one split of the wsolevaluation metadata, such as CUB/test."
)
_BOXES = flags.DEFINE_string(
    "boxes",
    None,
    "Table with a header: image,x0,y0,x1,y1 and, if --image_sizes is not given, width,height. With "
    "image_id in place of image, x1 and y1 are the last pixels of the box.",
)
_SIZES = flags.DEFINE_string(
    "image_sizes", None, "Table of image,width,height, if --boxes does not have them."
)
_HALF_OPEN = flags.DEFINE_boolean(
    "half_open", False, "Whether x1 and y1 of --boxes are outside the box even with image_id."
)
_MASKS = flags.DEFINE_string(
    "masks", None, "Folder of masks: those of --metadata, or NAME.png and NAME_ignore.png."
)
_ON_MISSING = flags.DEFINE_enum(
    "on_missing", "stop", ["stop", "skip"], "What to do if maps are missing or unreadable."
)
_THRESHOLD = flags.DEFINE_float(
    "threshold", 0.2, "Fraction of the map's maximum for GT-known Loc.", lower_bound=0
)
_INTERVAL = flags.DEFINE_float("threshold_interval", 0.001, "Step between thresholds.")
_OUT = flags.DEFINE_string("out", None, "File for figures and curves: .json, or .csv (curves).")
flags.mark_flag_as_required("score_maps")


def print_boxes(figures: dict[str, Any]) -> None:
    """Prints the figures of an evaluation with boxes."""

    def line(name: str, value: float, note: str) -> None:
        print(f"  {name:<28}{value:7.2%}   {note}")

    print(f"\n{figures['images']} images with boxes")
    if figures["images_without_boxes"]:
        print(f"  {figures['images_without_boxes']} images without boxes left out")
    if figures["degenerate_maps"]:
        print(f"  {figures['degenerate_maps']} maps constant or not finite")
    if figures["maps_without_gt_known_box"]:
        print(
            f"  {figures['maps_without_gt_known_box']} maps have no box for GT-known Loc, which "
            "counts as wrong: in float32, they are constant, not finite or nowhere above 0"
        )
    oracle = "at its best threshold on these images,"
    line("MaxBoxAcc", figures["max_box_acc"], f"{oracle} {figures['max_box_acc_threshold']:.3f}")
    line("MaxBoxAccV2", figures["max_box_acc_v2"], "mean of:")
    for iou, accuracy, threshold in zip(
        figures["max_box_acc_v2_iou_thresholds"],
        figures["max_box_acc_v2_accuracies"],
        figures["max_box_acc_v2_thresholds"],
        strict=True,
    ):
        line(f"  at IoU {iou:g}", accuracy, f"{oracle} {threshold:.3f}")
    fixed = figures["gt_known_loc_threshold"]
    line("GT-known Loc", figures["gt_known_loc"], f"at {fixed:.0%} of the maximum, set beforehand")
    side = figures["centred_box_side"]
    line("Centred box (GT-known Loc)", figures["centred_box"], f"of side {side:g}, the best here")


def print_masks(figures: dict[str, Any]) -> None:
    """Prints the figures of an evaluation with masks."""
    print(f"\n{figures['images']} images with masks")
    for name in ("images_without_masks", "images_without_foreground", "degenerate_maps"):
        if figures[name]:
            print(f"  {figures[name]} {name.replace('_', ' ')}")
    print(f"  {'PxAP':<28}{figures['pxap']:7.2%}")


def write(path: Path, figures: dict[str, Any]) -> None:
    """Writes all figures as JSON, or the curves as CSV."""
    if path.suffix == ".json":
        write_json(path, figures)
        return
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(figures["curves"])
    writer.writerows(zip(*figures["curves"].values(), strict=True))
    write_atomically(path, text.getvalue())


def main(argv: Sequence[str]) -> None:
    """Checks the flags, then reads, evaluates and prints."""
    refuse_arguments(argv)
    if (_METADATA.value is not None) + (_BOXES.value is not None) > 1 or not (
        _METADATA.value or _BOXES.value or _MASKS.value
    ):
        raise app.UsageError("one of --metadata, --boxes and --masks should be given.")
    if _BOXES.value and _MASKS.value:
        raise app.UsageError("--boxes and --masks should not be given together.")
    out = None if _OUT.value is None else Path(_OUT.value)
    if out is not None and out.suffix not in (".json", ".csv"):
        raise app.UsageError(f"--out should end in .json or .csv. Received: {out}")
    if _METADATA.value and (_SIZES.value or _HALF_OPEN.value):
        raise app.UsageError("--image_sizes and --half_open require --boxes.")
    logging.set_verbosity(logging.WARNING)
    with exit_on_error(OSError, ValueError, interrupted=""):
        if out is not None:  # fail before the evaluation if the folder cannot be created
            out.parent.mkdir(parents=True, exist_ok=True)
        evaluate(out)


def evaluate(out: Path | None) -> None:
    """Evaluates as the flags say, and writes the figures to a file if one is given."""
    from keras_has.data.readers import localization_truth as truths
    from keras_has.data.readers.score_maps import find_score_maps, load_score_map
    from keras_has.evaluation import score_maps

    masks = None if _MASKS.value is None else Path(_MASKS.value)
    if _METADATA.value:
        truth = truths.read_localization_metadata(Path(_METADATA.value), masks)
    elif _BOXES.value:
        sizes = truths.read_image_sizes(Path(_SIZES.value)) if _SIZES.value else None
        truth = truths.read_boxes(Path(_BOXES.value), sizes, _HALF_OPEN.value)
    else:
        truth = truths.read_mask_folder(Path(_MASKS.value))

    found = find_score_maps(Path(_SCORE_MAPS.value), truth.image_ids)
    bad = []
    for image, file in list(found.files.items()):
        try:
            load_score_map(file)
        except ValueError as error:
            bad.append(f"{file}: {error}")
            del found.files[image]
    print_problems("images have no score map", found.missing)
    print_problems("score maps cannot be used", bad)
    print_problems("score maps belong to no image and are not used", found.surplus)
    if (found.missing or bad) and _ON_MISSING.value == "stop":
        sys.exit("error: every image should have a score map. --on_missing=skip leaves them out.")
    print_problems("files of --masks are not used", truth.unused)
    if not found.files:
        sys.exit("error: there is no score map left to evaluate.")

    if not found.files.keys() & (truth.masks or truth.boxes).keys():
        sys.exit("error: none of the images with a score map has a true box or mask.")
    show = progress("evaluating", "map")
    if truth.masks:
        figures = score_maps.evaluate_score_maps_on_masks(truth, found.files, _INTERVAL.value, show)
        print_masks(figures)
    else:
        figures = score_maps.evaluate_score_maps_on_boxes(
            truth, found.files, _THRESHOLD.value, _INTERVAL.value, show
        )
        print_boxes(figures)
    figures |= {
        "missing_maps": len(found.missing),
        "unusable_maps": len(bad),
        "surplus_maps": len(found.surplus),
    }
    if out is not None:
        write(out, figures)
        print(f"written: {out}")


if __name__ == "__main__":
    app.run(main)
