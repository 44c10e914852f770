"""`legato.yaml`: the gateway's settings. Every key has a default; tokens never appear in a message."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping

import msgspec

from legato.formats.addresses import data_trouble, listen_trouble, store_trouble
from legato.formats.credentials import AUTH_WORDS, read_tokens
from legato.formats.document import read_document
from legato.formats.environment import put_in_variables
from legato.formats.fields import Fields
from legato.formats.functions import read_functions
from legato.formats.naming import read_name
from legato.formats.report import WHOLE_FILE, Report, shown
from legato.formats.scalars import DAY, read_boolean, read_text
from legato.formats.tree import Node, nodes_below
from legato.model.function import Function
from legato.model.names import fnkit_name_problem
from legato.model.problem import Problem
from legato.model.settings import Limits, Settings

STORE_VARIABLE = "CACHE_URL"  # fnkit's name for it (contract 6)

KNOWN = (
    "listen", "auth", "access_log", "flows", "store", "timeout", "limits", "functions", "direct_functions",
    "python_modules", "callback_secret", "data", "journal", "keep_runs", "answer_within",
)  # fmt: skip
MODULE = re.compile(r"\*|[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
LEAST_SECRET = 16  # characters; a shorter key can be guessed from one signed message
_KEY_MARK = "whsec_"  # Standard Webhooks: what follows is the key in base64
_SECRET = re.compile(r"token|secret|store|//[^/\s]*@", re.IGNORECASE)  # what a line that is never quoted holds
_TEBIBYTE = 1024**4

# limit: (its unit, the least, the most)
LIMITS: dict[str, tuple[str, float, float]] = {
    "url": ("size", 256, _TEBIBYTE),
    "header_bytes": ("size", 256, _TEBIBYTE),
    "header_count": ("count", 1, 100_000),
    "request_body": ("size", 0, _TEBIBYTE),
    "answer_body": ("size", 0, _TEBIBYTE),
    "header_time": ("duration", 0.001, DAY),
    "body_time": ("duration", 0.001, DAY),
    "keep_alive": ("duration", 0, DAY),
    "drain": ("duration", 0, DAY),
    "hops": ("count", 1, 1_000),
    "durable_runs": ("count", 1, 1_000_000),
    "recent_runs": ("count", 0, 1_000_000),
}


def read_settings(
    text: bytes, file: str, folder: str, environment: Mapping[str, str]
) -> tuple[Settings | None, list[Problem]]:
    """The settings in a file's text, or every problem that it has. Nothing in it means all defaults."""
    root, report = read_document(file, text)
    if root is None and not report.ok:
        # Without a tree nobody knows which line holds a token.
        return None, [msgspec.structs.replace(problem, source="") for problem in report.problems()]
    settings = _read(report, root or Node("mapping", WHOLE_FILE), folder, environment)
    return (settings if report.ok else None), report.problems()


def _read(report: Report, root: Node, folder: str, environment: Mapping[str, str]) -> Settings:
    _hide_secrets(report)
    put_in_variables(report, root, environment)
    fields = Fields(report, root, "the settings", KNOWN)
    defaults = Settings()
    functions = fields.node("functions")
    default_function, by_name = (
        (defaults.default_function, defaults.functions)
        if functions is None
        else read_functions(report, functions, defaults.default_function)
    )
    return Settings(
        folder=folder,
        listen=_read_listen(report, fields.node("listen"), defaults.listen),
        tokens=read_tokens(report, fields.node("auth"), environment),
        access_log=fields.boolean("access_log", defaults.access_log),
        flows=fields.text("flows", defaults.flows),
        store=_read_store(report, fields.node("store"), environment),
        direct_functions=_read_direct(report, fields.node("direct_functions")),
        default_function=default_function,
        functions={name: _with_ca_beside(function, folder) for name, function in by_name.items()},
        timeout=fields.duration("timeout", defaults.timeout, 0.001, DAY),
        limits=_read_limits(report, fields.node("limits")),
        python_modules=_read_modules(report, fields.items("python_modules")),
        callback_secret=_read_secret(report, fields.node("callback_secret")),
        data=_read_data(report, fields.node("data"), defaults.data),
        journal=fields.text("journal", defaults.journal),
        keep_runs=fields.duration("keep_runs", defaults.keep_runs, 0, 3650 * DAY),
        answer_within=fields.duration("answer_within", defaults.answer_within, 0, DAY),
    )


def _hide_secrets(report: Report) -> None:
    """Keep lines out of messages that hold, or may hold, what nobody else must know."""
    is_secret = False
    for number in range(1, report.lines + 1):
        line = report.line(number)
        if _SECRET.search(line):
            report.hide(number)
        # What YAML itself objects to has been reported already, by lines alone.
        is_secret = line.startswith(("auth", "callback")) or (is_secret and line[:1] in (" ", "\t", "-", "#", ""))
        if is_secret:
            report.keep_secret(number, (*AUTH_WORDS, line.partition(":")[0] if line.startswith("callback") else ""))


def _read_secret(report: Report, node: Node | None) -> str:
    """What signs callbacks; it appears in no message."""
    if node is None:
        return ""
    for part in nodes_below(node):
        report.keep_secret(part.place[0], (*AUTH_WORDS, "callback_secret"))
    secret = read_text(report, node, "`callback_secret`") or ""
    if secret and len(secret) < LEAST_SECRET:
        remedy = f"write {LEAST_SECRET} characters or more that nobody can guess, better by a variable"
        report.add(node.place, f"`callback_secret` has {len(secret)} characters", remedy)
    elif secret.startswith(_KEY_MARK) and not _is_base64(secret.removeprefix(_KEY_MARK)):
        message = f"`callback_secret` begins with {_KEY_MARK}, and what follows is not base64"
        report.add(node.place, message, "write base64 behind it, or a text that does not begin so")
    return secret


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False


def _with_ca_beside(function: Function, folder: str) -> Function:
    """A function whose `ca` starts, as every path does, where the settings are."""
    return msgspec.structs.replace(function, ca=os.path.join(folder, function.ca)) if function.ca else function


def _read_listen(report: Report, node: Node | None, default: str) -> str:
    if node is None:
        return default
    if node.kind == "integer":
        report.add(node.place, "`listen` has no host", f"write 127.0.0.1:{node.text}")
        return default
    listen = read_text(report, node, "`listen`")
    trouble, remedy = ("", "") if listen is None else listen_trouble(listen)
    if trouble:
        report.add(node.place, f"`listen` {trouble}", remedy)
    return listen or default


def _read_store(report: Report, node: Node | None, environment: Mapping[str, str]) -> str:
    """Where definitions are kept; a URL may hold a password, so it is shown in no message."""
    store = Settings().store
    if node is not None:
        report.hide(node.place[0])
        store = read_text(report, node, "`store`") or store
        if trouble := store_trouble(store):
            report.add(node.place, f"`store` {trouble[0]}", trouble[1])
    if STORE_VARIABLE in environment:
        store = environment[STORE_VARIABLE]
        if trouble := store_trouble(store, of_cache=True):
            report.add(WHOLE_FILE, f"the variable {STORE_VARIABLE} {trouble[0]}", trouble[1])
    return store


def _read_data(report: Report, node: Node | None, default: str) -> str:
    """Where large data is kept."""
    data = default if node is None else read_text(report, node, "`data`") or default
    if node is not None and (trouble := data_trouble(data)):
        report.add(node.place, f"`data` {trouble[0]}", trouble[1])
    return data


def _read_direct(report: Report, node: Node | None) -> bool | tuple[str, ...]:
    """`true`, or the names of functions."""
    if node is None:
        return False
    if node.kind != "list":
        return bool(read_boolean(report, node, "`direct_functions`"))
    names = [read_name(report, item, "a function", fnkit_name_problem) for item in node.items]
    return tuple(name for name in names if name)


def _read_modules(report: Report, nodes: list[Node]) -> tuple[str, ...]:
    """Names of modules, or `*` for any."""
    names: list[str] = []
    for node in nodes:
        name = read_text(report, node, "a module")
        if name is not None and not MODULE.fullmatch(name):
            report.add(node.place, f"{shown(name)} is no module", 'write its name, as in shop.steps, or "*" for any')
        elif name is not None:
            names.append(name)
    return tuple(names)


def _read_limits(report: Report, node: Node | None) -> Limits:
    if node is None:
        return Limits()
    fields = Fields(report, node, "`limits`", tuple(LIMITS))
    values: dict[str, float] = {}
    for key, (unit, low, high) in LIMITS.items():
        default = getattr(Limits(), key)
        if unit == "size":
            values[key] = fields.size(key, default, int(low), int(high))
        elif unit == "count":
            values[key] = fields.integer(key, default, int(low), int(high))
        else:
            values[key] = fields.duration(key, default, low, high)
    return msgspec.convert(values, Limits)
