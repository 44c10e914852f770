"""The `auth` of the settings: which tokens there are, and what each allows. Tokens never appear in a message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast, get_args

from legato.formats.fields import Fields
from legato.formats.report import WHOLE_FILE, Report
from legato.formats.scalars import read_choice, read_text
from legato.formats.tree import Node, nodes_below
from legato.model.settings import CALLER_SCOPES, Scope

SCOPES: tuple[Scope, ...] = get_args(Scope)

# What each variable's token allows: that of callers, and that of who defines flows.
TOKEN_VARIABLES: dict[str, tuple[Scope, ...]] = {"LEGATO_TOKEN": CALLER_SCOPES, "LEGATO_ADMIN_TOKEN": SCOPES}

AUTH_WORDS = ("auth", "tokens", "token", "scopes", *SCOPES)  # that a message may repeat
TOKEN = re.compile(r"[\x21-\x7e]+")

Tokens = dict[str, tuple[Scope, ...]]


def read_tokens(report: Report, auth: Node | None, environment: Mapping[str, str]) -> Tokens:
    """The tokens with their scopes. An empty token is a problem: it would let in whoever sends none."""
    tokens: Tokens = {}
    if auth is not None:
        for node in nodes_below(auth):  # a token may stand where none should
            report.keep_secret(node.place[0], AUTH_WORDS)
            report.keep_secret(node.key[0], AUTH_WORDS)
        fields = Fields(report, auth, "`auth`", ("tokens",))
        for node in fields.items("tokens"):
            token, scopes = _read_scoped(report, node) if node.kind == "mapping" else (node, CALLER_SCOPES)
            if token is not None:
                _add(tokens, _read_token(report, token), scopes)
    for variable, scopes in TOKEN_VARIABLES.items():
        if variable in environment:
            token = environment[variable]
            if not TOKEN.fullmatch(token):
                problem = "holds a blank or a character that no header can carry" if token.strip() else "is empty"
                report.add(WHOLE_FILE, f"the variable {variable} {problem}", "give it a token, or unset it")
            _add(tokens, token, scopes)
    return tokens


def _add(tokens: Tokens, token: str, scopes: tuple[Scope, ...]) -> None:
    """A token that is there already is allowed both."""
    tokens[token] = tuple(scope for scope in SCOPES if scope in (*scopes, *tokens.get(token, ())))


def _read_scoped(report: Report, node: Node) -> tuple[Node | None, tuple[Scope, ...]]:
    fields = Fields(report, node, "a token's entry", ("token", "scopes"))
    token = fields.required("token", "write {token: ..., scopes: [...]}")
    remedy = f"list what it allows: scopes: [{', '.join(SCOPES)}]"
    listed = fields.required("scopes", remedy)
    if listed is not None and listed.kind == "list" and not listed.items:
        report.add(listed.place, "a token without a scope allows nothing", remedy)
    scopes = [read_choice(report, item, "a scope", SCOPES) for item in fields.items("scopes")]
    return token, cast("tuple[Scope, ...]", tuple(scope for scope in scopes if scope))


def _read_token(report: Report, node: Node) -> str:
    token = read_text(report, node, "a token")
    if token is not None and not TOKEN.fullmatch(token):
        report.add(node.place, "a token holds a blank or a character that no header can carry", "use another")
    return token or ""
