"""A problem in a definition: its place, the source as written, and the remedy."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with a file. `line` and `column` count from 1; 0 means the file as a whole."""

    file: str
    message: str
    remedy: str = ""
    line: int = 0
    column: int = 0
    source: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        text = f"{place}: {self.message}"
        if self.source:
            text += f"\n    {self.source}"
        if self.remedy:
            text += f"\n  remedy: {self.remedy}"
        return text

    def entry(self) -> dict[str, object]:
        """The problem as a member of `errors[]` in an answer."""
        entry = {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "detail": self.message,
            "source": self.source,
            "remedy": self.remedy,
        }
        return {key: value for key, value in entry.items() if value}
