"""Which files below a folder are images."""

import os
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest

from keras_has.data.folders import file_names, find_images, path_inside, printable


def test_images_are_found_in_order_but_hidden_files_and_results_are_not(tmp_path):
    for name in ("b.JFIF", "a.jpe", "sub/c.webp", "sub/._c.webp", "notes.txt", "out/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found, left_out = find_images(tmp_path, excluded=tmp_path / "out")
    assert left_out == [f"{tmp_path}: entries not read: 1 (.txt), such as 'notes.txt'"]
    assert found == [tmp_path / name for name in ("a.jpe", "b.JFIF", "sub/c.webp")]
    assert find_images(tmp_path / "notes.txt", excluded=tmp_path)[0] == [tmp_path / "notes.txt"]


def test_a_folder_without_images_is_named(tmp_path):
    (tmp_path / "._a.jpg").touch()
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        find_images(tmp_path, excluded=tmp_path / "out")


def test_links_in_a_circle_and_system_folders_are_not_entered(tmp_path):
    for name in ("a.png", "sub/b.png", "@eaDir/a.png", ".git/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    found, left_out = find_images(tmp_path, excluded=tmp_path / "out")
    assert found == [tmp_path / "a.png", tmp_path / "sub" / "b.png"]
    assert left_out == []


def test_names_that_are_not_utf8_are_found_and_described(tmp_path):
    for name in (b"caf\xe9.png", b"caf\xe9.txt"):
        os.close(os.open(os.fsencode(tmp_path) + b"/" + name, os.O_CREAT))
    found, (left_out,) = find_images(tmp_path, excluded=tmp_path / "out")
    assert [printable(file.name) for file in found] == ["caf\\xe9.png"]
    left_out.encode("utf-8")


def test_a_pipe_is_no_image_and_is_named(tmp_path):
    (tmp_path / "a.png").touch()
    os.mkfifo(tmp_path / "b.png")
    (tmp_path / "folder.png").mkdir()
    assert file_names(tmp_path) == ["a.png"]
    found, left_out = find_images(tmp_path, excluded=tmp_path / "out")
    assert found == [tmp_path / "a.png"]
    assert left_out == [f"{tmp_path}: entries not read: 1 (no regular file), such as 'b.png'"]
    with pytest.raises(ValueError, match=r"b\.png"):
        find_images(tmp_path / "b.png", excluded=tmp_path / "out")


@hypothesis.given(st.text(st.sampled_from("./\\ab:\0 "), max_size=8))
def test_no_id_leads_out_of_the_folder_of_the_results(name):
    folder = Path("/results/of/this run")
    try:
        path = path_inside(folder, name)
    except ValueError as error:
        assert "this run" in str(error)
    else:
        assert Path(os.path.normpath(path)).is_relative_to(folder)
        assert ".." not in path.parts
        assert path == folder / name


@pytest.mark.parametrize(
    "name", ["../a", "/a", "a/../../b", "..\\a", "C:\\a", "C:a", "", "a\0b", "a//b"]
)
def test_ids_that_lead_elsewhere_are_refused_by_name(name):
    with pytest.raises(ValueError, match="Received"):
        path_inside(Path("out"), name)


def test_usual_ids_with_folders_dots_and_accents_are_kept():
    for name in ("a.png", "train/dog/1.jpg", "v_1..2", "...", "München/ü.png"):
        assert path_inside(Path("out"), name) == Path("out") / name


def test_a_link_to_a_pipe_is_never_opened(tmp_path):
    (tmp_path / "pictures").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "pictures" / "p.png").symlink_to(tmp_path / "pipe")
    (tmp_path / "pictures" / "broken.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "pictures" / "a.png").touch()
    assert file_names(tmp_path / "pictures") == ["a.png", "broken.png"]
    (line,) = find_images(tmp_path / "pictures", excluded=tmp_path / "out")[1]
    assert "no regular file" in line
    assert "p.png" in line


def test_control_characters_in_names_are_escaped():
    assert printable("a\nb\tc\x07.png") == r"a\nb\tc\x07.png"
