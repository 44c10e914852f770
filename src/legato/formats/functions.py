"""The `functions` of the settings: how each function is reached, and the default for those without an entry."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, cast

from legato.formats.addresses import Trouble, default_url_trouble, url_trouble
from legato.formats.fields import Fields
from legato.formats.naming import check_name
from legato.formats.report import Report, shown
from legato.formats.scalars import DAY, read_boolean, read_choice, read_entries, read_text, wrong_kind
from legato.formats.tree import Node
from legato.model.function import Function
from legato.model.names import fnkit_name_problem
from legato.model.policy import Breaker

DEFAULT = "default"
BUILTINS = ("echo", "fail", "slow")
MAX_CONNECTIONS = 65_535  # one client address has no more ports

REACHED = ("url", "python", "builtin")
KNOWN = (*REACHED, "timeout", "idempotent", "keyed", "connections", "ca", "breaker", "concurrency")
BREAKER_KEYS = ("failures", "within", "open")
MAX_FAILURES = 10_000
MAX_CONCURRENCY = 65_535
PYTHON = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


def read_functions(report: Report, node: Node, default: str) -> tuple[str, dict[str, Function]]:
    """The default URL, and the functions by name."""
    functions: dict[str, Function] = {}
    for name, entry in read_entries(report, node, "`functions`").items():
        if name == DEFAULT:
            default = _read_url(report, entry, shown(DEFAULT), default_url_trouble) or default
        elif check_name(report, entry.key, name, fnkit_name_problem):
            functions[name] = _read_function(report, name, entry)
    return default, functions


def _read_function(report: Report, name: str, node: Node) -> Function:
    if node.kind == "text":
        return Function(name=name, url=_read_url(report, node, shown(name), url_trouble))
    what = f"the function {shown(name)}"
    fields = Fields(report, node, what, KNOWN)
    reached = [key for key in REACHED if fields.node(key) is not None]
    if len(reached) != 1 and node.kind == "mapping":
        found = " and ".join(map(shown, reached))
        message = f"{what} is reached in one way, not by {found}" if found else f"{what} does not say how it is reached"
        report.add(node.key, message, f"write exactly one of {', '.join(REACHED)}")
    defaults = Function(name=name)
    function = Function(
        name=name,
        url=_if_there(fields.node("url"), lambda url: _read_url(report, url, shown(name), url_trouble)),
        python=_if_there(fields.node("python"), lambda python: _read_python(report, python)),
        builtin=cast(
            "Literal['', 'echo', 'fail', 'slow']",
            _if_there(fields.node("builtin"), lambda word: read_choice(report, word, "`builtin`", BUILTINS) or ""),
        ),
        timeout=fields.duration("timeout", defaults.timeout, 0.001, DAY),
        idempotent=fields.boolean("idempotent", defaults.idempotent),
        keyed=fields.boolean("keyed", defaults.keyed),
        connections=fields.integer("connections", defaults.connections, 1, MAX_CONNECTIONS),
        ca=fields.text("ca"),
        breaker=_read_breaker(report, fields.node("breaker")),
        concurrency=fields.integer("concurrency", defaults.concurrency, 0, MAX_CONCURRENCY),
    )
    ca = fields.node("ca")
    if ca is not None and reached and not function.url.startswith("https:") and (function.url or "url" not in reached):
        report.add(ca.key, "`ca` is for https only", "remove it, or call the function by https")
    return function


def _read_breaker(report: Report, node: Node | None) -> Breaker | None:
    """A breaker: `true` for the usual one, or what differs from it."""
    if node is None:
        return None
    if node.kind != "mapping" and node.kind != "boolean" and node.resolved is None:
        wrong_kind(
            report, node, "`breaker`", "true or a mapping", "write true, or {failures: 5, within: 60s, open: 10s}"
        )
        return None
    if node.kind != "mapping":
        return Breaker() if read_boolean(report, node, "`breaker`") else None
    fields, usual = Fields(report, node, "`breaker`", BREAKER_KEYS), Breaker()
    return Breaker(
        failures=fields.integer("failures", usual.failures, 1, MAX_FAILURES),
        within=fields.duration("within", usual.within, 0.001, DAY),
        open=fields.duration("open", usual.open, 0.001, DAY),
    )


def _if_there(node: Node | None, read: Callable[[Node], str]) -> str:
    return "" if node is None else read(node)


def _read_url(report: Report, node: Node, label: str, check: Callable[[str], Trouble]) -> str:
    """A URL that passes the check; empty after a problem."""
    url = read_text(report, node, label)
    if url is None:
        return ""
    trouble, remedy = check(url)
    if not trouble:
        return url
    if check is url_trouble:
        remedy = _reached_otherwise(url) or remedy
    if "@" in url:
        report.hide(node.place[0])  # what stands before it may be a password
    report.add(node.place, f"the URL of {label} {trouble}", remedy)
    return ""


def _reached_otherwise(text: str) -> str:
    """How to write what stands where a URL should, and names a function of another kind."""
    if PYTHON.fullmatch(text):
        return f'for Python write {{python: "{text}"}}'
    return f"for the built-in function write {{builtin: {text}}}" if text in BUILTINS else ""


def _read_python(report: Report, node: Node) -> str:
    text = read_text(report, node, "`python`")
    if text is None or PYTHON.fullmatch(text):
        return text or ""
    report.add(node.place, f"`python` is {shown(node.text)}", "write module:function, as in shop.scoring:score")
    return ""
