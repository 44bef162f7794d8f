"""boxes.csv: what is read, what is written, and what is refused."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_has.data.readers.boxes_csv import BoxRow, check_size, read_boxes_csv, write_boxes_csv

HEADER = "image,x0,y0,x1,y1\n"


@pytest.fixture
def read(tmp_path):
    def read_text(text, **options):
        path = tmp_path / "boxes.csv"
        path.write_text(text)
        return read_boxes_csv(path, **options)

    return read_text


def test_columns_are_found_by_their_names_in_any_order(read):
    expected = BoxRow("a.jpg", (1, 2, 30.5, 4), "dog", 0.25, (40, 60))
    for text in (
        "image,class,probability,x0,y0,x1,y1,width,height\na.jpg,dog,0.25,1,2,30.5,4,60,40\n",
        "height,width,y1,x1,y0,x0,probability,class,path\n40,60,4,30.5,2,1,.25,dog,a.jpg\n",
        "\ufeffImage, X0 ,Y0,X1,Y1,Class,Probability,Width,Height\r\n"
        '"a.jpg", 1,2,30.5,4,dog,0.25,60,40\r\n',
    ):
        (row,) = read(text)
        assert row.where.endswith("boxes.csv:2")
        assert dataclasses.replace(row, where="") == expected


def test_last_pixels_become_half_open_in_the_former_table_alone(read):
    assert read("image_id,x0,y0,x1,y1\na,1,2,3,4\n")[0].corners == (1, 2, 4, 5)
    assert read("image_id,x0,y0,x1,y1\na,1,2,3,4\n", half_open=True)[0].corners == (1, 2, 3, 4)
    assert read("image,x0,y0,x1,y1\na,1,2,3,4\n")[0].corners == (1, 2, 3, 4)
    assert read("path,x0,y0,x1,y1\na,1,2,3,4\n")[0].corners == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("", "the header should be image,x0,y0,x1,y1"),
        ("a.jpg,1,2,3,4", "does not say whether x1 and y1 belong to the box"),
        ("image,x,y,w,h", "Received: 'image,x,y,w,h'"),
        ("image,x0,y0,x1", "Received"),
        ("image,path,x0,y0,x1,y1", "Received"),
        ("image,x0,y0,x1,y1,width", "width and height together"),
        ("image,x0,y0,x1,y1,x1", "Received"),
        ("image,x0,y0,x1,y1,score", "Received"),
    ],
)
def test_a_header_that_leaves_a_doubt_is_refused(read, header, named):
    with pytest.raises(ValueError, match=r"boxes\.csv:1: the header should be") as error:
        read(f"{header}\na,1,2,3,4\n" if header else "")
    assert named in str(error.value)


def test_every_bad_line_is_named_at_once(read):
    lines = [
        "a,1,2,3,4,50,40",
        "a,3,2,1,4,50,40",
        "a,1,2,3,4,40,50",
        "b,1,2,3,4",
        "c,1,2,x,4,50,40",
        "d,60,2,70,4,50,40",
        "e,1,2,3,400,50,40",
        "f,1,2,3,4,200000,200000",
        ",1,2,3,4,50,40",
        "g,1,2,3,,50,40",
    ]
    with pytest.raises(ValueError) as error:
        read("image,x0,y0,x1,y1,width,height\n" + "\n".join(lines))
    text = str(error.value)
    assert "Received: 9 problems." in text
    for number, part in (
        (3, "inverted or empty"),
        (4, "'a' of 40 x 50 here and 50 x 40 in"),
        (5, "a line should be image,x0,y0,x1,y1,width,height"),
        (6, "four numbers"),
        (7, "overlap its image of 50 x 40"),
        (8, "by more than its size"),
        (9, "width=200000"),
        (10, "name an image"),
        (11, "four numbers"),
    ):
        (line,) = [line for line in text.splitlines() if f"boxes.csv:{number}: " in line]
        assert part in line


def test_fractions_of_the_image_are_refused_but_small_boxes_beside_others_are_not(read):
    with pytest.raises(ValueError, match="in pixels.*fractions"):
        read(f"{HEADER}a,0.1,0.2,0.5,1\nb,0,0,1,1\n")
    assert len(read(f"{HEADER}a,0.1,0.2,0.5,1\nb,0,0,1,2\n")) == 2


def test_a_line_without_corners_is_an_image_in_which_nothing_was_found(read):
    first, second = read("image,class,probability,x0,y0,x1,y1\na,dog,0.5,,,,\nb,dog,0.5,1,2,3,4\n")
    assert first.corners is None
    assert second.corners == (1, 2, 3, 4)


def test_what_is_written_is_read_again(tmp_path):
    rows = [
        BoxRow("dir/a, b.jpg", (0.0, 1.5, 20.0, 30.0), 'the "dog"', 0.1234, (40, 60)),
        BoxRow("c.jpg", None, "cat", 1.0, (40, 60)),
        BoxRow("d.jpg", (1.0, 2.0, 3.0, 4.0)),
    ]
    write_boxes_csv(tmp_path / "boxes.csv", rows)
    again = read_boxes_csv(tmp_path / "boxes.csv")
    for row, found in zip(rows, again, strict=True):
        for name in ("image", "corners", "class_name", "probability", "size"):
            assert getattr(found, name) == getattr(row, name)


def test_sizes_are_bounded_before_anything_is_allocated():
    assert check_size(2**14, 2**14, "x") == (2**14, 2**14)
    for width, height in ((2**14 + 1, 2**14), (0, 5), (2.5, 5), (np.inf, 1)):
        with pytest.raises(ValueError, match="x: width and height"):
            check_size(width, height, "x")


@given(st.text(max_size=60))
def test_random_tables_are_read_or_refused_with_their_place(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "boxes.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    for header in ("", HEADER):
        path.write_bytes((header + text).encode("utf-8", "surrogatepass"))
        try:
            read_boxes_csv(path)
        except ValueError as error:
            assert str(error).startswith(str(path))
