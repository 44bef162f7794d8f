"""HTML pages from jinja2 templates: one self-contained file each.

Everything that a template inserts is escaped. The page's content security policy allows only its
own script, and nothing from other places.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from trainers.reports.proportions import percent

_FOLDER = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of a page.

    Args:
        head: Titles of the columns.
        rows: Cells of each row; the first is the heading of the row.
        caption: What the table contains.
    """

    head: Sequence[Any]
    rows: Sequence[Sequence[Any]]
    caption: str


@dataclasses.dataclass(frozen=True)
class Plot:
    """A plot of a page.

    Args:
        picture: An `svg` element.
        caption: The text below it.
    """

    picture: Markup
    caption: str


@dataclasses.dataclass(frozen=True)
class Group:
    """Examples under a heading.

    Args:
        title: The heading.
        note: How they were chosen, or "".
        entries: HTML of each example.
    """

    title: str
    note: str
    entries: Sequence[Markup]


def render(template: str, script: str = "", **values: Any) -> str:
    """Returns the text of a page.

    Args:
        template: Name of a file in `templates`.
        script: Name of a file in `static`, or "" for a page without a script.
        **values: The template's variables.

    Returns:
        The text of an HTML file.
    """
    code = static_file(script) if script else ""
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return (
        _environment()
        .get_template(template)
        .render(
            script=Markup(code),  # noqa: S704 - a file of this package
            script_source=Markup(f"'sha256-{digest}'" if code else "'none'"),  # noqa: S704
            style=Markup(static_file("report.css")),  # noqa: S704 - a file of this package
            **values,
        )
    )


def render_macro(name: str, *arguments: Any, **values: Any) -> Markup:
    """Returns the HTML of one of the macros in `templates/components.html.j2`.

    Example:

    >>> render_macro("note", "1 < 2")
    Markup('<p class="note">1 &lt; 2</p>')
    """
    macro = getattr(_environment().get_template("components.html.j2").module, name)
    return Markup(str(macro(*arguments, **values)).strip())  # noqa: S704 - escaped by the macro


def static_file(name: str) -> str:
    """Returns the text of a script or style sheet in `static`."""
    return (_FOLDER / "static" / name).read_text(encoding="utf-8")


def data_uri(media_type: str, content: bytes) -> str:
    """Returns bytes as a data URI, for example of media type "image/jpeg"."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    # `tojson` escapes <, >, & and ', so that no value can end the element that contains it.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.policies["json.dumps_function"] = json.dumps
    return environment


def size_of(*values: Markup | Mapping[str, Any]) -> int:
    """Returns how many characters HTML, and values that become JSON, add to a page."""
    return sum(len(value) if isinstance(value, str) else len(json.dumps(value)) for value in values)
