"""`legato schema`: the languages for editors."""

from __future__ import annotations

import click

from legato.formats.schema import SCHEMAS, schema_text


@click.command()
@click.argument("language", type=click.Choice(list(SCHEMAS)), default="flow")
def schema(language: str) -> None:
    """Print the JSON Schema of flows or settings.

    \b
    An editor that knows it completes keys, explains them, and marks what is wrong:
        legato schema > .legato/flow.schema.json
        legato schema settings > .legato/settings.schema.json
        legato schema pipeline                         # fnkit's form
    \b
    Editors with the YAML language server find it by the first line of a file, as `legato init` writes it:
        # yaml-language-server: $schema=../.legato/flow.schema.json
    `legato check` sees more than a schema can: names that nothing has, ids that are the same, code that is not there.
    """
    click.echo(schema_text(language), nl=False)
