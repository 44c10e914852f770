"""The flow that a command is about: by its name, from the gateway or the stores; a file; one of a Python module."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from legato.builder.modules import MODULE
from legato.cli.client import Client, client_of
from legato.cli.flows import path_of
from legato.cli.modules import flows_of
from legato.cli.project import SETTINGS_FILE, load_settings, show
from legato.cli.refusals import fail, refused
from legato.cli.terminal import warn
from legato.formats import language_of, read
from legato.model.definition import Definition
from legato.model.flow import Flow
from legato.model.settings import Settings
from legato.model.source import Source
from legato.stores.files import read_file

SUFFIXES = (".yaml", ".yml", ".json")


class Found:
    """A flow with its project, where those within it are sought.

    `definition` says what else is known of it. The settings, and whoever has the other flows, are looked at when
    somebody asks for them: a picture of a file needs neither.
    """

    def __init__(self, which: str, url: str | None, project: Path) -> None:
        self._url = url
        self._project = project
        self._client: Client | None = None
        self._settings: Settings | None = None
        self._flows: dict[str, Flow | None] = {}
        self._code: dict[str, Mapping[str, Callable[..., Any]]] = {}
        module, colon, name = which.partition(":")
        if is_file(which):
            self._project = project_of(Path(which), project)
            self.definition = read(read_file(Path(which)))
        elif colon and MODULE.fullmatch(module):
            self.definition = self._coded(module, name)
        else:
            self.definition = self._named(which)
        if self.definition.flow is None:
            show(self.definition.problems)
            raise click.exceptions.Exit(1)
        self.flow: Flow = self.definition.flow

    @property
    def settings(self) -> Settings:
        """The project's settings. Ends with 2 where they cannot be used."""
        if self._settings is None:
            self._settings = load_settings(self._project)
        return self._settings

    def resolve(self, name: str) -> Flow | None:
        """Another flow by its name, None if there is none that can be run."""
        if name not in self._flows:
            status, answer = self._ask(name)
            if status >= 400 and status != 404:
                refused(status, answer)
            self._flows[name] = None if status == 404 else _read(json.loads(answer)).flow
        return self._flows[name]

    def codes(self, flow: Flow) -> Mapping[str, Callable[..., Any]]:
        """The Python code of a flow, by the names that it has there; of those of a module."""
        return self._code.get(flow.name, {})

    def _coded(self, module: str, name: str) -> Definition:
        """A flow of a module; the others that it has are known as well."""
        definitions = {each.name: each for each in flows_of(module, Path(self.settings.folder))}
        if name not in definitions:
            raise click.UsageError(f"{module} has no flow {name!r}; it has {', '.join(definitions)}")
        self._flows |= {each.name: each.flow for each in definitions.values()}
        self._code |= {each.name: each.code for each in definitions.values()}
        return definitions[name]

    def _named(self, name: str) -> Definition:
        status, answer = self._ask(name)
        if status >= 400:
            refused(status, answer)
        document: dict[str, Any] = json.loads(answer)
        if not document.get("source"):
            fail({"detail": f"{name} is defined by {document.get('origin')}, of which there is no text to look at"})
        if document["state"] == "ok" and document.get("problems"):
            warn(f"this is the definition of {name} as it is written; the version before it is served")
        return _read(document)

    def _ask(self, name: str) -> tuple[int, bytes]:
        if self._client is None:
            self._client = client_of(self.settings, self._url)
        return self._client.ask("observe", "GET", path_of(name))


def is_file(which: str) -> bool:
    """Whether a file is meant, and no name: names have neither dots nor slashes."""
    return which.endswith(SUFFIXES) or "/" in which


def project_of(file: Path, project: Path) -> Path:
    """The folder of a flow's settings: the one that is named, else the nearest that has any, above the file."""
    if str(project) != "." or (project / SETTINGS_FILE).exists():
        return project
    above = list(file.resolve().parents)[:2]
    return next((folder for folder in above if (folder / SETTINGS_FILE).exists()), project)


def _read(document: Mapping[str, Any]) -> Definition:
    """The definition in what the API says of a flow."""
    text = str(document.get("source", "")).encode()
    return read(
        Source(
            name=str(document["name"]),
            language="fnkit" if document.get("language") == "fnkit" else language_of(text),
            text=text,
            origin=str(document.get("origin", "")),
        )
    )
