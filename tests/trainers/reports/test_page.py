"""Nothing that comes from data can become a part of the page's code."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from trainers.reports import page
from trainers.reports.failure_kinds import FailureKind
from trainers.reports.page import render_macro
from trainers.reports.tiles import View

ROOT = Path(__file__).resolve().parents[3]

NASTY = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"


class Elements(HTMLParser):
    """Collects elements with their attributes, and text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(str(text))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def render(script="", **values):
    """Returns a page made of the template that all reports extend."""
    values = {"title": "A page", "sections": {}, **values}
    return page.render("page.html.j2", script, **values)


def test_text_is_escaped_wherever_it_is_put():
    table = page.Table([NASTY, "b"], [[NASTY, NASTY]], NASTY)
    kind = FailureKind(NASTY, NASTY, NASTY)
    parts = [
        render_macro("note", NASTY),
        render_macro("warning", NASTY),
        render_macro("table", table),
        render_macro("rules", [kind]),
        render_macro("plot", page.Plot(Markup("<svg></svg>"), NASTY)),
        render_macro("groups", [page.Group(NASTY, NASTY, [])], "tiles"),
        render_macro("tile", [View(NASTY, (1, 1), [], NASTY, label=NASTY)], NASTY, NASTY),
    ]
    for text in [*parts, render(title=NASTY, sections={"one": NASTY})]:
        parsed = Elements(text)
        assert "img" not in {tag for tag, _ in parsed.elements}
        assert "script" not in {tag for tag, _ in parsed.elements}
        assert NASTY in parsed.text
    labels = [attributes.get("aria-label") for _, attributes in Elements(parts[2]).elements]
    assert NASTY in labels


@given(st.text())
def test_any_text_comes_back_from_a_table_as_it_was(text):
    text = text.replace("\r", "").replace("\0", "")
    parsed = Elements(render_macro("table", page.Table([], [], text)))
    assert parsed.elements[0][1]["aria-label"] == text
    assert text in parsed.text


@given(st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False, allow_infinity=False)))
def test_data_come_back_and_contain_no_html(values):
    text = render_macro("slider_data", [values], [], 0.5)
    content = re.search(r'<script type="application/json" id="[^"]*">(.*)</script>', text, re.S)[1]
    assert json.loads(content)["runs"] == [values]
    assert not set("<>&") & set(content)


def test_a_missing_variable_of_a_template_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="figures"):
        page.render("sequence_report.html.j2", title="A page", sections={}, run=[], runs=[])


def test_the_page_allows_only_its_own_script_and_nothing_from_elsewhere():
    text = render("threshold_slider.js")
    code = re.search(r"<script>(.*)</script>", text, re.S)[1]
    assert code == page.static_file("threshold_slider.js")
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in render()
    assert "<script" not in render()


def test_a_table_names_its_columns_and_rows():
    table = page.Table(["kind", "a"], [["first", 1], ["second", 2]], "What it shows")
    text = render_macro("table", table)
    assert text.count('scope="col"') == 2
    assert text.count('scope="row"') == 2
    assert "<caption>What it shows</caption>" in text


def test_templates_scripts_and_styles_are_part_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["trainers.reports"]
    folder = ROOT / "trainers" / "reports"
    packaged = {file for pattern in patterns for file in folder.glob(pattern)}
    others = {file for file in folder.rglob("*.*") if file.suffix not in (".py", ".pyc")}
    assert others
    assert packaged == others


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_script_is_valid_javascript():
    file = ROOT / "trainers" / "reports" / "static" / "threshold_slider.js"
    done = subprocess.run(["node", "--check", file], capture_output=True, text=True)  # noqa: S603, S607
    assert done.returncode == 0, done.stderr
