"""Plain tables: columns padded with blanks, so that people and `awk` can read them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

import click

from legato.cli.terminal import clean


def echo_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their head; on a terminal the last column is cut at its edge."""
    cleaned = [[clean(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cleaned, strict=True)]
    edge = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in cleaned:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip()[:edge])
