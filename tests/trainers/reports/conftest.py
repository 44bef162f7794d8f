"""A browser without a window, where one is installed."""

import html
import json
import re
import shutil
import subprocess

import pytest


@pytest.fixture
def state_of_page(tmp_path):
    """Returns a function that opens a file at a fragment and returns what its script tells."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is installed")

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
