"""The keys of large data (`ports.DataStore`): which are allowed, and why one is not."""

from __future__ import annotations

import re

LONGEST = 500  # characters; S3 takes 1,024 bytes, a prefix among them
LONGEST_PART = 200  # file systems take 255 bytes
_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_KEY = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)


def key_problem(key: object) -> str:
    """Why `key` cannot be used, in words; empty when it can."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        rule = "letters, digits and . _ - of ASCII, no part empty or with a dot first, parts joined by /"
        return f"{key!a:.200} is no key: write {rule}"
    if len(key) > LONGEST or max(map(len, key.split("/"))) > LONGEST_PART:
        return f"{key[:50]!r}... is too long for a key: {LONGEST} characters at most, {LONGEST_PART} in a part"
    return ""


def checked_key(key: str) -> str:
    """The key itself. Raises ValueError for one that cannot be used."""
    if problem := key_problem(key):
        raise ValueError(problem)
    return key


def checked_folder(folder: str) -> str:
    """The folder of keys, empty for all. Raises ValueError for one that no key can be below."""
    return checked_key(folder) if folder else ""
