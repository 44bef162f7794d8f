"""The file and the title of a report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from trainers.engine.run_error import RunError
from trainers.reports.finished_run import FinishedRun


def report_file(run_path: Path, out: str | os.PathLike[str] | None) -> Path:
    """Returns the file to write: `out`, or `report.html` in the folder of the run.

    Raises:
        RunError: If it is a folder.
    """
    file = run_path / "report.html" if out is None else Path(out)
    if file.is_dir():
        raise RunError(f"`--out` should be a file. Received: {file}, which is a folder.")
    return file


def report_title(runs: Sequence[FinishedRun]) -> str:
    """Returns the title of the page.

    Args:
        runs: The baseline, if there is one, and last the run.
    """
    title = f"Why did it fail? {runs[-1].name}"
    return title + (f", compared with {runs[0].name}" if len(runs) > 1 else "")
