"""Counting words: what is done with each line, and what with all of them."""

from __future__ import annotations

import re
from collections import Counter

Counts = dict[str, int]


def count_words(line: str) -> Counts:
    """How often each word stands in a line."""
    return dict(Counter(re.findall(r"[a-z']+", line.lower())))


def add_up(parts: list[Counts]) -> Counts:
    """The counts of all lines together, by word."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(sorted(total.items()))


def most_frequent(counts: Counts) -> list[str]:
    """The most frequent word; several if they are as frequent."""
    most = max(counts.values(), default=0)
    return [word for word, count in counts.items() if count == most]
