"""`legato graph`: a flow as a picture, or as data for programs that draw."""

from __future__ import annotations

from pathlib import Path

import click

from legato.cli.found import Found
from legato.cli.options import gateway_option, project_option
from legato.cli.terminal import hand_over, tell
from legato.pictures import FORMS, drawn

SUFFIXES = {
    ".svg": "svg",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".json": "json",
}


@click.command()
@click.argument("which", metavar="NAME|FILE|MODULE:NAME")
@click.option("-o", "--output", "output", metavar="OUT", type=click.Path(path_type=Path), help="The file to write.")
@click.option("--format", "form", type=click.Choice(list(FORMS)), help="Else by the suffix of OUT, else mermaid.")
@click.option("--expand", is_flag=True, help="Draw the flows within it, too.")
@gateway_option
@project_option
def graph(which: str, output: Path | None, form: str | None, expand: bool, url: str | None, project: Path) -> None:
    """Draw the flow NAME, the one in a FILE, or one of a Python module.

    \b
        legato graph process-order -o order.svg
        legato graph flows/process-order.yaml              # Mermaid, for Markdown
        legato graph shop.flows:process-order --expand -o order.svg
        legato graph process-order --format dot | dot -Tpng > order.png
    \b
    An SVG needs nothing to be drawn with. Undo and what follows errors are dashed, edges without a value are dotted.
    """
    chosen = form or _by_suffix(output)
    found = Found(which, url, project)
    text = drawn(found.flow, chosen, found.resolve if expand else None)
    if output is None:
        hand_over(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"cannot write {output}: {error.strerror}") from None
    tell(f"{found.flow.name} is drawn in {output}")


def _by_suffix(output: Path | None) -> str:
    if output is None:
        return "mermaid"
    if output.suffix not in SUFFIXES:
        raise click.BadParameter(
            f"{output} does not say what to draw: end it with {', '.join(SUFFIXES)}, or say --format",
            param_hint="--output",
        )
    return SUFFIXES[output.suffix]
