"""The documentation mentions only commands, flags, names, files and links that exist."""

import functools
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras_has  # noqa: E402
from trainers.tasks import registry  # noqa: E402

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
PAGES_OF_OLD_NAMES = ["CHANGELOG.md"]  # lists names and paths that no longer exist
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
FLAG = re.compile(r"(?<![\w-])--([a-z]\w*)")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def inline_code(text: str) -> list[str]:
    """Returns the code between single backticks, each on one line."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", FENCE.sub("", text))]


def commands(text: str) -> list[tuple[str, str]]:
    """Returns (module, arguments) of every `python -m` command in a page."""
    lines = text.replace("\\\n", " ").splitlines() + inline_code(text)
    found = []
    for line in lines:
        match = re.search(r"python -m ((?:trainers|benchmarks)[.\w]*)([^`#]*)", line)
        if match and not match[1].endswith(".NAME"):
            found.append((match[1].rstrip("."), match[2]))
    return found


@functools.cache
def flags_of(module: str) -> frozenset[str]:
    """Returns the flags that a command of `trainers` accepts, from its help."""
    run = subprocess.run(  # noqa: S603 - only this project's own commands
        [sys.executable, "-m", module, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = re.findall(r"^\s+--(?:\[no\])?(\w+)", run.stdout + run.stderr, re.MULTILINE)
    assert names, run.stderr
    return frozenset(names)


def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page, from its headings and its `id` attributes."""
    text = page.read_text(encoding="utf-8")
    names = set(re.findall(r'<a id="([^"]+)">', text))
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading))
        names.add(name.strip().lower().replace(" ", "-"))
    return names


def commands_with_flags() -> dict[str, set[str]]:
    """Returns the flags that any page passes to each command; arguments after ` -- ` excluded."""
    found: dict[str, set[str]] = {}
    for page in PAGES:
        for module, arguments in commands(page.read_text(encoding="utf-8")):
            given = FLAG.findall(arguments.split(" -- ")[0])
            found.setdefault(module, set()).update(given)
    return found


COMMANDS = commands_with_flags()


def test_readme_has_at_most_700_words():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 700


def test_python_code_in_the_readme_runs():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    layer, pipeline, training, video = re.findall(
        r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE
    )
    images = np.full((2, 224, 224, 3), 200, "uint8")
    names = {"dataset": tf.data.Dataset.from_tensor_slices(images)}
    for code in (layer, pipeline, video):
        exec(compile(code, "README.md", "exec"), names)  # noqa: S102 - this project's own text
    compile(training, "README.md", "exec")  # too slow to run here
    assert names["model"].output_shape == (None, 20)
    hidden = next(iter(names["dataset"])).numpy()
    assert hidden.shape == images.shape
    assert set(np.unique(hidden)) <= {200, 124, 116, 103}


@every_page
def test_links_lead_to_existing_files_and_headings(page):
    missing = []
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    assert not missing


@every_page
def test_paths_of_the_project_exist(page):
    if page.name in PAGES_OF_OLD_NAMES:
        return
    missing = []
    for code in inline_code(page.read_text(encoding="utf-8")):
        is_path = re.fullmatch(r"(keras_has|trainers|tests|benchmarks|docs)/[\w./]*", code)
        if is_path and not (ROOT / code).exists():
            missing.append(code)
    assert not missing


@every_page
def test_names_of_the_library_exist(page):
    if page.name in PAGES_OF_OLD_NAMES:
        return
    missing = []
    for name in set(re.findall(r"\bkeras_has((?:\.[A-Za-z_]\w*)+)", page.read_text("utf-8"))):
        value = keras_has
        for part in name.split(".")[1:]:
            if not hasattr(value, part) and hasattr(value, "__path__"):
                module = f"{value.__name__}.{part}"
                if importlib.util.find_spec(module) is not None:
                    importlib.import_module(module)
            if not hasattr(value, part):
                missing.append(f"keras_has{name}")
                break
            value = getattr(value, part)
    assert not missing


@every_page
def test_recipes_exist(page):
    names = re.findall(r"--recipes?=([\w,]+)", page.read_text(encoding="utf-8"))
    for name in {name for given in names for name in given.split(",")} - {"NAME"}:
        registry.find_recipe(name)


@pytest.mark.parametrize("module", sorted(COMMANDS))
def test_commands_exist(module):
    spec = importlib.util.find_spec(module)
    assert spec is not None
    if spec.submodule_search_locations is not None:  # a package runs if it has __main__
        assert importlib.util.find_spec(f"{module}.__main__") is not None


@pytest.mark.parametrize(
    "module", [name for name in sorted(COMMANDS) if name.startswith("trainers.") and COMMANDS[name]]
)
def test_commands_accept_the_flags_that_pages_pass(module):
    assert COMMANDS[module] - flags_of(module) == set()


def test_every_other_flag_belongs_to_a_command():
    mentioned = set()
    for page in PAGES:
        if page.name in PAGES_OF_OLD_NAMES:
            continue
        text = page.read_text(encoding="utf-8")
        for code in inline_code(text):
            if code.startswith("--"):
                mentioned.update(FLAG.findall(code))
        for _, arguments in commands(text):
            mentioned.update(FLAG.findall(arguments.partition(" -- ")[2]))
    known = set().union(*(flags_of(name) for name in COMMANDS if name.startswith("trainers.")))
    assert {name.removeprefix("no") if name not in known else name for name in mentioned} <= known
