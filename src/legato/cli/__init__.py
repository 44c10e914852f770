"""The command line. Exit codes (contract 6): 0 fine, 1 the work failed, 2 wrong usage, 3 cannot connect."""

from __future__ import annotations

import click

from legato import __version__
from legato.cli.check import check
from legato.cli.completion import completion
from legato.cli.dev import dev
from legato.cli.explain import explain
from legato.cli.flows import add, ls, rm, show
from legato.cli.graph import graph
from legato.cli.init import init
from legato.cli.orchestrate import gateway
from legato.cli.run import run
from legato.cli.runs import runs
from legato.cli.schema import schema
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
    Start with one that works:
        legato init shop                 # settings, a flow, functions in Python
        legato dev shop                  # serve it while you work on it, and see every run
    \b
    Try it:
        legato check                     # every problem of every file, with place and remedy
        legato serve                     # then POST to http://127.0.0.1:8080/orchestrate/hello
        legato run hello -d '{"name": "Ada"}'
    """


main.add_command(serve)
main.add_command(check)
main.add_command(graph)
main.add_command(explain)
main.add_command(run)
main.add_command(schema)
main.add_command(completion)
main.add_command(init)
main.add_command(add)
main.add_command(ls)
main.add_command(show)
main.add_command(rm)
main.add_command(gateway)
main.add_command(runs)
main.add_command(dev)
