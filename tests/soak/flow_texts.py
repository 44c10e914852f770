"""Texts to begin with, all those in which this project shows its languages, and what careless hands make of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.docs.pages import PAGES, blocks

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "formats" / "golden"
_NAME = re.compile(r"""^\s*\{?\s*["']?flow["']?\s*:\s*["']?([a-z][a-z0-9_-]*)""", re.MULTILINE)


class Text(NamedTuple):
    """A text in one of `native`, `fnkit`, `settings`, and what its store calls it."""

    language: str
    name: str
    text: str


def corpus() -> list[Text]:
    """Every golden file's source, every snippet of the documentation, every flow of the demo and the examples."""
    found = [Text(_language(path.name), "order", _source(path)) for path in sorted(GOLDEN.glob("*.txt"))]
    found += [_snippet(block.text) for page in PAGES for block in blocks(page) if block.language in ("yaml", "json")]
    files = [path for folder in ("demo", "examples", "bench") for path in sorted((ROOT / folder).rglob("*"))]
    for path in files:
        if path.suffix in (".yaml", ".yml", ".json") and path.stem != "legato" and "node_modules" not in path.parts:
            language = "fnkit" if path.suffix == ".json" else "native"
            found.append(Text(language, path.stem, path.read_text("utf-8")))
    return found


def encoded(text: str) -> bytes:
    """A text as a file holds it: bytes that were no UTF-8 come back as they were, other halves of characters go in."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _language(file: str) -> str:
    start = file.partition("-")[0]
    return {"json": "fnkit"}.get(start, start)


def _source(path: Path) -> str:
    return path.read_bytes().partition(b"----\n")[0].decode("utf-8", "surrogateescape")


def _snippet(text: str) -> Text:
    """A block of the documentation: a flow, some steps of one, or settings."""
    match = _NAME.search(text)
    if match:
        return Text("fnkit" if text.lstrip().startswith("{") else "native", match[1], text)
    if text.lstrip().startswith("-"):
        return Text("native", "order", f"flow: order\nsteps:\n{text}")
    return Text("fnkit" if '"mode"' in text else "settings", "order", text)


# What is done to a text.

WORDS = re.split(
    r"\s+",
    """
    flow steps call parallel graph foreach choose set when input output on_error skip undo retry attempts backoff id
    timeout after over otherwise all cases merge join prefer quorum any finally on_failure callback respond fail status
    sleep wait publish python hedge query headers encode decode success return_status collect outcomes pick drop rename
    true false null ~ 1 0 -1 1e999 0x1F 12345678901234567890 .nan 2s 50% ${value} ${ ${} $${ } "${input.a}" '' "" a-b
    POST GET 2xx <<: &x *x !t !!str --- ... - ? | > # @ ` % , [ ] { } : \\ \\ud800 \\u0000 \\x41
""".strip(),
)
CHARACTERS = "\0\t\r\n\x85\u2028\ufeff\u200b\u00e9\u4e2d\U0001f600\x7f \"'{}[]:,#&*!|>%@`$\\-?~"

Damage = Callable[[Random, str, list[Text]], str]


def _span(random: Random, text: str) -> tuple[int, int]:
    at = random.randrange(len(text) + 1)
    return at, min(len(text), at + random.choice((1, 1, 2, 5, 20, 100)))


def _delete(random: Random, text: str, others: list[Text]) -> str:
    start, end = _span(random, text)
    return text[:start] + text[end:]


def _repeat(random: Random, text: str, others: list[Text]) -> str:
    start, end = _span(random, text)
    return text[:end] + text[start:end] * random.choice((1, 1, 2, 40, 1000)) + text[end:]


def _insert(random: Random, text: str, others: list[Text]) -> str:
    at = random.randrange(len(text) + 1)
    piece = random.choice(CHARACTERS) if random.random() < 0.5 else random.choice(WORDS)
    return text[:at] + piece + text[at:]


def _word(random: Random, text: str, others: list[Text]) -> str:
    """A word for another."""
    words = list(re.finditer(r"[^\s:,{}\[\]\"']+", text))
    if not words:
        return text
    match = random.choice(words)
    other = random.choice(words)[0] if random.random() < 0.5 else random.choice(WORDS)
    return text[: match.start()] + other + text[match.end() :]


def _lines(random: Random, text: str, others: list[Text]) -> str:
    """A line deleted, doubled, moved, indented, or taken from elsewhere."""
    lines = text.splitlines(keepends=True)
    if not lines:
        return text
    at, to = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines.insert(to, lines[at])
        case 2:
            lines[at], lines[to] = lines[to], lines[at]
        case 3:
            lines[at] = random.choice((" ", "  ", "\t", "- ")) + lines[at]
        case 4:
            lines[at] = lines[at][random.choice((1, 2, 4)) :] or "\n"
        case _:
            other = random.choice(others).text.splitlines(keepends=True)
            lines[at:at] = other[: random.randrange(1, 6)]
    return "".join(lines)


def _splice(random: Random, text: str, others: list[Text]) -> str:
    """The beginning of one and the end of another."""
    other = random.choice(others).text
    return text[: random.randrange(len(text) + 1)] + other[random.randrange(len(other) + 1) :]


def _line_ends(random: Random, text: str, others: list[Text]) -> str:
    return text.replace("\n", random.choice(("\r\n", "\r", "\x85", "\u2028", "\n\n", " ")))


DAMAGES: list[Damage] = [
    _delete, _delete, _repeat, _insert, _insert, _word, _word, _word, _lines, _lines, _lines, _splice, _line_ends,
]  # fmt: skip


def damaged(random: Random, text: str, others: list[Text]) -> str:
    """A text after one to six damages; never much longer than a definition may be."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        text = random.choice(DAMAGES)(random, text, others)
    return text[: 1200 * 1024]
