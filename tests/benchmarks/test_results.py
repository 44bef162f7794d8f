"""What benchmarks write down, and what the report makes of it."""

import dataclasses

import numpy as np
import pytest

from benchmarks import report
from benchmarks.results import latest, read, record
from benchmarks.timing import Timed, interleaved

TIMES = {"plain": np.array([1.0, 2.0, 4.0]), "ours": np.array([0.5, 3.0, 4.4])}


@pytest.fixture
def rows(tmp_path):
    return record("hiding", "a batch", TIMES, "plain", {"ours": 1.15}, 10, file=tmp_path / "r.csv")


def test_candidates_take_turns_and_warm_up_is_not_timed():
    calls = []
    seconds = interleaved(
        {"a": lambda number: calls.append(("a", number)), "b": lambda number: calls.append("b")},
        repeats=2,
        warm_up=1,
    )
    assert calls == [("a", 0), "b", ("a", 1), "b", ("a", 2), "b"]
    assert {name: len(timed.seconds) for name, timed in seconds.items()} == {"a": 2, "b": 2}
    assert all((timed.processor_seconds >= 0).all() for timed in seconds.values())


def test_ratio_is_the_median_of_the_ratios_within_a_round(rows):
    plain, ours = rows
    assert (plain.ratio, plain.median, plain.unit) == (1.0, 2000.0, "ms")
    # 0.5 / 1, 3 / 2, 4.4 / 4: the median is 1.1, that of the medians would be 1.5.
    assert ours.ratio == pytest.approx(1.1)
    assert ours.ratio_of_minima == pytest.approx(0.5)
    # Their quartiles, 0.8 and 1.3, are on both sides of 1.15: another run may say otherwise.
    assert (ours.ratio_low, ours.ratio_high) == pytest.approx((0.8, 1.3))
    assert ours.is_met is True and ours.verdict == "met, within noise"
    assert plain.is_met is None and plain.verdict == ""


def test_cores_are_processor_time_by_time(tmp_path):
    timed = Timed(np.array([1.0, 3.0]), np.array([2.0, 4.0]))
    (row,) = record("hiding", "a batch", {"plain": timed}, "plain", file=tmp_path / "r.csv")
    assert row.cores == 1.5


def test_aim_is_missed_above_it(rows):
    missed = dataclasses.replace(rows[1], ratio=1.16, ratio_low=1.155, ratio_high=1.2)
    assert missed.is_met is False and missed.verdict == "not met"


def test_csv_holds_what_was_recorded_with_versions(rows, tmp_path):
    found = read(tmp_path / "r.csv")
    assert [row.candidate for row in found] == ["plain", "ours"]
    assert found[1].aim == 1.15 and found[0].aim is None
    assert found[1].ratio == pytest.approx(1.1)
    assert "keras " in found[0].versions and "cores" in found[0].machine
    record("hiding", "a batch", TIMES, "plain", file=tmp_path / "r.csv")
    assert len(read(tmp_path / "r.csv")) == 4


def test_unknown_candidate_in_the_aims_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"a batch: no candidate is called \['other'\]"):
        record("hiding", "a batch", TIMES, "plain", {"other": 1.0}, file=tmp_path / "r.csv")
    assert not (tmp_path / "r.csv").exists()


def test_broken_line_is_named_with_file_and_line(rows, tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(path.read_text().replace(",1.15,", ",much,"))
    with pytest.raises(ValueError, match=r"r\.csv:3: could not convert string to float: 'much'"):
        read(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"r\.csv:1: should name the columns date, benchmark"):
        read(path)


def test_line_that_was_cut_off_is_named_and_costs_no_other(rows, tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(path.read_text()[:-20])
    record("hiding", "another", TIMES, "plain", file=path)
    lines = path.read_text().splitlines()
    assert len(lines) == 5 and ",another,plain," in lines[3]
    path.write_text("\n".join([*lines[:2], lines[2].rpartition(",")[0], *lines[3:]]) + "\n")
    with pytest.raises(ValueError, match=r"r\.csv:3: should hold 20 values. Received: 19"):
        read(path)


def test_empty_file_is_begun(tmp_path):
    path = tmp_path / "r.csv"
    path.touch()
    record("hiding", "a batch", TIMES, "plain", file=path)
    assert len(read(path)) == 2


def test_last_run_of_a_benchmark_counts_and_devices_stay_apart(rows):
    renamed = dataclasses.replace(rows[0], comparison="a larger batch", date="2100-01-01T00:00")
    on_gpu = [dataclasses.replace(row, device="H100") for row in rows]
    found = latest([*rows, *on_gpu, renamed])
    # What the last run no longer has is gone; the GPU's run is another benchmark's.
    assert list(found) == [("hiding", "a batch (H100)"), ("hiding", "a larger batch")]
    assert [row.comparison for row in found["hiding", "a batch (H100)"]] == ["a batch (H100)"] * 2


def test_tables_replace_what_stood_between_their_marks(rows):
    text = "Before.\n<!-- benchmark: hiding -->\nold\n<!-- end -->\nAfter.\n"
    filled, without = report.insert(text, {"hiding": report.table([rows])})
    assert "old" not in filled and without == []
    assert filled.startswith("Before.\n<!-- benchmark: hiding -->\n**a batch** (3 rounds)")
    assert "| ours | 3000 | 1.1 | 0.8 to 1.3 | 1.15: met, within noise | 3 |" in filled
    assert filled.endswith("<!-- end -->\nAfter.\n")
    assert report.insert(filled, {"hiding": report.table([rows])})[0] == filled


def test_mark_without_results_is_left_as_it_is_and_named():
    text = "<!-- benchmark: boxes -->\nold\n<!-- end -->\n"
    assert report.insert(text, {}) == (text, ["boxes"])
    with pytest.raises(ValueError, match="says where tables belong"):
        report.insert("No marks.", {})


def test_aims_are_counted(rows):
    missed = dataclasses.replace(rows[1], ratio=2.0, ratio_low=1.9, ratio_high=2.1, aim=1.5)
    on_gpu = dataclasses.replace(rows[1], device="H100")
    text = report.table_of_aims({("hiding", "a batch"): rows, ("hiding", "b"): [missed, on_gpu]})
    assert "| hiding | a batch: ours | 1.1 | 0.8 to 1.3 | 1.15: met, within noise |" in text
    assert "| hiding | b: ours | 2 | 1.9 to 2.1 | 1.5: **not met** |" in text
    assert "CPU: 1 of 2 are met; 1 of all are within noise." in text
    assert text.endswith("H100: 1 of 1 are met; 1 of all are within noise.")


def test_report_command_draws_and_fills_the_document(rows, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    document = tmp_path / "generated" / "benchmarks.md"
    document.parent.mkdir()
    document.write_text("<!-- benchmark: aims -->\n<!-- end -->\n")
    monkeypatch.setattr(
        "sys.argv", ["report", f"--results={tmp_path / 'r.csv'}", f"--docs={tmp_path}"]
    )
    report.main()
    assert (tmp_path / "pictures" / "benchmark_hiding.png").read_bytes().startswith(b"\x89PNG")
    assert "1 of 1 are met" in document.read_text()
    assert not list(tmp_path.rglob("partial_*"))


def test_report_without_results_says_what_to_do(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("sys.argv", ["report", f"--results={tmp_path / 'none.csv'}"])
    with pytest.raises(SystemExit, match=r"none\.csv: no such file; `make bench` writes it"):
        report.main()
