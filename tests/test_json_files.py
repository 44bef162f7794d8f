"""Tests of reading JSON files that others wrote."""

import json
import os

import pytest

from keras_has.json_files import parse_json, read_json


@pytest.fixture
def write(tmp_path):
    def write_content(content):
        path = tmp_path / "x.json"
        path.write_bytes(content)
        return path

    return write_content


def test_values_are_those_of_json(write):
    value = {"a": [1, -2.5, 1e300, None, True, "é\n"], "b": {"c": {}}, "d": 2**64 - 1}
    assert read_json(write(json.dumps(value).encode())) == value
    assert read_json(write(b"\xef\xbb\xbf" + json.dumps(value).encode())) == value
    assert read_json(write(b"[1, 2]"), list) == [1, 2]
    assert parse_json('"text"', "x.json", object) == "text"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b'{"a": 1,\n "b": }', r"x\.json:2: "),
        (b"", r"x\.json:1: "),
        (b'{"a": 1,\n "b": "\xff"}', r"x\.json:2: .*UTF-8"),
        (b'{"a": 1}'.decode().encode("utf-16"), r"x\.json:1: .*UTF-8"),
        (b'{"a": NaN}', r"x\.json: .*NaN"),
        (b'{"a": -Infinity}', r"x\.json: .*-Infinity"),
        (b'{"a": 1e999}', r"x\.json: .*1e999"),
        (b'{"a": 18446744073709551616}', r"x\.json: .*18446744073709551616"),
        (b'{"a": ' + b"9" * 100_000 + b"}", r"x\.json: .*9{50} is"),
        (b'{"a": 1, "a": 2}', r"x\.json: .*'a' twice"),
        (b"[1]", r"x\.json: .*list \[1\]"),
        (b"null", r"x\.json: .*NoneType None"),
    ],
)
def test_errors_name_the_file_the_line_and_the_cause(write, content, named):
    with pytest.raises(ValueError, match=named):
        read_json(write(content))


@pytest.mark.parametrize("depth", [101, 500, 100_000])
@pytest.mark.parametrize("ends", [(b"[", b"]"), (b'{"a":', b"}"), (b"[", b"")])
def test_deep_nesting_is_refused_and_its_file_named(write, depth, ends):
    start, end = ends
    path = write(start * depth + (b"1" if end else b"") + end * depth)
    with pytest.raises(ValueError, match=r"x\.json:"):
        read_json(path, object)


def test_a_hundred_levels_are_read(write):
    value = read_json(write(b"[" * 100 + b"7" + b"]" * 100), list)
    for _ in range(100):
        (value,) = value
    assert value == 7


def test_errors_of_the_system_are_not_changed(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json")
    with pytest.raises(IsADirectoryError):
        read_json(tmp_path)


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "x.json")
    with pytest.raises(ValueError, match=r"x\.json"):
        read_json(tmp_path / "x.json")
