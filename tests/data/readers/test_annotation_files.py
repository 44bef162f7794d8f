import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_has.data.readers.annotation_files import (
    clip_box,
    numbered_lines,
    parse_corners,
    read_class_names,
    read_voc_annotation,
)

SOUND = """<annotation>
  <folder>val</folder>
  <size><width>500</width><height>375</height><depth>3</depth></size>
  <!-- <object> in a comment
  -->
  <object>
    <name>n01751748</name>
    <part><name>head</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>9</xmax></bndbox></part>
    <bndbox><xmin>111</xmin><ymin>108</ymin><xmax>441</xmax><ymax>193.5</ymax></bndbox>
  </object>
  <object><name> dog </name>
    <bndbox><ymax>4</ymax><xmax>3</xmax><ymin>2</ymin><xmin> 1 </xmin></bndbox>
  </object>
</annotation>
"""


def test_lines_keep_their_numbers_without_blank_ones(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\xef\xbb\xbfa b\r\n\n  \nc\xc3\xa9")
    assert numbered_lines(path) == [(1, "a b"), (4, "cé")]


def test_a_file_that_is_not_utf8_is_named_with_its_line(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes(b"a\nb\xff")
    with pytest.raises(ValueError, match=re.escape(f"{path}:2: the file should be UTF-8")):
        numbered_lines(path)


def test_a_zero_byte_is_named_with_its_line(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes("a\nb".encode("utf-16-le"))
    with pytest.raises(ValueError, match=re.escape(f"{path}:1: ")):
        numbered_lines(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "lines.txt"))):
        numbered_lines(tmp_path / "lines.txt")


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=4, max_size=4))
def test_numbers_written_by_python_are_corners(numbers):
    assert parse_corners([str(number) for number in numbers], "file:1") == numbers


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "1e99", "1_0", "0x1", "\u0661", "1 2", "--1", "one"]
)
def test_what_is_no_pixel_position_raises_with_its_place(text):
    with pytest.raises(ValueError, match="file:7: the corners of a box should be four numbers"):
        parse_corners(["1", "2", text, "4"], "file:7")


@given(st.lists(st.text(max_size=8), max_size=6))
def test_random_texts_are_corners_or_raise_with_their_place(texts):
    try:
        corners = parse_corners(texts, "file:7")
    except ValueError as error:
        assert str(error).startswith("file:7: ")
    else:
        assert len(corners) == 4
        assert np.isfinite(corners).all()


def test_boxes_are_clipped_to_the_image():
    assert clip_box([-3, 2, 99, 8], (10, 20), "file:1") == [0, 2, 20, 8]
    assert clip_box([-3, 2, 99, 8], None, "file:1") == [-3, 2, 99, 8]


@pytest.mark.parametrize("corners", [[5, 0, 5, 4], [5, 0, 4, 4], [0, 3, 4, 3], [0, 9, 4, 3]])
@pytest.mark.parametrize("size", [None, (10, 20)])
def test_inverted_and_empty_boxes_raise_with_their_place(corners, size):
    with pytest.raises(ValueError, match=r"file:7: .* inverted or empty"):
        clip_box(corners, size, "file:7")


@pytest.mark.parametrize("corners", [[-5, 0, 0, 4], [20, 0, 22, 4], [0, -3, 4, -1], [0, 10, 4, 12]])
def test_boxes_outside_the_image_raise_with_their_place(corners):
    with pytest.raises(ValueError, match="file:7: a box should overlap its image of 20 x 10"):
        clip_box(corners, (10, 20), "file:7")


@given(
    st.lists(st.floats(-50, 50, width=32), min_size=4, max_size=4),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_clipped_boxes_lie_inside_and_within_the_box(corners, size):
    try:
        x0, y0, x1, y1 = clip_box(corners, size, "file:7")
    except ValueError as error:
        assert str(error).startswith("file:7: ")
    else:
        assert 0 <= x0 < x1 <= size[1]
        assert 0 <= y0 < y1 <= size[0]
        assert corners[0] <= x0
        assert corners[1] <= y0
        assert x1 <= corners[2]
        assert y1 <= corners[3]


def test_class_names_are_first_words_made_distinct(tmp_path, write_text):
    path = write_text(
        tmp_path / "words.txt",
        "n00000001\tgoldfish, Carassius auratus\nn00000002 crane\nn00000003\tcrane, bird\n"
        "n00000009\tunused\n",
    )
    wordnet_ids = ["n00000003", "n00000001", "n00000004", "n00000002"]
    assert read_class_names(path, wordnet_ids) == (
        "crane (n00000003)",
        "goldfish",
        "n00000004",
        "crane (n00000002)",
    )
    assert read_class_names(tmp_path / "none.txt", wordnet_ids) == tuple(wordnet_ids)


@pytest.mark.parametrize("line", ["n00000002", "goldfish n00000002", "n2 goldfish", "n00000002 ,"])
def test_lines_without_id_or_name_are_named(tmp_path, write_text, line):
    path = write_text(tmp_path / "words.txt", f"n00000001 cat\n{line}\n")
    with pytest.raises(ValueError, match=re.escape(f"{path}:2: a line should be a WordNet id")):
        read_class_names(path, ["n00000001"])


def test_voc_annotations_have_size_and_objects_with_lines(tmp_path, write_text):
    path = write_text(tmp_path / "a.xml", SOUND)
    annotation = read_voc_annotation(path)
    assert annotation.size == (375, 500)
    first, second = annotation.objects
    assert (first.name, first.corners) == ("n01751748", [111, 108, 441, 193.5])
    assert (second.name, second.corners) == ("dog", [1, 2, 3, 4])
    assert [first.where, second.where] == [f"{path}:6", f"{path}:11"]


@pytest.mark.parametrize(
    "size", ["", "<size/>", "<size><width>0</width><height>0</height></size>", "<size>500</size>"]
)
def test_a_size_that_is_not_told_is_unknown(tmp_path, write_text, size):
    annotation = read_voc_annotation(
        write_text(tmp_path / "a.xml", f"<annotation>{size}</annotation>")
    )
    assert annotation.size is None
    assert annotation.objects == ()


BILLION_LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>
<annotation><folder>&lol2;</folder></annotation>
"""
EXTERNAL = """<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/passwd">]>
<annotation><object><name>&secret;</name></object></annotation>"""


@pytest.mark.parametrize(("text", "line"), [(BILLION_LAUGHS, 2), (EXTERNAL, 1)])
def test_documents_with_entities_are_refused_unparsed(tmp_path, write_text, text, line):
    path = write_text(tmp_path / "a.xml", text)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}:{line}: .* entity declaration"):
        read_voc_annotation(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_no_encoding_hides_an_entity(tmp_path, encoding):
    path = tmp_path / "a.xml"
    path.write_bytes(EXTERNAL.encode(encoding))
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_voc_annotation(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: the file should be well-formed XML"),
        ("<annotation>\n<object>\n</annotation>", ":3: the file should be well-formed XML"),
        ("<annotation>&lol;</annotation>", ":1: the file should be well-formed XML"),
        ("<annotation>\n<object/></annotation>", ":2: an object should have a <name>"),
        (
            "<annotation>\n<object><name>x</name><bndbox/></object></annotation>",
            ":2: the corners of a box should be four",
        ),
        (
            "<annotation><object><name>x</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
            "<xmax>wide</xmax><ymax>2</ymax></bndbox></object></annotation>",
            ":1: the corners of a box should be four numbers. Received: ['1', '1', 'wide', '2']",
        ),
    ],
)
def test_unsound_annotations_are_named_with_their_line(tmp_path, write_text, text, message):
    path = write_text(tmp_path / "a.xml", text)
    with pytest.raises(ValueError, match=re.escape(f"{path}{message}")):
        read_voc_annotation(path)


@pytest.mark.parametrize(
    ("text", "looks"),
    [
        ("<annotations><version/><image id='0'><box xtl='1'/></image></annotations>", "CVAT"),
        ("<annotations><track id='0'/></annotations>", "CVAT for videos"),
        ("<dataset><images><image file='a'/></images></dataset>", "dlib"),
        ("<svg><rect/></svg>", "SVG"),
        ("<x:xmpmeta><x:y/></x:xmpmeta>", "XMP"),
        ("<doc><object_list/></doc>", "<doc> with <object_list>. Export"),
        ("<annotation><filename>a</filename><item><name>x</name></item></annotation>", "<item>"),
        ("<annotation><imagesize/><polygon/></annotation>", "LabelMe"),
        (
            "<annotation><object><name>x</name><polygon><pt/></polygon></object></annotation>",
            "a <bndbox>. Received: <name>, <polygon>; it looks like LabelMe.",
        ),
    ],
)
def test_xml_of_other_tools_is_refused_with_what_it_looks_like(tmp_path, write_text, text, looks):
    path = write_text(tmp_path / "a.xml", text)
    with pytest.raises(ValueError, match=re.escape(str(path))) as error:
        read_voc_annotation(path)
    assert looks in str(error.value)


def test_an_image_without_objects_has_an_annotation_without_boxes(tmp_path, write_text):
    path = write_text(
        tmp_path / "a.xml",
        "<annotation verified='yes'><folder/><filename>a</filename><path/><source/>"
        "<size><width>8</width><height>6</height></size><segmented>0</segmented></annotation>",
    )
    annotation = read_voc_annotation(path)
    assert annotation.size == (6, 8)
    assert annotation.objects == ()


@pytest.mark.parametrize("text", ["<![CDATA[<!DOCTYPE x><object>]]>", "<!-- <!ENTITY x> -->"])
def test_a_declaration_or_object_in_text_or_in_a_comment_is_none(tmp_path, write_text, text):
    path = write_text(tmp_path / "a.xml", SOUND.replace("<folder>", f"<folder>{text}\n"))
    first, second = read_voc_annotation(path).objects
    assert first.where.endswith(":7")
    assert second.name == "dog"


MANY = 300_000
OBJECT = (
    "<object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
    "</bndbox></object>\n"
)


@pytest.mark.parametrize(
    ("content", "objects"),
    [
        (OBJECT * MANY, MANY),
        ("<folder><![CDATA[" + "<!--" * MANY + "]]></folder>", 0),
        ("<size><width>" + " \n" * MANY + "x</width><height>3</height></size>" + OBJECT, 1),
    ],
)
def test_long_files_take_linear_time(tmp_path, write_text, content, objects):
    """A quadratic parser takes hours for these, so that a finished test is the proof."""
    path = write_text(tmp_path / "a.xml", f"<annotation>{content}</annotation>")
    assert len(read_voc_annotation(path).objects) == objects


def test_a_long_number_is_refused_in_linear_time():
    with pytest.raises(ValueError, match="four numbers"):
        parse_corners(["1" * MANY + "x", "1", "2", "2"], "a.xml:1")


def test_a_missing_annotation_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "a.xml"))):
        read_voc_annotation(tmp_path / "a.xml")


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda text: text.encode())))
def test_random_bytes_are_an_annotation_or_raise_with_the_file(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "random.xml"
    path.write_bytes(content)
    try:
        read_voc_annotation(path)
    except ValueError as error:
        assert str(error).startswith(str(path))


@given(st.integers(0, len(SOUND)), st.text(alphabet='<>/&"![]-a1 \n\0', max_size=6))
def test_a_damaged_annotation_is_read_or_raises_with_the_file(tmp_path_factory, position, noise):
    path = tmp_path_factory.getbasetemp() / "damaged.xml"
    path.write_text(SOUND[:position] + noise + SOUND[position + len(noise) :])
    try:
        read_voc_annotation(path)
    except ValueError as error:
        assert str(error).startswith(str(path))
