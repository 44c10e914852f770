"""`legato explain`: what a flow would call, in which order, within which limits, and how long that may take."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from legato.cli.found import Found
from legato.cli.options import gateway_option, json_option, project_option
from legato.cli.strangers import strangers
from legato.cli.terminal import clean, tell, warn
from legato.explain import Explanation, Line, Warned, explained, summed_up, told
from legato.kernel import linked
from legato.model.problem import Problem
from legato.orchestrator import function_named
from legato.pictures.parts import parts_of


@click.command()
@click.argument("which", metavar="NAME|FILE|MODULE:NAME")
@json_option
@gateway_option
@project_option
def explain(which: str, as_json: bool, url: str | None, project: Path) -> None:
    """Say what a flow would call, and how long that may take at worst.

    \b
        legato explain process-order
        legato explain flows/process-order.yaml --json
        legato explain shop.flows:process-order
    \b
    Nothing is called. Functions, their limits and the deadline are those of the settings here. The worst case is a
    bound: each attempt takes its whole timeout, each wait its longest; what happens at once counts once.
    """
    found = Found(which, url, project)
    explanation = explained(
        parts_of(found.flow, found.resolve),
        partial(function_named, settings=found.settings),
        found.settings.timeout,
        _warnings(found),
    )
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(explanation), indent=2))
    elif sys.stdout.isatty():
        _show(explanation)
    else:
        for line in _plain(told(explanation)):
            tell(line)
        tell("")
        for line in summed_up(explanation):
            tell(line)
    if not as_json:
        for warned in explanation.warnings:
            warn(f"warning: {warned.detail}" + (f"\n  remedy: {warned.remedy}" if warned.remedy else ""))


def _warnings(found: Found) -> Iterator[Warned]:
    """What is to be said of the text, of the flow among others, of its functions."""
    yield from map(_warned, found.definition.warnings)
    for fault in linked(found.flow, found.resolve, found.codes)[1]:
        if not fault.warning:  # those of the text are told above, with their places
            yield Warned(detail=f"it cannot be run: {msgspec.structs.replace(fault, remedy='')}", remedy=fault.remedy)
    for line in strangers([found.flow], found.settings):
        yield Warned(detail=line)


def _warned(problem: Problem) -> Warned:
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    return Warned(detail=f"{place}: {problem.message}", remedy=problem.remedy)


def _plain(line: Line, before: str = "", own: str = "") -> Iterator[str]:
    """A line and those below it, with the branches of the tree before them. Every fact has a line of its own."""
    takes = f" ({line.takes})" if line.takes else ""
    yield clean(f"{own}{line.text}{takes}")
    beside = f"{before}{'│  ' if line.below else '   '}"
    for fact in line.facts:
        yield clean(f"{beside}{fact}")
    for number, below in enumerate(line.below, 1):
        is_last = number == len(line.below)
        yield from _plain(below, f"{before}{'   ' if is_last else '│  '}", f"{before}{'└─ ' if is_last else '├─ '}")


def _show(explanation: Explanation) -> None:
    console = Console(highlight=False)
    console.print(_tree(told(explanation)))
    for line in summed_up(explanation):
        console.print(Text(clean(line)))


def _tree(line: Line) -> Tree:
    text = Text(clean(line.text), style="bold")
    if line.takes:
        text.append(f"  {clean(line.takes)}", style="not bold cyan")
    for fact in line.facts:
        text.append(f"\n{clean(fact)}", style="not bold dim")
    tree = Tree(text, guide_style="dim")
    tree.children += [_tree(below) for below in line.below]
    return tree
