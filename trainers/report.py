r"""Writes an HTML page that shows where a run is right and wrong, and why.

  python -m trainers.report --run_dir=RUN --baseline_run_dir=OTHER --out=report.html

The run can be one of `trainers.imagenet`, `trainers.cifar` or `trainers.thumos`. The page is one
file that works without a network. It contains the figures of the run, compared with those of
another run on the same data, and where the run fails: maps with boxes or detections and kinds of
failure, or the curves, confusions and mistakes of a classifier. Needs Matplotlib:
`pip install keras-has[plots]`.
"""

import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging

from trainers.engine.command import exit_on_error, refuse_arguments

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of a finished run.", required=True)
_BASELINE_RUN_DIR = flags.DEFINE_string(
    "baseline_run_dir", None, "Folder of a finished run on the same data to compare with."
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of the dataset. Default: the one that the run was started with."
)
_OUT = flags.DEFINE_string("out", None, "File to write. Default: RUN_DIR/report.html.")
_IMAGES = flags.DEFINE_integer(
    "images", 24, "Number of images, or timelines of sequences, to show.", lower_bound=1
)
_COVERED_IMAGES = flags.DEFINE_integer(
    "covered_images",
    None,
    "Largest number of images for measuring the classification of partly covered objects; 0 for "
    "none. Default: 1000. Only for localization in images.",
    lower_bound=0,
)


def main(argv: Sequence[str]) -> None:
    """Writes the report."""
    refuse_arguments(argv)
    # Hides TensorFlow's warning about retracing, which comes once for each run.
    logging.set_verbosity(logging.ERROR)
    from trainers.reports.run_report import write_report

    with exit_on_error(OSError, ValueError, interrupted="Nothing was written."):
        out = write_report(
            _RUN_DIR.value,
            _BASELINE_RUN_DIR.value,
            _DATA_DIR.value,
            _OUT.value,
            _IMAGES.value,
            _COVERED_IMAGES.value,
        )
    print(f"written to {out} ({out.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    app.run(main)
