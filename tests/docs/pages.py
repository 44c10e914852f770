"""The documentation as data: pages, their code blocks, their tables, their links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "bench" / "README.md"])

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w./-]+\.(?:ya?ml|py))\n")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Block:
    """A fenced block. `file` is its name where its first line says so: `# flows/hello.yaml`."""

    page: Path
    language: str
    text: str

    @property
    def file(self) -> str:
        match = _FILE.match(self.text)
        return match[1] if match else ""

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Of a console: what is typed behind `$`, and what is shown below."""
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
        return [(command, shown) for command, _, shown in (part.partition("\n") for part in parts)]


def text(name: str) -> str:
    return (ROOT / name).read_text()


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    return [Block(page, match[2], match[3]) for match in _BLOCK.finditer(page.read_text())]


def prose(page: Path) -> str:
    """A page without its blocks."""
    return _BLOCK.sub("", page.read_text())


def links(page: Path) -> list[str]:
    return [link for link in _LINK.findall(prose(page)) if "://" not in link]


def anchors(page: Path) -> set[str]:
    """The names that headings get."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def rows(markdown: str) -> list[list[str]]:
    """The rows of all tables, by cells."""
    lines = [line for line in markdown.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in _CELL.split(line)[1:-1]] for line in lines]


def row(markdown: str, name: str) -> list[str]:
    """The row whose first cell is this name, as code."""
    for cells in rows(markdown):
        if cells[0] == f"`{name}`":
            return cells
    raise AssertionError(f"no row for `{name}`")


def section(markdown: str, title: str) -> str:
    """What stands below a heading, down to the next of its level or above."""
    level = re.search(rf"^(#+) {re.escape(title)}$", markdown, re.MULTILINE)
    assert level, f"no section {title!r}"
    rest = markdown[level.end() :]
    end = re.search(rf"^#{{1,{len(level[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def code_in(markdown: str) -> set[str]:
    """Everything that stands in backquotes."""
    return set(re.findall(r"`([^`\n]+)`", markdown))
