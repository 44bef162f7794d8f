"""Evaluates one's own score maps by the protocol of "Evaluating WSOL Methods Right".

  python -m trainers.evaluate --score_maps=DIR --metadata=metadata/CUB/test
  python -m trainers.evaluate --score_maps=DIR --boxes=boxes.csv --out=figures.json
  python -m trainers.evaluate --score_maps=DIR --masks=DIR

Score maps are .npy files of floats, (height, width), named by the image: that of val/a.jpg is
val/a.jpg.npy or val/a.npy. Against boxes it prints MaxBoxAcc, MaxBoxAccV2, GT-known Loc at a fixed
threshold and the centred box; against masks PxAP. docs/evaluation.md says what they mean.
"""

import csv
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging

_SCORE_MAPS = flags.DEFINE_string("score_maps", None, "Folder of .npy files.")
_METADATA = flags.DEFINE_string(
    "metadata", None, "Folder of one split of the wsolevaluation metadata, such as CUB/test."
)
_BOXES = flags.DEFINE_string(
    "boxes", None, "File of image_id,x0,y0,x1,y1, with or without ,width,height behind."
)
_SIZES = flags.DEFINE_string(
    "image_sizes", None, "File of image_id,width,height, where --boxes does not hold them."
)
_HALF_OPEN = flags.DEFINE_boolean(
    "half_open", False, "Whether x1 and y1 of --boxes are outside the box, not its last pixels."
)
_MASKS = flags.DEFINE_string(
    "masks", None, "Folder of masks: that of --metadata, or NAME.png and NAME_ignore.png."
)
_ON_MISSING = flags.DEFINE_enum(
    "on_missing", "stop", ["stop", "skip"], "What to do where maps are missing or unreadable."
)
_THRESHOLD = flags.DEFINE_float(
    "threshold", 0.2, "Fraction of the map's maximum for GT-known Loc.", lower_bound=0
)
_INTERVAL = flags.DEFINE_float("threshold_interval", 0.001, "Step between thresholds.")
_OUT = flags.DEFINE_string("out", None, "File for the figures and curves: .json, or .csv (curves).")
flags.mark_flag_as_required("score_maps")

_NAMED = 20


def print_list(title: str, names: Sequence[Any]) -> None:
    """Prints how many there are, and the first of them."""
    if names:
        print(f"{len(names)} {title}:")
        for name in names[:_NAMED]:
            print(f"  {name}")
        if len(names) > _NAMED:
            print(f"  and {len(names) - _NAMED} more")


def show_progress(done: int, of: int) -> None:
    """Keeps a line of the terminal up to date."""
    if sys.stderr.isatty():
        filled = 40 * done // of
        end = "\n" if done == of else ""
        print(f"\r[{'#' * filled:<40}] {done}/{of}", end=end, file=sys.stderr, flush=True)


def print_boxes(figures: dict[str, Any]) -> None:
    """Prints the figures of boxes."""

    def line(name: str, value: float, note: str) -> None:
        print(f"  {name:<28}{value:7.2%}   {note}")

    print(f"\n{figures['images']} images with boxes")
    if figures["images_without_boxes"]:
        print(f"  {figures['images_without_boxes']} images without boxes left out")
    if figures["degenerate_maps"]:
        print(f"  {figures['degenerate_maps']} maps constant or not finite")
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


def write(path: Path, figures: dict[str, Any]) -> None:
    """Writes all as JSON, or the curves as CSV; aside first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".tmp")
    with aside.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".json":
            json.dump(_without_nan(figures), file, indent=1, allow_nan=False)
        else:
            writer = csv.writer(file)
            writer.writerow(figures["curves"])
            writer.writerows(zip(*figures["curves"].values(), strict=True))
    aside.replace(path)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    return None if value != value else value


def main(argv: Sequence[str]) -> None:
    """Reads, evaluates, prints."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
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
        raise app.UsageError("--image_sizes and --half_open are for --boxes.")
    logging.set_verbosity(logging.WARNING)
    try:
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
        run(out)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


def run(out: Path | None) -> None:
    """Does what the flags say."""
    from trainers import score_map_files as files

    masks = None if _MASKS.value is None else Path(_MASKS.value)
    if _METADATA.value:
        truth = files.read_metadata(Path(_METADATA.value), masks)
    elif _BOXES.value:
        sizes = files.read_image_sizes(Path(_SIZES.value)) if _SIZES.value else None
        truth = files.read_boxes(Path(_BOXES.value), sizes, _HALF_OPEN.value)
    else:
        truth = files.read_mask_folder(masks)

    found = files.find_score_maps(Path(_SCORE_MAPS.value), truth.image_ids)
    bad = []
    for image, file in list(found.files.items()):
        try:
            files.load_score_map(file)
        except ValueError as error:
            bad.append(f"{file}: {error}")
            del found.files[image]
    print_list("images have no score map", found.missing)
    print_list("score maps cannot be used", bad)
    print_list("score maps belong to no image and are not used", found.surplus)
    if (found.missing or bad) and _ON_MISSING.value == "stop":
        sys.exit("error: every image should have a score map. --on_missing=skip leaves them out.")
    if not found.files:
        sys.exit("error: no score map is left to evaluate.")

    if truth.masks:
        figures = files.evaluate_masks(truth, found.files, _INTERVAL.value, show_progress)
        print(f"\n{figures['images']} images with masks")
        for name in ("images_without_masks", "images_without_foreground", "degenerate_maps"):
            if figures[name]:
                print(f"  {figures[name]} {name.replace('_', ' ')}")
        print(f"  {'PxAP':<28}{figures['pxap']:7.2%}")
    else:
        figures = files.evaluate_boxes(
            truth, found.files, _THRESHOLD.value, _INTERVAL.value, show_progress
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
