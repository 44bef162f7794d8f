import pytest

from keras_has.atomic_files import atomic_path, write_atomically


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_path(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_keeps_the_former_file_and_leaves_nothing(tmp_path, error):
    path = tmp_path / "a.txt"
    write_atomically(path, "former")
    with pytest.raises(error), atomic_path(path) as partial:
        partial.write_text("half")
        raise error
    assert path.read_text() == "former"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_the_suffix_can_be_kept_for_writers_that_look_at_it(tmp_path):
    with atomic_path(tmp_path / "a.weights.h5", keep_suffix=True) as partial:
        assert partial.name == "partial_a.weights.h5"
        partial.write_text("whole")
    assert [file.name for file in tmp_path.iterdir()] == ["a.weights.h5"]


@pytest.mark.parametrize("content, wanted", [("für", "für".encode()), (b"\x00\xff", b"\x00\xff")])
def test_text_is_written_as_utf8_and_bytes_as_they_are(tmp_path, content, wanted):
    write_atomically(tmp_path / "a", content)
    assert (tmp_path / "a").read_bytes() == wanted
