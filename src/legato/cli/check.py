"""`legato check`: every problem of every file, at once, and what is probably not meant."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import click
import msgspec

from legato.app import check_flows
from legato.cli.modules import PathOrModule, flows_of
from legato.cli.options import json_option
from legato.cli.project import SETTINGS_FILE, no_project, settings_or_problems, show
from legato.cli.strangers import strangers, warn_of_strangers
from legato.cli.terminal import warn
from legato.errors import StoreUnavailable
from legato.formats import read
from legato.model.flow import Flow
from legato.model.problem import Problem
from legato.model.settings import Settings
from legato.stores.files import FileStore, read_file


@dataclass
class Findings:
    """What has been found so far. `called` are flows, each list with the settings that know their functions."""

    problems: list[Problem] = field(default_factory=list[Problem])
    warnings: list[Problem] = field(default_factory=list[Problem])
    empty: list[str] = field(default_factory=list[str])  # what is no project, and why
    called: list[tuple[list[Flow], Settings]] = field(default_factory=list[tuple[list[Flow], Settings]])
    flows: int = 0

    @property
    def ok(self) -> bool:
        """Whether everything could be served."""
        return not self.problems and not self.empty


@click.command()
@click.argument("paths", nargs=-1, type=PathOrModule())
@json_option
def check(paths: tuple[Path | str, ...], as_json: bool) -> None:
    """Check flows and settings: syntax, names, references, functions.

    \b
    PATHS are folders with a legato.yaml, single files, or Python modules; without any, this folder.
        legato check
        legato check flows/process-order.yaml ../shop
        legato check shop.flows
    \b
    Warnings, of what is allowed and probably not meant, leave the exit at 0; problems make it 1.
    """
    findings = Findings()
    for path in paths or (Path(),):
        if isinstance(path, str):
            _check_project(Path(), findings, path)
        elif why := no_project(path):
            findings.empty.append(why)
        elif path.is_dir() or path.name == SETTINGS_FILE:
            _check_project(path, findings)
        else:
            _check_file(path, findings)
    if as_json:
        click.echo(_document(findings))
    else:
        _show(findings)
    if not findings.ok:
        raise click.exceptions.Exit(1)


def _check_project(path: Path, findings: Findings, module: str = "") -> None:
    settings, problems = settings_or_problems(path)
    if settings is None:
        findings.problems += problems
        return
    with suppress(StoreUnavailable):  # which is reported below
        sources = FileStore(Path(settings.folder) / settings.flows).load()
        flows = [flow for source in sources if (flow := read(source).flow) is not None]
        findings.called.append((flows, settings))
    given = flows_of(module, Path(settings.folder)) if module else []
    findings.called.append(([each.flow for each in given if each.flow is not None], settings))
    checked = check_flows(settings, given)
    findings.problems += checked.problems
    findings.warnings += checked.warnings
    findings.flows += checked.flows


def _check_file(path: Path, findings: Findings) -> None:
    definition = read(read_file(path))
    findings.problems += definition.problems
    findings.warnings += definition.warnings
    findings.flows += 1


def _show(findings: Findings) -> None:
    """For people: what is wrong comes last, and nothing after it but the sum."""
    warnings = sum(warn_of_strangers(flows, settings) for flows, settings in findings.called)
    warnings += show(findings.warnings, "warning: ")
    problems = show(findings.problems) + len(findings.empty)
    for why in findings.empty:
        warn(why)
    more = f", {_several(warnings, 'warning')}" if warnings else ""
    if problems:
        warn(f"{_several(problems, 'problem')}{more}")
    else:
        click.echo(f"{_several(findings.flows, 'flow')}: no problems{more}")


def _document(findings: Findings) -> bytes:
    """For programs: the same, as the API says it."""
    problems = [problem.entry() for problem in findings.problems]
    problems += [{"detail": why} for why in findings.empty]
    warnings = [{"detail": line} for flows, settings in findings.called for line in strangers(flows, settings)]
    warnings += [warning.entry() for warning in findings.warnings]
    document = {"ok": findings.ok, "flows": findings.flows, "problems": problems, "warnings": warnings}
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
