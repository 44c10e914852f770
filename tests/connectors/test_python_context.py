"""Python code that asks for a context, code given by its place in a step, and code that a definition brings."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from legato.connectors.python import REMEMBERED, PythonConnector
from legato.connectors.python_context import LARGEST, PythonContext
from legato.errors import DefinitionError
from legato.kernel.run import MAX_SHARED, MAX_SHARED_BYTES
from legato.model.function import Function
from legato.model.outcome import Outcome
from legato.model.payload import json_payload
from legato.model.steps import CallStep
from tests.connectors.attempts import Attempt, Caller, View

HERE = "tests.connectors.contexts"


def outcome_of(code: str, attempt: Attempt, connector: Any = None) -> Outcome:
    async def main() -> Outcome:
        python = connector or PythonConnector()
        step = CallStep(function=code)
        python.bind(Function(name=code, python=code), step).begin(attempt)
        outcome = await attempt.end()
        await python.close()
        return outcome

    return asyncio.run(main())


def attempt_with(value: object = None, **shared: bytes) -> Attempt:
    attempt = Attempt(json_payload(value))
    attempt.view = View(shared)
    return attempt


@pytest.mark.parametrize(
    "code",
    ["by_name", "by_keyword", "by_default", "by_annotation", "by_dotted_annotation", "soon", "called", "called_soon"],
)
def test_who_asks_for_a_context_gets_one(code: str) -> None:
    assert outcome_of(f"{HERE}:{code}", attempt_with(7)).payload.value() == [7, "PythonContext"]


@pytest.mark.parametrize(("code", "value"), [("first", [7, "none"]), ("others", [7, "none", 5, 0, 1])])
def test_who_does_not_gets_the_value_alone(code: str, value: object) -> None:
    attempt = attempt_with(7)
    attempt.view = None  # not even looked at
    assert outcome_of(f"{HERE}:{code}", attempt).payload.value() == value


def test_code_that_says_nothing_of_itself_gets_the_value() -> None:
    assert outcome_of("builtins:len", attempt_with([1, 2])).payload.value() == 2
    assert outcome_of("builtins:max", attempt_with([1, 2])).payload.value() == 2  # has no signature


@pytest.mark.parametrize("code", ["nothing", "two", "only_context"])
def test_code_that_could_never_be_called_is_told_at_load(code: str) -> None:
    with pytest.raises(DefinitionError, match=rf"^python: {HERE}:{code} cannot be called: .*: it is given the value"):
        PythonConnector().bind(Function(name=f"{HERE}:{code}", python=f"{HERE}:{code}"), CallStep(function="f"))


def test_code_that_waits_for_nobody_says_so() -> None:
    outcome = outcome_of(f"{HERE}:forgotten_await", attempt_with(1))
    assert (outcome.kind, outcome.status) == ("unknown", 500)
    assert outcome.detail == (
        "the function's answer: a coroutine, which is not awaited in a thread: make the function an `async def`"
    )


def test_what_it_knows_of_the_run() -> None:
    attempt = attempt_with(None)
    attempt.path = "ship.items[3].pick"
    attempt.caller = Caller(b"PUT", b"/sub/x", b"a=1&b=x%20y&a=2&empty=")
    attempt.caller.fields = {b"host": b"x", b"x-name": b"gr\xfc\xdf"}
    assert outcome_of(f"{HERE}:facts", attempt).payload.value() == {
        "run_id": "01a2000e-36e0-7a0a-82c5-05ffce5d8ab4",
        "flow": "order",
        "node": "ship.items[3].pick",
        "state": "running",
        "query": {"a": "1", "b": "x y", "empty": ""},
        "headers": {"host": "x", "x-name": "grüß"},
        "request": ["PUT", "/sub/x"],
    }


def test_values_are_shared_when_it_ends_well() -> None:
    attempt = attempt_with("v", count=b"4", old=b'"x"', untouched=b"1")
    outcome = outcome_of(f"{HERE}:count", attempt)
    assert outcome.payload.value() == [5, "gone", None]
    assert outcome.shared == {"count": b"5", "last": b'{"value":"v"}', "old": None}
    assert attempt.view.shared == {"count": b"4", "old": b'"x"', "untouched": b"1"}  # the kernel's to change


@pytest.mark.parametrize("how", ["refused", "other"])
def test_nothing_is_shared_when_it_fails(how: str) -> None:
    assert outcome_of(f"{HERE}:share_and_fail", attempt_with(how)).shared is None


def test_nothing_to_share_is_none() -> None:
    assert outcome_of(f"{HERE}:facts", attempt_with(1)).shared is None


def test_a_value_that_came_and_went_deletes_what_others_may_have_set() -> None:
    outcome = outcome_of(f"{HERE}:set_and_delete", attempt_with(1))
    assert (outcome.payload.value(), outcome.shared) == ("gone", {"new": None})


def test_each_look_at_a_value_is_a_new_one() -> None:
    outcome = outcome_of(f"{HERE}:changes_what_it_got", attempt_with(1, list=b"[0]"))
    assert (outcome.payload.value(), outcome.shared) == ([0], None)


# The bounds of what is shared.


def context(**shared: bytes) -> PythonContext:
    return PythonContext(attempt_with(None, **shared))


@pytest.mark.parametrize("key", ["", "x" * 129, "a\nb", "a\x00", 5, None, "\ud800"])
def test_names_of_shared_values(key: Any) -> None:
    with pytest.raises(ValueError, match="a shared value has a printable name of 1 to 128 characters, not "):
        context().set(key, 1)


def test_one_shared_value_is_bounded() -> None:
    ours = context()
    ours.set("x" * 128, "x" * (LARGEST - 2))
    with pytest.raises(ValueError, match=r"^context\.set\('big'\): 65537 bytes of JSON, more than 65536"):
        ours.set("big", "x" * (LARGEST - 1))
    assert list(ours.changes or ()) == ["x" * 128]


def test_the_number_of_shared_values_is_bounded() -> None:
    ours = context(**{f"key{number}": b"1" for number in range(MAX_SHARED)})
    ours.set("key7", 2)  # in the place of another
    with pytest.raises(ValueError, match="256 values are shared already: delete one"):
        ours.set("more", 1)
    ours.delete("key8")
    ours.set("more", 1)
    assert ours.changes == {"key7": b"2", "key8": None, "more": b"1"}


def test_all_shared_values_together_are_bounded() -> None:
    ours = context(**{f"key{number}": b"1" * LARGEST for number in range(16)})
    assert MAX_SHARED_BYTES == 16 * LARGEST
    ours.set("key3", "x" * (LARGEST - 2))
    with pytest.raises(ValueError, match="more than 1048576 bytes would be shared"):
        ours.set("more", 1)
    ours.set("key3", 0)
    ours.set("more", "x" * (LARGEST - 3))
    with pytest.raises(ValueError, match="would be shared"):
        ours.set("key3", 10)


def test_what_json_cannot_hold_is_not_shared() -> None:
    with pytest.raises(TypeError, match=r"context\.set\('key'\): object cannot be written as JSON"):
        context().set("key", object())


# Code given by its place, and code that a definition brings.


def test_code_is_given_by_its_place() -> None:
    connector = PythonConnector()
    with pytest.raises(DefinitionError, match=r"^python: tests.connectors.nowhere:f: cannot import"):
        connector.bind(
            Function(name="tests.connectors.nowhere:f", python="tests.connectors.nowhere:f"), CallStep(function="f")
        )
    with pytest.raises(DefinitionError, match=r"^function f: python: tests.connectors.nowhere2:f: cannot import"):
        connector.bind(Function(name="f", python="tests.connectors.nowhere2:f"), CallStep(function="f"))


def test_a_module_that_fails_is_imported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_module.py").write_text("import sys\nsys.tries = getattr(sys, 'tries', 0) + 1\n1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    connector = PythonConnector()
    for _ in range(3):
        with pytest.raises(DefinitionError, match="ZeroDivisionError"):
            connector.bind(Function(name="f", python="failing_module:f"), CallStep(function="f"))
    assert vars(sys).pop("tries") == 1


def test_what_is_remembered_of_code_is_bounded() -> None:
    connector = PythonConnector()
    good = Function(name="f", python=f"{HERE}:by_name")
    connector.bind(good, CallStep(function="f"))
    for number in range(REMEMBERED + 10):
        with pytest.raises(DefinitionError):
            connector.bind(Function(name="f", python=f"{HERE}:missing{number}"), CallStep(function="f"))
    assert len(connector._loaded) <= REMEMBERED
    connector.bind(good, CallStep(function="f"))


def test_a_definition_brings_code_of_its_own() -> None:
    async def later(value: int, context: Any) -> object:
        return [value, context.flow]

    python = PythonConnector()
    connector = python.with_code({"lambda:1": lambda value: value * 2, f"{HERE}:by_name": len, "async:1": later})
    assert outcome_of("lambda:1", attempt_with(21), connector).payload.value() == 42
    assert outcome_of("async:1", attempt_with(1), connector).payload.value() == [1, "order"]
    assert outcome_of(f"{HERE}:by_name", attempt_with([1, 2, 3]), connector).payload.value() == 3
    assert outcome_of(f"{HERE}:by_keyword", attempt_with(7), connector).payload.value() == [7, "PythonContext"]
    with pytest.raises(DefinitionError, match=r"^python: lambda:1: cannot import lambda"):
        python.bind(Function(name="lambda:1", python="lambda:1"), CallStep(function="f"))
    with pytest.raises(DefinitionError, match=r"^python: lambda:2 cannot be called: "):
        python.with_code({"lambda:2": lambda: 1}).bind(
            Function(name="lambda:2", python="lambda:2"), CallStep(function="f")
        )


def test_errors_are_shown_from_where_the_code_begins(capsys: pytest.CaptureFixture[str]) -> None:
    for code in ("tests.connectors.shop:fail", "tests.connectors.shop:fail_soon"):
        outcome_of(code, attempt_with("x"), PythonConnector(shows_errors=True))
        shown = capsys.readouterr().err
        assert "KeyError: 'x'" in shown
        assert "shop.py" in shown
        assert "connectors/python.py" not in shown


@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("os:system", "a flow may name code of the settings' folder only"),
        ("builtins:exec", "a flow may name code of the settings' folder only"),
        (f"{HERE}:asyncio.run", "is code of"),
    ],
)
def test_a_flow_names_code_of_its_own_place_only(python: str, message: str) -> None:
    connector = PythonConnector(may_name=lambda module: module == HERE)
    step = CallStep(function=python)
    with pytest.raises(DefinitionError, match=message):
        connector.bind(Function(name=python, python=python), step)
    assert connector.bind(Function(name="trusted", python=python), step) is not None
