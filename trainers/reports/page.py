"""An HTML page that needs no other file and no network.

Whatever is put in is escaped, unless it is `Markup` already, which only the functions of this
package make. The page's own rules for the browser (a content security policy) forbid any script but
the one it was made with, and anything from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Sequence
from typing import Any


class Markup(str):
    """Text that is HTML already; everything else is escaped before it gets on a page."""

    __slots__ = ()


def escape(value: Any) -> Markup:
    """Returns a value as HTML: `Markup` as it is, all else with `&<>"'` escaped.

    Example:

    >>> escape("a < b")
    'a &lt; b'
    >>> escape(escape("a < b"))
    'a &lt; b'
    """
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def join(parts: Iterable[Any]) -> Markup:
    """Returns the parts one after the other, each escaped."""
    return Markup("\n".join(escape(part) for part in parts))


def element(name: str, *content: Any, **attributes: Any) -> Markup:
    """Returns an element; attributes that are None or False are left out.

    Args:
        name: Of the element.
        *content: What it holds; escaped.
        **attributes: `class_` stands for `class`, other underscores for hyphens; escaped.

    Example:

    >>> element("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Markup(f"<{name}{shown}>{join(content)}</{name}>")


def paragraph(*content: Any, kind: str | None = None) -> Markup:
    """Returns a paragraph, of a class of the style sheet if `kind` is given: "note"."""
    return element("p", *content, class_=kind)


def section(heading: str, identity: str, *content: Any) -> Markup:
    """Returns a section under a heading of the second level.

    Args:
        heading: Its title.
        identity: Its id, for links; lower-case letters and hyphens.
        *content: What it holds.
    """
    name = f"{identity}-heading"
    return element(
        "section",
        element("h2", heading, id=name),
        *content,
        id=identity,
        aria_labelledby=name,
    )


def table(head: Sequence[Any], rows: Iterable[Sequence[Any]], caption: str) -> Markup:
    """Returns a table; the first cell of a row is its heading, the others are numbers.

    Args:
        head: Titles of the columns.
        rows: As many cells each.
        caption: What it shows.
    """
    titles = [element("th", title, scope="col") for title in head]
    lines = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", cell) for cell in row[1:]),
        )
        for row in rows
    ]
    body = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *titles)),
        element("tbody", *lines),
    )
    # A region that can be scrolled has to be reached with the keyboard, too.
    return element("div", body, class_="wide", tabindex="0", role="region", aria_label=caption)


def figure(picture: Markup, caption: Any) -> Markup:
    """Returns a plot or picture with its caption."""
    return element("figure", picture, element("figcaption", caption), class_="plot")


def data_element(identity: str, value: Any) -> Markup:
    r"""Returns values as JSON for the page's script; nothing in them can end the element.

    Example:

    >>> data_element("d", "</script>")
    '<script type="application/json" id="d">"\\u003c/script\\u003e"</script>'
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(f'<script type="application/json" id="{html.escape(identity)}">{text}</script>')


def data_uri(kind: str, content: bytes) -> str:
    """Returns bytes as an address that holds them, such as of "image/jpeg"."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def render(title: str, content: Iterable[Any], script: str = "") -> str:
    """Returns the whole page.

    Args:
        title: Of the page, and its first heading.
        content: Sections and paragraphs.
        script: JavaScript, or "" for none.

    Returns:
        The text of an HTML file.
    """
    code = f"<script>{script}</script>" if script else ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"'sha256-{digest}'" if script else "'none'"
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )
    return f"""<!DOCTYPE html>
<html lang="en" class="no-script">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{html.escape(title)}</h1>
{join(content)}
</main>
{code}
</body>
</html>
"""


# Colours of Okabe and Ito; --series-0 and so on are those of `plots`.
_STYLE = """
:root { --paper: #fff; --ink: #1a1a1a; --pale: #555; --rule: #c8c8c8; --shade: #f3f3f3;
  --series-0: #0072B2; --series-1: #D55E00; --series-2: #009E73; --series-3: #CC79A7; }
@media screen and (prefers-color-scheme: dark) {
  :root { --paper: #161616; --ink: #eaeaea; --pale: #b5b5b5; --rule: #4a4a4a; --shade: #242424;
    --series-0: #56B4E9; --series-1: #E69F00; --series-2: #2dbf97; --series-3: #CC79A7; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-top: 1px solid var(--rule);
  padding-top: 1rem; }
h3 { font-size: 1.02rem; margin: 1.4rem 0 .3rem; }
p, li, dd { max-width: 75ch; }
p { margin: .4rem 0; }
a { color: var(--series-0); }
nav ul { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; padding: 0; list-style: none; }
.note, figcaption, caption { color: var(--pale); font-size: .9rem; }
.warning { border-left: 4px solid var(--series-1); padding: .3rem .8rem; }
.wide { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; }
caption { text-align: left; padding: .3rem 0; }
th, td { padding: .25rem .8rem .25rem 0; text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--rule); }
th { font-weight: 600; }
th:first-child { text-align: left; font-weight: 400; min-width: 12rem; }
thead th:first-child { font-weight: 600; }
figure { margin: .8rem 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr));
  gap: 0 1.6rem; align-items: start; }
.plot svg { width: 100%; max-width: 640px; height: auto; display: block; }
.plot svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
.plot svg .axis { stroke: var(--pale); } .plot svg .grid { stroke: var(--rule); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr));
  gap: 1rem; padding: 0; margin: .6rem 0; list-style: none; }
.tiles.pairs { grid-template-columns: repeat(auto-fill, minmax(min(100%, 14rem), 1fr)); }
.tile { margin: 0; min-width: 0; }
.views { display: flex; gap: 4px; }
.view { flex: 1 1 0; min-width: 0; font-size: .8rem; color: var(--pale); text-align: center;
  overflow-wrap: anywhere; }
.view svg { width: 100%; height: auto; max-height: 14rem; display: block; background: #000; }
.tile figcaption { line-height: 1.35; overflow-wrap: anywhere; }
.tile strong { color: var(--ink); font-weight: 600; }
.true, .found, .edge { fill: none; vector-effect: non-scaling-stroke; }
.edge { stroke: #000; stroke-width: 4px; }
.true { stroke: #fff; stroke-width: 2px; stroke-dasharray: 5 3; }
.found { stroke: #FF8C00; stroke-width: 2px; }
.slider { position: sticky; top: 0; z-index: 1; background: var(--shade); padding: .6rem .9rem;
  border: 1px solid var(--rule); }
.slider input { width: min(100%, 36rem); display: block; accent-color: var(--series-1); }
.slider label { font-weight: 600; }
.no-script .slider { display: none; }
:focus-visible { outline: 3px solid var(--series-0); outline-offset: 2px; }
.key { display: inline-block; width: 1.7em; height: .75em; border: 2px solid #000; }
.key.of-true { background: #fff; } .key.of-found { background: #FF8C00; }
@media print { .slider { position: static; } section, .tile, figure { break-inside: avoid; }
  section { break-inside: auto; } .view svg { print-color-adjust: exact; } }
"""
