"""What the pages of all reports share: sections with links, a warning, the file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from trainers.engine.runs import RunError
from trainers.reports import page
from trainers.reports.finished_run import FinishedRun
from trainers.reports.page import Markup, element, paragraph


def report_page(
    shown: Sequence[FinishedRun],
    sections: Sequence[tuple[str, str, Markup | None]],
    script: str = "",
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


def differing_figures(shown: Sequence[FinishedRun]) -> list[Markup]:
    """Returns a warning for each run that gives other figures now than when it was finished."""
    return [
        paragraph(
            f"Judged again for this page, {each.name} gives slightly other figures: "
            f"{'; '.join(differences)}.",
            kind="warning",
        )
        for each in shown
        if (differences := each.differences())
    ]


def report_file(run_path: Path, out: str | os.PathLike[str] | None) -> Path:
    """Returns the file to write: `out`, or `report.html` beside the run.

    Raises:
        RunError: If that is a folder.
    """
    file = run_path / "report.html" if out is None else Path(out)
    if file.is_dir():
        raise RunError(f"{file} is a folder: --out should be a file.")
    return file
