"""The command line. Exit codes (contract 6): 0 fine, 1 the work failed, 2 wrong usage, 3 cannot connect."""

from __future__ import annotations

import click

from legato import __version__
from legato.cli.check import check
from legato.cli.run import run
from legato.cli.serve import serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="legato")
def main() -> None:
    """Legato composes HTTP functions into flows behind one endpoint.

    \b
    A flow is a file, flows/hello.yaml:
        flow: hello
        steps: [greet, shout]
    \b
    Try it:
        legato check                     # every problem of every file, with place and remedy
        legato serve                     # then POST to http://127.0.0.1:8080/orchestrate/hello
        legato run hello -d '{"name": "Ada"}'
    """


main.add_command(serve)
main.add_command(check)
main.add_command(run)
