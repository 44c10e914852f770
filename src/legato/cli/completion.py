"""`legato completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")

_PROGRAM = "legato"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a SHELL.

    \b
    For this session, in bash and zsh (after compinit):
        eval "$(legato completion bash)"
        eval "$(legato completion zsh)"
    \b
    For good:
        echo 'eval "$(legato completion bash)"' >> ~/.bashrc
        echo 'eval "$(legato completion zsh)"' >> ~/.zshrc
        legato completion fish > ~/.config/fish/completions/legato.fish
    Then `legato se` and the tab key give `legato serve`. bash must be 4.4 or later.
    """
    make = get_completion_class(shell)
    assert make is not None, "click knows the shells of SHELLS"
    root = context.find_root().command
    click.echo(make(root, {}, _PROGRAM, f"_{_PROGRAM.upper()}_COMPLETE").source())
