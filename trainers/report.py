r"""Writes one HTML page that says why a run failed where it failed.

  python -m trainers.report --run_dir=RUN --baseline_run_dir=OTHER --out=report.html

The run may be one of `trainers.imagenet` or of `trainers.thumos`. The page needs no other file and
no network. It holds the figures of the run beside those of another one on the same images or
sequences, maps with boxes or detections, and kinds of failures.
"""

import os
import sys
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of a finished run.", required=True)
_BASELINE_RUN_DIR = flags.DEFINE_string(
    "baseline_run_dir", None, "Folder of a finished run on the same data to compare with."
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of the data set. Default: the one that the run was started with."
)
_OUT = flags.DEFINE_string("out", None, "File to write. Default: RUN_DIR/report.html.")
_IMAGES = flags.DEFINE_integer(
    "images", 24, "How many images, or timelines of sequences, to show with maps.", lower_bound=1
)
_COVERED_IMAGES = flags.DEFINE_integer(
    "covered_images",
    None,
    "On how many images at most to measure classification of partly covered objects; 0 for none. "
    "Default: 1000. Not for sequences.",
    lower_bound=0,
)


def main(argv: Sequence[str]) -> None:
    """Writes the report that the flags ask for."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.ERROR)  # TensorFlow warns of tracing once for each run
    from trainers.engine.runs import RunError
    from trainers.reports.run_report import write_report

    try:
        out = write_report(
            _RUN_DIR.value,
            _BASELINE_RUN_DIR.value,
            _DATA_DIR.value,
            _OUT.value,
            _IMAGES.value,
            _COVERED_IMAGES.value,
        )
    except (RunError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted. Nothing was written.")
    print(f"written to {out} ({out.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    app.run(main)
