"""What the pages of all reports share: names of two runs, sections with links, the file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainers.reports import page
from trainers.reports.page import Markup, element
from trainers.runs import RunError


def tell_apart(run: Any, baseline: Any) -> None:
    """Gives two runs of one recipe a `name` and a `label` that differ."""
    if run.name == baseline.name:
        run.name += " (this run)"
        baseline.name += " (baseline)"
    if run.label == baseline.label:
        run.label, baseline.label = run.name, baseline.name


def report_page(
    shown: Sequence[Any], sections: Sequence[tuple[str, str, Markup | None]], script: str = ""
) -> str:
    """Returns a page with links to its sections.

    Args:
        shown: The run, the last; and before it the one to compare with, if there is one.
        sections: Identity, title and content of each; those without content are left out.
        script: JavaScript, or "" for none.
    """
    sections = [each for each in sections if each[2] is not None]
    links = [element("li", element("a", title, href=f"#{key}")) for key, title, _ in sections]
    title = f"Why did it fail? {shown[-1].name}"
    if len(shown) > 1:
        title += f", beside {shown[0].name}"
    return page.render(
        title,
        [
            element("nav", element("ul", *links), aria_label="Sections"),
            *(page.section(name, key, content) for key, name, content in sections),
        ],
        script,
    )


def report_file(run_path: Path, out: str | os.PathLike[str] | None) -> Path:
    """Returns the file to write: `out`, or `report.html` beside the run.

    Raises:
        RunError: If that is a folder.
    """
    file = run_path / "report.html" if out is None else Path(out)
    if file.is_dir():
        raise RunError(f"{file} is a folder: --out should be a file.")
    return file
