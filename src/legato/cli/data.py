"""`-d JSON|@FILE`: what a command sends."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click


def read_data(data: str) -> bytes:
    """The bytes that are meant. Ends with 2 for a file that cannot be read, and for JSON that is none."""
    if data == "@-":
        return sys.stdin.buffer.read()
    if data.startswith("@"):
        try:
            return Path(data[1:]).read_bytes()
        except OSError as error:
            raise click.UsageError(f"cannot read {data[1:]}: {error.strerror}") from None
    if data.lstrip()[:1] in ("{", "["):  # anything else may be meant as text
        try:
            json.loads(data)
        except ValueError as error:
            raise click.UsageError(f"--data is not JSON: {error}") from None
        except RecursionError:
            pass  # too deep to look at in here
    return os.fsencode(data)
