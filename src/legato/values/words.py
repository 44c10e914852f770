"""The closest of the known words, for a remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean ...?` if a known word is close, else `otherwise`."""
    spelt = {each.lower(): each for each in known}
    near = difflib.get_close_matches(word[:64].lower(), list(spelt), n=1, cutoff=0.7)
    return f"did you mean `{spelt[near[0]]}`?" if near else otherwise
