"""Text in pictures.

Pillow's built-in font draws ASCII and little else. Text with other characters, such as umlauts or
Greek, is drawn in a font with more characters if there is one: the DejaVu Sans that Matplotlib
installs, or a font of the operating system. Without such a font, accents are dropped ("u" for "ü").
A character that no font has becomes "?"; DejaVu Sans has no Chinese, Japanese or Korean.
"""

from __future__ import annotations

import functools
import importlib.util
import unicodedata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial Unicode.ttf",
    "Arial.ttf",
    "arial.ttf",
)
_NOT_A_CHARACTER = "\uffff"  # drawn as the box that stands for a missing character


def write_text(
    picture: NDArray[np.uint8],
    text: str,
    x: int,
    y: int,
    colour: tuple[int, int, int],
    size: float,
    width: int | None = None,
) -> None:
    """Writes one line of text into a picture.

    Args:
        picture: (H, W, 3) uint8 RGB, changed in place.
        text: The line.
        x: Column of the left edge, in pixels.
        y: Row of the baseline, in pixels.
        colour: RGB.
        size: Font size in pixels.
        width: Largest width in pixels; longer text is cut and ends with an ellipsis. None for
            no limit.

    Example:

    >>> paper = np.full((20, 80, 3), 255, "uint8")
    >>> write_text(paper, "Zürich", 4, 14, (0, 0, 0), size=12)
    >>> bool((paper < 255).any())
    True
    """
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    font = _built_in_font(size)
    if not _covers(font, text):
        font = _large_font(size) or font
    text = "".join(_drawable(character, font) for character in text)
    if width is not None and font.getlength(text) > width:
        while text and font.getlength(text + "..") > width:
            text = text[:-1]
        text += ".."
    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text((x, y), text, fill=colour, font=font, anchor="ls")
    picture[...] = np.asarray(image)


@functools.cache
def _built_in_font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise ImportError(
            "This Pillow was built without FreeType. Reinstall it: pip install --force-reinstall "
            "pillow"
        )
    return font


@functools.cache
def _large_font(size: float) -> ImageFont.FreeTypeFont | None:
    """Returns a font with many characters, or None if there is none on this machine."""
    matplotlib = importlib.util.find_spec("matplotlib")
    bundled = [
        str(Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf")
        for folder in (matplotlib.submodule_search_locations or () if matplotlib else ())
    ]
    for file in (*bundled, *_SYSTEM_FONTS):
        try:
            return ImageFont.truetype(file, size)
        except OSError:
            continue
    return None


def _covers(font: ImageFont.FreeTypeFont, text: str) -> bool:
    return all(_has_character(font, character) for character in text)


@functools.lru_cache(maxsize=4096)
def _has_character(font: ImageFont.FreeTypeFont, character: str) -> bool:
    if character.isspace():
        return True
    drawn, missing = font.getmask(character), font.getmask(_NOT_A_CHARACTER)
    return drawn.size != missing.size or bytes(drawn) != bytes(missing)


def _drawable(character: str, font: ImageFont.FreeTypeFont) -> str:
    """Returns the character, or what to draw instead if the font does not have it."""
    if _has_character(font, character):
        return character
    base = unicodedata.normalize("NFKD", character.replace("ß", "ss"))
    base = "".join(part for part in base if not unicodedata.combining(part))
    return base if base and _covers(font, base) else "?"
