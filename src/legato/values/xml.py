"""XML as JSON, in KrakenD's (mxj's) way: attributes `-name`, text `#text`, repeated elements as lists, all of it text.

An element with nothing but text is that text. Names lose their prefixes. Documents with a type declaration are refused:
its entities are how small documents become large, and how files are read.
"""

from __future__ import annotations

from typing import Any, NoReturn, cast
from xml.parsers import expat

from legato.errors import NotJSON
from legato.model.payload import MAX_DEPTH
from legato.values.working import MAX_ELEMENTS

Element = dict[str, Any]
_SPACE = "\t\r\b\n "  # what mxj trims
_TEXT = "#text"


def read_xml(document: bytes, charset: str | None) -> object:
    """The value of an XML document, `{root: ...}`. Raises NotJSON for what is none, or is too deep or too large."""
    reader = _Reader(charset)
    try:
        reader.parser.Parse(document, True)
    except expat.ExpatError as error:
        raise NotJSON(f"not XML: {error}") from None
    except (LookupError, ValueError) as error:
        raise NotJSON(f"XML in an encoding that is not known: {error}") from None
    return reader.root


class _Reader:
    """Builds elements as the parser comes by them."""

    def __init__(self, charset: str | None) -> None:
        self.root: Element = {}
        self._open: list[Element] = [self.root]
        self._names: list[str] = []
        self._texts: list[list[str]] = [[]]
        self._left = MAX_ELEMENTS
        self.parser = parser = expat.ParserCreate(charset)
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def _refuse(self, *declared: object) -> NoReturn:
        raise NotJSON("XML with a document type declaration is not read")

    def _start(self, name: str, attributes: list[str]) -> None:
        self._count(1 + len(attributes) // 2)
        if len(self._open) > MAX_DEPTH:
            raise NotJSON(f"XML nested deeper than {MAX_DEPTH}")
        element: Element = {}
        for full, value in zip(attributes[::2], attributes[1::2], strict=True):
            short = "-" + _local(full)
            element["-" + full if short in element else short] = value
        self._open.append(element)
        self._names.append(_local(name))
        self._texts.append([])

    def _end(self, name: str) -> None:
        element, name = self._open.pop(), self._names.pop()
        text = "".join(self._texts.pop()).strip(_SPACE)
        value: object = element
        if not element:
            value = text
        elif text:
            element[_TEXT] = text
        outer = self._open[-1]
        if name not in outer:
            outer[name] = value
        elif isinstance(outer[name], list):
            cast("list[object]", outer[name]).append(value)
        else:
            outer[name] = [outer[name], value]

    def _text(self, text: str) -> None:
        self._texts[-1].append(text)

    def _count(self, elements: int) -> None:
        self._left -= elements
        if self._left < 0:
            raise NotJSON(f"XML of more than {MAX_ELEMENTS:,} elements")


def _local(name: str) -> str:
    """A name without its prefix."""
    return name.rpartition(":")[2] or name
