"""The schemas say what the readers say: about every golden file, and about every key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from click.testing import CliRunner

from legato.cli import main
from legato.formats import (
    branches,
    callbacks,
    choices,
    credentials,
    functions,
    graphs,
    kinds,
    loops,
    modifiers,
    retries,
    settings,
    undos,
)
from legato.formats.document import read_document
from legato.formats.schema import SCHEMAS, schema_text
from legato.formats.tree import Node
from legato.model.mapping import SHAPING
from tests.formats.test_golden import FILES, ORIGINS, outcome

VALIDATORS = {language: jsonschema_rs.Draft202012Validator(make()) for language, make in SCHEMAS.items()}

# What is wrong with these, no schema can see.
ONLY_THE_READER = {
    "native-other-name",  # the file's name is another
    "native-ids-collide",
    "native-graph-cycles",  # and what else a flow shows as a whole
    "native-steps-not-seen",
    "native-saga-bad",  # what needs `durable: true`
    "native-pivots",
    "native-pivot-twice",
    "native-input-schema-bad",
    "native-callback-bad-16",  # a port of five digits that is too large
    "fnkit-duplicates",  # names are the same when blanks are trimmed
    "settings-listen-bad-4",  # a port of five digits that is too large
    "settings-listen-bad-8",  # not quite an IPv4 address
}


def source_of(path: Path) -> tuple[str, bytes]:
    language = path.name.partition("-")[0]
    return language, path.read_bytes().partition(b"----\n")[0]


def schema_of(language: str, text: bytes) -> str:
    """Which schema an author would have given to the file."""
    if language == "settings":
        return "settings"
    return "flow" if language == "native" or (b'"flow"' in text and b'"mode"' not in text) else "pipeline"


def value_of(node: Node) -> Any:
    if node.kind == "mapping":
        return {key: value_of(field) for key, field in node.fields.items()}
    if node.kind == "list":
        return [value_of(item) for item in node.items]
    return node.text if node.kind == "text" else node.scalar


def document_of(language: str, text: bytes) -> tuple[Any, bool]:
    """What an editor makes of a text, and whether it is well-formed."""
    root, report = read_document("file", text, "yaml" if ORIGINS[language].endswith(".yaml") else "json")
    empty = {} if language == "settings" else None
    return (empty if root is None else value_of(root)), report.ok


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_golden(path: Path) -> None:
    language, text = source_of(path)
    document, well_formed = document_of(language, text)
    if not well_formed:
        return  # an editor says so without a schema
    value, _ = outcome(language, text)
    valid = VALIDATORS[schema_of(language, text)].is_valid(document)
    if value is not None:
        assert valid, list(VALIDATORS[schema_of(language, text)].iter_errors(document))
    else:
        assert valid == (path.stem in ONLY_THE_READER)


def test_the_list_of_what_only_the_reader_sees_is_up_to_date() -> None:
    assert {path.stem for path in FILES} >= ONLY_THE_READER


BAD_STEPS: list[Any] = [
    *({"call": "a", "headers": {name: "x"}} for name in ("Host", "proxy-x", "Legato-x", "a b", "TE")),
    {"call": "a", "headers": {"x": 1}},
    {"call": "a", "headers": {"x": "a\nb"}},
    {"call": "a", "query": {"x": {"a": 1}}},
    {"call": "a", "query": {"": 1}},
    {"call": "a", "query": {"x": [[1]]}},
    {"call": "a", "path": "${value.path}"},
    {"call": "a", "encode": "xml"},
    {"call": "a", "decode": "yaml"},
    {"call": "a", "success": []},
    {"call": "a", "success": "6xx"},
    {"call": "a", "success": 99},
    {"call": "a", "return_status": "4xx"},
    {"call": "a", "return_status": {"404": 200}},
    {"call": "a", "return_status": {"4": 404}},
    {"call": "a", "hedge": 5},
    {"call": "a", "hedge": {"attempts": 6}},
    {"call": "a", "on_response": "unpack"},
    {"call": "a", "undo": {"call": "b", "input": {"drop": []}}},
    {"call": "a", "timeout": "0ms"},
    {"call": "a", "when": "value.ok"},
    {"call": "a", "when": True},
    {"call": "a", "input": {"pick": [5]}},
    {"call": "a", "input": {"rename": {}}},
    {"call": "a", "input": {"rename": {"a": "b..c"}}},
    {"call": "a", "input": {"wrap": "a.b"}},
    {"call": "a", "input": {"under": "${value.a}"}},
    {"call": "a", "on_error": "ignore"},
    {"call": "a", "on_error": ["b"]},
    {"call": "a", "on_error": {}},
    {"call": "a", "on_error": {"value": 1, "steps": []}},
    {"call": "a", "after": "b"},
    {"python": "score"},
    {"python": "a:b", "method": "GET"},
    {"steps": ["a"], "retry": {"attempts": 2}},
    {"parallel": {"a": "x"}, "join": "most"},
    {"parallel": {"a": "x"}, "join": {"quorum": 0}},
    {"parallel": {"a": "x"}, "merge": "deep"},
    {"parallel": {"a": "x"}, "prefer": ["a"]},
    {"parallel": {"a": "x"}, "merge": "flat", "prefer": ["a", "a"]},
    {"graph": {}},
    {"graph": {"A": "x"}},
    {"graph": {"a": ["x"]}},
    {"graph": {"a": {"after": "b"}}},
    {"graph": {"a": "x", "b": {"call": "x", "after": ["a", "a"]}}},
    {"graph": {"a": "x", "b": {"call": "x", "after": {"a": "dta"}}}},
    {"foreach": "${value}"},
    {"foreach": "value", "steps": ["a"]},
    {"foreach": 5, "steps": ["a"]},
    {"foreach": {"steps": ["a"]}},
    {"foreach": "${value}", "steps": ["a"], "tolerate": "half"},
    {"foreach": "${value}", "steps": ["a"], "tolerate": 1, "min_successful": 1},
    {"foreach": "${value}", "steps": ["a"], "concurrency": 0},
    {"foreach": "${value}", "steps": ["a"], "collect": "all"},
    {"choose": []},
    {"choose": [{"otherwise": True, "steps": ["a"]}]},
    {"choose": [{"when": "${value}"}]},
    {"choose": [{"when": "${value}", "otherwise": True, "steps": ["a"]}]},
    {"choose": [{"when": "${value}", "steps": ["a"], "call": "a"}]},
    {"choose": [{"when": "${value}", "call": "a"}, {"otherwise": True, "call": "a", "name": "x"}]},
    {"choose": {"all": True, "cases": [{"when": "${value}", "call": "a"}]}},
    {"choose": {"all": True}},
    {"flow": "Other"},
    {"sleep": 5},
    {"wait": "approval", "default": 5},
    {"publish": "a b"},
    {"publish": "a.${value.b}"},
    {"respond": 1, "status": 204},
    {"respond": 1, "status": 600},
    {"fail": ""},
    {"fail": "no", "status": 200},
    {"set": {"pick": {}}},
    {"over": [1], "steps": ["a"]},
]


# A problem of its own in each, so that one does not hide another; the golden files hold many at once.
BAD = {
    "flow": [
        {"steps": ["a"]},
        {"flow": "f", "steps": []},
        {"flow": "F", "steps": ["a"]},
        {"flow": "f", "steps": ["localhost"]},
        {"flow": "f", "steps": ["a"], "timeout": "0s"},
        {"flow": "f", "steps": ["a"], "timeout": 5},
        {"flow": "f", "steps": [["a"]]},
        {"flow": "f", "steps": [{"call": "a", "steps": ["b"]}]},
        {"flow": "f", "steps": [{"steps": ["b"], "retry": {"attempts": 2}}]},
        {"flow": "f", "steps": [{"parallel": {}}]},
        {"flow": "f", "steps": [{"parallel": {"A": "a"}}]},
        {"flow": "f", "steps": [{"call": "a", "retry": {}}]},
        {"flow": "f", "steps": [{"call": "a", "retry": {"attempts": 101}}]},
        {"flow": "f", "steps": [{"call": "a", "retry": {"attempts": 2, "when_status": [404]}}]},
        {"flow": "f", "steps": [{"call": "a", "path": "/a/%2e%2e"}]},
        {"flow": "f", "steps": [{"call": "a", "path": "/a?b"}]},
        {"flow": "f", "steps": [{"call": "a", "undo": {"call": "b", "undo": "c"}}]},
        *({"flow": "f", "steps": [step]} for step in BAD_STEPS),
        {"flow": "f", "steps": ["a"], "durable": "yes"},
        {"flow": "f", "steps": ["a"], "answer_within": 5},
        {"flow": "f", "steps": ["a"], "input": []},
        {"flow": "f", "steps": ["a"], "output": {"pick": []}},
        {"flow": "f", "steps": ["a"], "finally": "a"},
        {"flow": "f", "steps": ["a"], "on_failure": [5]},
        {"flow": "f", "steps": ["a"], "callback": "https://${input.host}/"},
        {"flow": "f", "steps": ["a"], "callback": "https://user@host/"},
        {"flow": "f", "steps": ["a"], "callback": {"when": "always"}},
        {"flow": "f", "steps": ["a"], "call": "a"},
    ],
    "settings": [
        {"listen": 8080},
        {"listen": "localhost"},
        {"auth": {"tokens": "x"}},
        {"auth": {"tokens": ["two words"]}},
        {"auth": {"tokens": [{"token": "x"}]}},
        {"auth": {"tokens": [{"token": "x", "scopes": ["all"]}]}},
        {"access_log": "yes"},
        {"access_log": "${LOG}"},
        {"store": "postgres://x"},
        {"limits": {"url": "4k"}},
        {"limits": {"drain": 5}},
        {"functions": {"10": "http://a"}},
        {"functions": {"Orchestrate": "http://a"}},
        {"functions": {"f": {"url": "http://a", "python": "a:b"}}},
        {"functions": {"f": {"timeout": "5s"}}},
        {"functions": {"f": {"url": "http://a", "ca": "x.pem"}}},
        {"functions": {"f": {"python": "a:b", "ca": "x.pem"}}},
        {"functions": {"f": "http://user:password@host/"}},
        {"functions": {"default": "http://functions:8080"}},
        {"functions": {"f": {"builtin": "echo", "breaker": {"failures": 0}}}},
        {"functions": {"f": {"builtin": "echo", "breaker": {"after": 3}}}},
        {"functions": {"f": {"builtin": "echo", "breaker": "yes"}}},
        {"functions": {"f": {"builtin": "echo", "concurrency": -1}}},
        {"callback_secret": "short"},
        {"callback_secret": ["a" * 20]},
    ],
    "pipeline": [
        {"mode": "sequential"},
        {"mode": "loop", "steps": ["a"]},
        {"mode": "parallel", "steps": ["", " "]},
        {"mode": "parallel", "steps": ["10"]},
        {"mode": "parallel", "steps": [" a b "]},
    ],
}


@pytest.mark.parametrize(
    ("language", "document"), [(language, document) for language, documents in BAD.items() for document in documents]
)
def test_each_problem_is_seen(language: str, document: Any) -> None:
    assert not VALIDATORS[language].is_valid(document)
    name = {"flow": "native", "settings": "settings", "pipeline": "fnkit"}[language]
    value, problems = outcome(name, json.dumps(document).encode())
    assert value is None, "the schema refuses what the reader takes"
    assert problems


# The reader takes these, so a schema must.
GOOD = {
    "settings": [
        {"listen": "[fe80::1%eth0]:80"},
        {"functions": {"f": "HTTP://host", "g": {"url": "https://h/@x", "ca": "x.pem"}, "localhost-2": "http://a"}},
        {"timeout": "${env.SECONDS}", "limits": {"hops": "${env.HOPS}", "url": "${env.URL}"}},
        {"direct_functions": ["getUser"], "store": "files"},
        {"auth": {"tokens": ["x", {"token": "${env.TOKEN}", "scopes": ["define"]}]}},
        {"callback_secret": "${env.SECRET}"},
        {"functions": {"f": {"builtin": "echo", "breaker": True, "concurrency": 0}}},
        {"functions": {"f": {"builtin": "echo", "breaker": {"open": "${env.SECONDS}"}, "concurrency": "${env.HOPS}"}}},
    ],
    "pipeline": [{"mode": "SEQUENTIAL", "steps": ["a", "", " b "], "other": 1}],
}
VARIABLES = {"SECONDS": "5s", "HOPS": "3", "URL": "4KiB", "TOKEN": "t", "SECRET": "a" * 16}


@pytest.mark.parametrize(
    ("language", "document"), [(language, document) for language, documents in GOOD.items() for document in documents]
)
def test_nothing_good_is_refused(language: str, document: Any) -> None:
    assert VALIDATORS[language].is_valid(document)
    if language == "settings":
        found, problems = settings.read_settings(json.dumps(document).encode(), "legato.yaml", ".", VARIABLES)
        assert found is not None, problems


# Keys.


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every mapping of a schema that knows its keys."""
    if isinstance(schema, dict):
        if "properties" in schema and "additionalProperties" in schema:
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def keys_of(schema: dict[str, Any]) -> set[tuple[str, ...]]:
    return {tuple(sorted(each["properties"])) for each in objects(schema)}


def test_the_keys_are_those_of_the_readers() -> None:
    steps = [(*own, *kinds.MODIFIERS) for own in kinds.KINDS.values()]
    inner = [retries.RETRY_KEYS, retries.HEDGE_KEYS, undos.UNDO_KEYS, branches.QUORUM_KEYS, loops.FOREACH_KEYS]
    inner += [choices.CHOOSE_KEYS, choices.CASE_KEYS, modifiers.ON_ERROR_KEYS, callbacks.CALLBACK_KEYS, SHAPING]
    flow = [kinds.FLOW_KEYS, *inner, *steps, *((*each, *graphs.NODE_KEYS) for each in steps)]
    assert keys_of(SCHEMAS["flow"]()) == {tuple(sorted(known)) for known in flow}
    top = [
        settings.KNOWN,
        functions.KNOWN,
        functions.BREAKER_KEYS,
        tuple(settings.LIMITS),
        ("tokens",),
        ("token", "scopes"),
        ("default",),
    ]
    assert keys_of(SCHEMAS["settings"]()) == {tuple(sorted(known)) for known in top}
    assert set(credentials.SCOPES) <= set(schema_text("settings").replace('"', " ").split())


@pytest.mark.parametrize("language", SCHEMAS)
def test_every_key_is_explained(language: str) -> None:
    for each in [*objects(SCHEMAS[language]()), SCHEMAS[language]()]:
        for key, schema in each["properties"].items():
            told = schema.get("description", "")
            assert len(told) > 10 or key in ("token", "tokens"), key
            assert not told or told[-1] in ".`", told


@pytest.mark.parametrize("language", SCHEMAS)
def test_defaults_and_examples_fit(language: str) -> None:
    """What an editor offers is what the schema itself takes."""
    whole = SCHEMAS[language]()
    for each in objects(whole):
        for key, schema in each["properties"].items():
            check = jsonschema_rs.Draft202012Validator({**schema, "$defs": whole.get("$defs", {})})
            for value in [*schema.get("examples", []), *([schema["default"]] if "default" in schema else [])]:
                assert check.is_valid(value), (key, value)


# The command.


@pytest.mark.parametrize("language", SCHEMAS)
def test_the_command_prints_it(language: str) -> None:
    done = CliRunner().invoke(main, ["schema", language])
    assert done.exit_code == 0
    assert json.loads(done.output) == SCHEMAS[language]()
    jsonschema_rs.meta.validate(json.loads(done.output))


def test_flows_are_the_default() -> None:
    assert CliRunner().invoke(main, ["schema"]).output == schema_text("flow")
    assert CliRunner().invoke(main, ["schema", "krakend"]).exit_code == 2
