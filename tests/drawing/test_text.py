"""Text is drawn with its accents where a font has them, and cut where it is too long."""

import numpy as np
import pytest
from PIL import ImageFont

from keras_has.drawing import text as text_module
from keras_has.drawing.text import write_text


def drawn(text, width=None):
    paper = np.full((30, 300, 3), 255, "uint8")
    write_text(paper, text, 10, 20, (0, 0, 0), 14, width)
    return paper


@pytest.fixture
def only_built_in_font(monkeypatch):
    monkeypatch.setattr(text_module, "_large_font", lambda size: None)


@pytest.mark.parametrize("text", ["Zürich", "Αθήνα", "Москва", "Łódź", "naïve œuvre"])
def test_accents_greek_and_cyrillic_are_drawn_and_not_replaced(text):
    pytest.importorskip("matplotlib")  # brings DejaVu Sans
    replaced = "".join(c if c.isascii() else "?" for c in text)
    assert not np.array_equal(drawn(text), drawn(replaced))
    font = text_module._large_font(14)
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert "".join(text_module._drawable(c, font) for c in text) == text


def test_a_letter_and_a_combining_accent_are_drawn_as_one_letter():
    np.testing.assert_array_equal(drawn("Zu\u0308rich"), drawn("Z\u00fcrich"))


@pytest.mark.usefixtures("only_built_in_font")
def test_without_another_font_accents_are_dropped_and_unknown_characters_become_a_question_mark():
    np.testing.assert_array_equal(drawn("Zürich Straße"), drawn("Zurich Strasse"))
    np.testing.assert_array_equal(drawn("犬"), drawn("?"))


def test_text_starts_at_its_place_and_is_cut_to_the_width():
    columns = np.flatnonzero((drawn("a long caption", 50) < 255).any(axis=(0, 2)))
    assert 9 <= columns.min() <= 12
    assert columns.max() <= 61
    rows = np.flatnonzero((drawn("H") < 255).any(axis=(1, 2)))
    assert rows.max() in (18, 19)
    np.testing.assert_array_equal(drawn("short", 200), drawn("short"))


def test_plain_text_looks_the_same_with_and_without_other_fonts(monkeypatch):
    before = drawn("cat (97%)")
    monkeypatch.setattr(text_module, "_large_font", lambda size: None)
    np.testing.assert_array_equal(drawn("cat (97%)"), before)
