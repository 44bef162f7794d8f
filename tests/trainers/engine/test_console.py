"""Console output: the progress bar, tables, and lists of problems."""

import pytest

from trainers.engine import console


def test_there_is_no_progress_bar_without_a_terminal(capsys):
    assert console.progress("reading") is None
    assert capsys.readouterr().out == ""


def test_the_progress_bar_has_a_title_and_ends_at_the_total(monkeypatch, capsys):
    pytest.importorskip("tensorflow")
    monkeypatch.setattr(console, "is_terminal", lambda: True)
    show = console.progress("reading train", "image")
    for done in (1, 2, 3):
        show(done, 3)
    out = capsys.readouterr().out
    assert out.startswith("reading train\n")
    assert "3/3" in out


def test_tables_are_in_percent_and_aligned():
    rows = console.percent_rows([("Top-1 Clas", 0.123, ""), ("MaxBoxAcc", 1.0, "at 20%")])
    assert rows[0].index("12.3") + 4 == rows[1].index("100.0") + 5
    assert rows[1].endswith("100.0  at 20%")


def test_a_long_list_of_problems_is_counted_and_cut(capsys):
    console.print_problems("files are missing", [f"file {number}" for number in range(25)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "25 files are missing:"
    assert lines[1] == "  file 0"
    assert lines[-1] == "  and 5 more"
    assert len(lines) == 22
    console.print_problems("files are missing", [])
    assert capsys.readouterr().out == ""
