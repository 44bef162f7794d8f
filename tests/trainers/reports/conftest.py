"""Pages of reports, as a browser would see them; a browser, where one is installed."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, file):
        super().__init__()
        self.file = file
        self.elements, self.text, self.rows, self._inside = [], [], [], []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        self.text.append(data)
        if {"th", "td"} & set(self._inside):
            self.rows[-1][-1] += data.strip()

    def of_tag(self, tag):
        """Returns the attributes of all elements of a tag."""
        return [attributes for name, attributes in self.elements if name == tag]

    def all_rows(self, title):
        return [row[1:] for row in self.rows if row and row[0] == title]

    def row(self, title):
        return self.all_rows(title)[0]

    def counts(self, title):
        """Returns the numbers of each row of that title."""
        return np.array([[int(cell.split()[0]) for cell in row] for row in self.all_rows(title)])

    def check_self_contained(self):
        """Nothing is loaded from elsewhere, and nothing but the page's own script runs."""
        tags = {tag for tag, _ in self.elements}
        assert not tags & {"link", "iframe", "img", "object", "base"}
        for tag, attributes in self.elements:
            assert not [key for key in attributes if key.startswith("on")]
            assert "src" not in attributes
            if "href" in attributes:
                wanted = "#" if tag in ("a", "use") else "data:image/jpeg;base64,"
                assert attributes["href"].startswith(wanted)
        text = self.file.read_text(encoding="utf-8")
        for word in ("http://", "https://", "@import"):
            assert word not in text
        assert not list(self.file.parent.glob("*.tmp"))

    def check_readable(self):
        """Pictures say what they are, headings have their order, and links lead somewhere."""
        for picture in self.of_tag("svg"):
            assert picture["role"] == "img"
            assert picture["aria-label"]
        levels = [int(tag[1]) for tag, _ in self.elements if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert max(np.diff(levels)) == 1
        identities = [attributes["id"] for _, attributes in self.elements if "id" in attributes]
        assert len(identities) == len(set(identities))
        assert {attributes["href"][1:] for attributes in self.of_tag("a")} <= set(identities)


@pytest.fixture
def page_of():
    """Returns a function that reads a page of a report."""
    return Page


@pytest.fixture
def results_of(run_dirs):
    """Returns a function from the name of one of the runs to its results."""
    return lambda name: json.loads((run_dirs / name / "results.json").read_text())


@pytest.fixture
def state_of_page(tmp_path, skip_unless_required):
    """Returns a function that opens a file at a fragment and returns what its script tells."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        skip_unless_required("browser", "no Chromium is installed")

    def state(file, fragment=""):
        done = subprocess.run(  # noqa: S603 - found above
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--virtual-time-budget=5000",
                f"--user-data-dir={tmp_path / 'profile'}",
                "--dump-dom",
                f"{file.resolve().as_uri()}#{fragment}",
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        found = re.search(r'data-state="([^"]*)"', done.stdout)
        assert found, done.stderr[-2000:]
        return json.loads(html.unescape(found[1])), done.stdout

    return state
