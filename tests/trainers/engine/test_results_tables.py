"""Tables that compare runs; every number is worked out by hand."""

import csv
import math

from trainers.engine.results_tables import (
    as_csv,
    as_markdown,
    as_text,
    mean_and_spread,
    table_cells,
)

RESULTS = {
    "plain": {0: {"loc": 0.50, "clas": 0.9}, 1: {"loc": 0.54, "clas": 0.9}},
    "hidden": {0: {"loc": 0.56, "clas": 0.8}, 1: {"loc": 0.60}},
    "missing": {},
}
PUBLISHED = {"plain": {"loc": 54.9}, "hidden": {"loc": 58.68}, "missing": {}}
COLUMNS = (("clas", "Top-1 Clas"),)
PUBLISHED_COLUMNS = (("loc", "GT-known Loc"),)


def test_mean_and_spread_are_of_all_seeds_or_not_given():
    assert mean_and_spread([50.0, 54.0]) == "52.0 ± 2.8"
    assert mean_and_spread([1.0], signed=True) == "+1.0"
    assert mean_and_spread([]) == mean_and_spread([1.0, math.nan]) == "-"


def test_rows_show_measured_and_published_figures_and_differences_paired_by_seed():
    cells = table_cells(
        RESULTS,
        COLUMNS,
        {"hidden": "plain", "missing": "plain"},
        published=PUBLISHED,
        published_columns=PUBLISHED_COLUMNS,
    )
    assert cells == [
        ["row", "GT-known Loc", "published", "Top-1 Clas", "seeds"],
        ["plain", "52.0 ± 2.8", "54.90", "90.0 ± 0.0", "2"],
        ["hidden", "58.0 ± 2.8", "58.68", "-", "2"],
        ["missing", "-", "-", "-", "0"],
        ["hidden - plain", "+6.0 ± 0.0", "+3.78", "-", "2"],
        ["missing - plain", "-", "-", "-", "0"],
    ]
    assert as_markdown(cells).splitlines()[1] == "|---|---|---|---|---|"
    assert len({line.index("5") for line in as_text(cells[1:2]).splitlines()}) == 1


def test_csv_has_one_line_per_run_with_unrounded_fractions():
    text = as_csv(RESULTS, ["loc", "clas"], "recipe", PUBLISHED, PUBLISHED_COLUMNS)
    rows = list(csv.DictReader(text.splitlines()))
    assert [(row["recipe"], row["seed"], row["loc"], row["clas"]) for row in rows] == [
        ("plain", "0", "0.5", "0.9"),
        ("plain", "1", "0.54", "0.9"),
        ("hidden", "0", "0.56", "0.8"),
        ("hidden", "1", "0.6", ""),
    ]
    assert float(rows[0]["published_loc"]) == 54.9 / 100
