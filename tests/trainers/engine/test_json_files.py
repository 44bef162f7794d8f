"""JSON files: what JSON cannot express, and damaged files."""

import json
import math

import numpy as np
import pytest

from trainers.engine import json_files


def test_numbers_that_are_not_finite_become_null_and_come_back_as_nan(tmp_path):
    value = {"a": [0.5, math.nan, (math.inf,)], "b": np.float32(0.25), "c": np.int64(3), "d": "x"}
    json_files.write_json(tmp_path / "folder" / "file.json", value)

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    text = (tmp_path / "folder" / "file.json").read_text()
    assert json.loads(text, parse_constant=refuse) == {
        "a": [0.5, None, [None]],
        "b": 0.25,
        "c": 3,
        "d": "x",
    }
    again = json_files.null_to_nan(json_files.read_json(tmp_path / "folder" / "file.json"))
    assert math.isnan(again["a"][1])
    assert math.isnan(again["a"][2][0])
    assert (again["b"], again["c"], again["d"]) == (0.25, 3, "x")
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["file.json"]


def test_a_missing_file_is_none_and_a_damaged_one_raises(tmp_path):
    assert json_files.read_json(tmp_path / "file.json") is None
    (tmp_path / "file.json").write_text('{"a": ')
    with pytest.raises(ValueError, match=r"file\.json:1:"):
        json_files.read_json(tmp_path / "file.json")
