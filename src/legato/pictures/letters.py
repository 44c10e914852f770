"""How wide text is drawn, near enough: as Helvetica, from which most sans-serif fonts differ by a few percent."""

from __future__ import annotations

import unicodedata

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"

_SLACK = 1.12  # DejaVu and Verdana are wider than Helvetica, and must fit as well
_WIDTHS = {
    **dict.fromkeys("ijl'|", 0.23),
    **dict.fromkeys(' .,:;!/\\tfI[](){}-"`r*', 0.34),
    **dict.fromkeys("cksvxyzJ^", 0.52),
    **dict.fromkeys("ABEKPSVXY&", 0.68),
    **dict.fromkeys("CDGHNOQRUTZFL", 0.74),
    **dict.fromkeys("mMw%", 0.86),
    **dict.fromkeys("W@", 1.02),
}
_USUAL = 0.58  # lower-case letters, digits, most signs


def text_width(text: str, size: float) -> float:
    """The width in pixels of a line of text at a font size."""
    return sum(map(_width, text)) * size * _SLACK


def cut(text: str, size: float, width: float) -> str:
    """As much of a text as fits into a width; an ellipsis stands for the rest."""
    if text_width(text, size) <= width:
        return text
    left = width - text_width(ELLIPSIS, size)
    for n, char in enumerate(text):
        left -= _width(char) * size * _SLACK
        if left < 0:
            return text[:n].rstrip() + ELLIPSIS
    return text


def _width(char: str) -> float:
    known = _WIDTHS.get(char)
    if known is not None:
        return known
    if char < "\x7f":
        return _USUAL
    if unicodedata.combining(char):
        return 0.0
    return 1.0 if unicodedata.east_asian_width(char) in "WF" else 0.7
