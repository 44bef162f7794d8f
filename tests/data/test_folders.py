"""Which files below a folder are images."""

import pytest

from keras_has.data.folders import find_images


def test_images_are_found_in_order_but_hidden_files_and_results_are_not(tmp_path):
    for name in ("b.JFIF", "a.jpe", "sub/c.webp", "sub/._c.webp", "notes.txt", "out/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_images(tmp_path, excluded=tmp_path / "out")
    assert found == [tmp_path / name for name in ("a.jpe", "b.JFIF", "sub/c.webp")]
    assert find_images(tmp_path / "notes.txt", excluded=tmp_path) == [tmp_path / "notes.txt"]


def test_a_folder_without_images_is_named(tmp_path):
    (tmp_path / "._a.jpg").touch()
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        find_images(tmp_path, excluded=tmp_path / "out")
