"""The options that several commands have."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import click

from legato.formats.addresses import url_trouble

GATEWAY_VARIABLE = "LEGATO_GATEWAY"


def _checked(context: click.Context, parameter: click.Parameter, url: str | None) -> str | None:
    """A gateway's URL that can be spoken to. Ends with 2 for another."""
    del context, parameter
    if url is None:
        return None
    trouble, remedy = url_trouble(url)
    if trouble or urlsplit(url).scheme not in ("http", "https"):
        raise click.BadParameter(remedy or "write it as http://HOST:PORT or https://HOST:PORT", param_hint="--gateway")
    return url.rstrip("/")


project_option = click.option(
    "--project", default=".", type=click.Path(exists=True, path_type=Path), help="The folder, else this one."
)
json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
gateway_option = click.option(
    "--gateway",
    "url",
    metavar="URL",
    envvar=GATEWAY_VARIABLE,
    callback=_checked,
    help=f"The gateway to speak to (or {GATEWAY_VARIABLE}); else the one at the settings' `listen`.",
)
