"""What is printed. Names, origins and details come from stores and functions, and a terminal obeys what it is told."""

from __future__ import annotations

import sys

import click


def clean(text: str) -> str:
    """Text on one line, without what a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)


def clean_lines(text: str) -> str:
    """Text of several lines, without what else a terminal would obey."""
    return "".join(char if char.isprintable() or char in "\n\t" else " " for char in text)


def tell(text: str) -> None:
    """Print to standard output."""
    click.echo(clean_lines(text))


def warn(text: str) -> None:
    """Print to standard error."""
    click.echo(clean_lines(text), err=True)


def hand_over(text: str | bytes) -> None:
    """Print what somebody else wrote: as it is for a program, harmless on a terminal. A line that is open is ended."""
    if sys.stdout.isatty():
        text = clean_lines(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)
    is_open = not text.endswith("\n") if isinstance(text, str) else True  # a result's last byte is its own
    click.echo(text, nl=is_open, color=True)  # without `color`, click takes sequences out of what is piped
