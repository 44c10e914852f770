"""KrakenD: what its components do, in flows; of the paid edition, too. docs/comparison.md names these tests."""

from __future__ import annotations

from typing import Any

import pytest

from legato.testing import ok, refused, unknown
from tests.language.play import Caller, play, problems_of

PONG = {"message": "pong"}


# Merging, and the shape of each backend's answer.


def test_parallel_merge() -> None:
    """All keys in one object; which one counts of two that are alike is said, not raced for."""
    text = "steps: [{parallel: {user: user, stats: stats}, merge: flat, prefer: [user]}]"
    for delay in (0.0, 5.0):
        functions = {"user": ok({"id": 1, "name": "Ada"}).later(delay), "stats": ok({"id": 9, "posts": 3}).later(1.0)}
        assert play(text, functions).value == {"id": 1, "name": "Ada", "posts": 3}


def test_merge_collision_is_no_race() -> None:
    text = "steps: [{parallel: {user: user, stats: stats}, merge: flat}]"
    step, detail = play(text, {"user": {"id": 1}, "stats": {"id": 9}}).mistake
    assert (step, "both have 'id'" in detail) == ("parallel", True)


def test_group() -> None:
    """A branch is its own group."""
    assert play("steps: [{parallel: {user: user}}]", {"user": PONG}).value == {"user": PONG}
    assert play("steps: [{call: user, output: {wrap: user}}]", {"user": PONG}).value == {"user": PONG}


@pytest.mark.parametrize(
    ("shaping", "expected"),
    [
        ("{under: data}", {"id": 7, "user": {"name": "Ada", "age": 36}}),
        ("{under: data, pick: [id, user.name]}", {"id": 7, "user": {"name": "Ada"}}),
        ("{under: data, drop: user.age}", {"id": 7, "user": {"name": "Ada"}}),
        ("{under: data, drop: user, rename: {id: key}}", {"key": 7}),
        ("{under: data.user, wrap: who}", {"who": {"name": "Ada", "age": 36}}),
        ("{under: nothing}", {}),
    ],
)
def test_target_allow_deny_mapping_group(shaping: str, expected: object) -> None:
    answer = {"data": {"id": 7, "user": {"name": "Ada", "age": 36}}, "page": 1}
    assert play(f"steps: [{{call: get, output: {shaping}}}]", {"get": answer}).value == expected


def test_flatmap() -> None:
    """Moving, deleting and appending in lists: shaping reaches into every element, and expressions join lists."""
    answer = {"a": [{"id": 1, "x": {"y": 2}}], "b": [{"id": 3, "x": {"y": 4}}]}
    text = "steps: [{call: get, output: {drop: a.id, rename: {a.x.y: a.y}}}]"
    assert play(text, {"get": answer}).value["a"] == [{"x": {}, "y": 2}]
    text = "steps: [get, {set: '${(value.a + value.b).map(each, each.x.y)}'}]"
    assert play(text, {"get": answer}).value == [2, 4]


def test_partial_answer() -> None:
    text = "steps: [{parallel: {user: user, stats: {call: stats, on_error: skip}}, merge: flat}]"
    played = play(text, {"user": {"id": 1}, "stats": unknown(500)})
    assert (played.value, played.completed) == ({"id": 1}, False)


# Sequences.


def test_sequential() -> None:
    """Any answer reaches any later call, whole or in part, with its type; not the URL alone."""
    text = """
        steps:
          - {call: user, id: user}
          - {call: orders, method: GET, path: "/${value.id}", query: {limit: 3}}
          - {call: mail, input: {to: "${steps.user.email}", one: "${value.orders[0]}", of: "${size(value.orders)}"}}
        """
    played = play(text, {"user": {"id": 7, "email": "a@b"}, "orders": {"orders": [{"n": 1}, {"n": 2}]}, "mail": {}})
    assert played.asked[1].parts is not None
    assert (played.asked[1].parts.path, played.asked[1].parts.query) == (b"/7", b"limit=3")
    assert played.sent["mail"] == {"to": "a@b", "one": {"n": 1}, "of": 2}


def test_unresolved_parameter_fails() -> None:
    """Nothing goes out with a hole in it."""
    played = play("steps: [user, {call: orders, path: '/${value.key}'}]", {"user": {"id": 7}})
    step, detail = played.mistake
    assert (step, played.paths) == ("orders", ["user"])
    assert "value.key" in detail
    assert "`id`" in detail


def test_propagated_params() -> None:
    """What a call left is known to all that come after it, unasked."""
    text = "steps: [{call: a, id: a}, b, {set: '${steps.a.deep.value + steps.b}'}]"
    assert play(text, {"a": {"deep": {"value": 1}}, "b": 2}).value == 3


def test_sequence_fails_as_a_whole() -> None:
    assert play("steps: [a, b, c]", {"a": 1, "b": refused(404)}).error.path == "b"


# Static data.

STATIC = "{parallel: {good: good, other: {call: other, on_error: skip}}, merge: flat}"


@pytest.mark.parametrize(
    ("other", "when", "expected"),
    [
        (ok({"o": 1}), "true", {"g": 1, "o": 1, "static": True}),
        (ok({"o": 1}), "run.completed", {"g": 1, "o": 1, "static": True}),
        (ok({"o": 1}), "!run.completed", {"g": 1, "o": 1}),
        (unknown(500), "run.completed", {"g": 1}),
        (unknown(500), "!run.completed", {"g": 1, "static": True}),
    ],
)
def test_static_by_completeness(other: object, when: str, expected: object) -> None:
    """`always`, `complete` and `incomplete`: another branch of static data, if that is so."""
    text = f"""
        steps:
          - {STATIC}
          - parallel: {{data: {{set: "${{value}}"}}, static: {{set: {{static: true}}, when: "${{{when}}}"}}}}
            merge: flat
        """
    assert play(text, {"good": {"g": 1}, "other": other}).value == expected


def test_static_when_errored() -> None:
    """`errored`, and its opposite `success`."""
    text = "steps: [{call: f, on_error: {value: {static: true, why: '${error.status}'}}}]"
    assert play(text, {"f": unknown(500)}).value == {"static": True, "why": 500}
    assert play(text, {"f": {"fine": 1}}).value == {"fine": 1}


# Several calls of the same.


def test_concurrent_calls() -> None:
    """The first complete answer counts; but the others start only if it is slow."""
    text = "steps: [{parallel: {one: replica, two: replica, three: replica}, join: any, merge: first}]"
    answers = iter([ok(1).later(5.0), ok(2).later(1.0), unknown(500)])
    played = play(text, {"replica": lambda _: next(answers)})
    assert (played.value, played.functions.aborted) == (2, ["parallel.one"])


# Conditions.


@pytest.mark.parametrize(("age", "paths"), [(17, ["refuse"]), (18, ["serve"])])
def test_condition(age: int, paths: list[str]) -> None:
    text = "steps: [{choose: [{when: '${input.age >= 18}', call: serve}, {otherwise: true, call: refuse}]}]"
    assert [path.rpartition(".")[2] for path in play(text, {}, {"age": age}).paths] == paths


def test_condition_on_an_answer() -> None:
    text = "steps: [check, {call: pay, when: '${value.label == \"BENIGN\"}'}]"
    assert play(text, {"check": {"label": "BENIGN"}}).paths == ["check", "pay"]
    assert play(text, {"check": {"label": "EVIL"}}).paths == ["check"]


def test_condition_is_no_failure() -> None:
    """A step that is not wanted is not missing."""
    played = play("steps: [{parallel: {a: f, b: {call: g, when: '${false}'}}}]", {"f": 1})
    assert (played.value, played.completed) == ({"a": 1}, True)


def test_condition_fails_closed() -> None:
    """What cannot be evaluated is neither true nor false."""
    for condition in ("input.role == 'admin'", "input"):
        played = play(f'steps: [{{call: delete, when: "${{{condition}}}"}}]', {}, {"name": "eve"})
        assert (played.error.reason, played.paths) == ("mistake", [])


def test_condition_that_is_not_one() -> None:
    assert "`=`" in problems_of("steps: [{call: f, when: '${input.a = 1}'}]")


def test_policy() -> None:
    """A rule, its status and what it says."""
    text = (
        "steps: [{fail: 'not for ${input.role}', status: 403, when: '${input.role != \"admin\"}', id: policy}, delete]"
    )
    played = play(text, {}, {"role": "guest"})
    assert (played.error.answer, played.error.outcome.detail, played.paths) == (403, "not for guest", [])
    assert play(text, {}, {"role": "admin"}).paths == ["delete"]


def test_json_schema() -> None:
    """Of what a flow is given; that of a request is refused with 422 before anything runs."""
    inner = "input: {type: object, required: [id]}\nsteps: [f]"
    assert play("steps: [{flow: inner}]", {"f": 1}, {"id": 1}, flows={"inner": inner}).value == 1
    played = play("steps: [{flow: inner}]", {"f": 1}, {}, flows={"inner": inner})
    assert (played.error.reason, played.paths) == ("mistake", [])
    assert "input" in problems_of("input: {type: objekt}\nsteps: [f]")


# Bodies.


def test_body_from_previous_answers() -> None:
    text = """
        steps:
          - {call: user, id: user}
          - {call: cart, id: cart}
          - call: order
            input:
              customer: {id: "${steps.user.id}", name: "${steps.user.first} ${steps.user.last}"}
              lines: "${steps.cart.items.map(each, {'sku': each.sku, 'cents': each.price * 100})}"
              urgent: "${input.urgent}"
        """
    functions = {"user": {"id": 7, "first": "Ada", "last": "L"}, "cart": {"items": [{"sku": "pen", "price": 3}]}}
    assert play(text, functions, {"urgent": True}).sent["order"] == {
        "customer": {"id": 7, "name": "Ada L"},
        "lines": [{"sku": "pen", "cents": 300}],
        "urgent": True,
    }


def test_error_details() -> None:
    """`return_error_details`: the failure as a part of the answer."""
    details = "{status: '${error.status}', body: '${error.body}'}"
    text = f"steps: [{{parallel: {{a: f, b: {{call: g, on_error: {{value: {details}}}}}}}}}]"
    functions = {"f": 1, "g": refused(404, {"why": "gone"})}
    assert play(text, functions).value == {"a": 1, "b": {"status": 404, "body": {"why": "gone"}}}


def test_error_code() -> None:
    """`return_error_code`, per status."""
    text = "steps: [{call: f, return_status: {404: 410, 4xx: 400}}]"
    assert [play(text, {"f": refused(status)}).error.answer for status in (404, 403)] == [410, 400]
    assert play("steps: [{call: f, return_status: true}]", {"f": refused(404)}).error.answer == 404


# Workflows, of the Enterprise Edition.


def test_workflow_of_sequential_and_parallel() -> None:
    """The first example of its documentation: call 1, then calls 2A and 2B at once."""
    text = """
        steps:
          - {call: call-1, id: call-1}
          - parallel: {call-2a: call-2a, call-2b: call-2b}
            id: call-2
        output: {call-1: "${steps.call_1}", call-2: "${value}"}
        """
    functions = {name: ok(PONG).later(1.0) for name in ("call-1", "call-2a", "call-2b")}
    played = play(text, functions)
    assert played.value == {"call-1": PONG, "call-2": {"call-2a": PONG, "call-2b": PONG}}
    assert played.took == pytest.approx(2.0, abs=0.2)


SIGNUP = """
    steps:
      - {call: legacy, id: legacy-response}
      - parallel:
          notification-service: {call: publish, input: {newuser: "${value.message}"}, on_error: skip}
          send-email:
            call: echo
            path: "/welcome/${value.message}"
            query: {ua: "${request.headers['user-agent']}"}
            when: "${request.path == '/yes'}"
            output: {pick: req_uri}
            on_error: skip
        id: additional-services
    output: {additional-services: "${value}", legacy-response: "${steps.legacy_response}"}
    """


@pytest.mark.parametrize("wants", ["yes", "no"])
def test_workflow_of_a_signup(wants: str) -> None:
    """The second example of its documentation, with its answers."""
    caller = Caller(headers={b"user-agent": b"curl/8.6.0"}, rest=b"/" + wants.encode())
    uri = "/__echo/welcome/pong?ua=curl/8.6.0"
    played = play(
        SIGNUP, {"legacy": PONG, "publish": PONG, "echo": {"req_uri": uri, "req_method": "GET"}}, caller=caller
    )
    services: dict[str, Any] = {"notification-service": PONG}
    if wants == "yes":
        services["send-email"] = {"req_uri": uri}
    assert played.value == {"additional-services": services, "legacy-response": PONG}


def test_workflow_ignores_errors() -> None:
    """`ignore_errors`: what fails is absent."""
    caller = Caller(headers={b"user-agent": b"curl"}, rest=b"/yes")
    played = play(SIGNUP, {"legacy": PONG, "publish": unknown(500), "echo": refused(403)}, caller=caller)
    assert (played.value["additional-services"], played.completed) == ({}, False)


def test_workflow_within_workflows() -> None:
    """Four deep, as in the test of its schema; nothing has to be smuggled inwards."""
    text = "steps: [{steps: [{parallel: {a: [{steps: [{call: f, input: '${input.deep}'}]}]}}]}]"
    assert play(text, {"f": lambda value: value}, {"deep": 1}).value == {"a": 1}


def test_backend_conditional() -> None:
    text = """
        steps:
          - choose:
              all: true
              cases:
                - {name: beta, when: "${request.headers['x-beta'] == '1'}", call: beta}
                - {otherwise: true, call: stable}
        """
    played = [
        play(text, {"beta": 1, "stable": 2}, caller=Caller(headers={b"x-beta": value})).value for value in (b"1", b"0")
    ]
    assert played == [{"beta": 1}, {"otherwise": 2}]


def test_strategy_fallback() -> None:
    """The next only if the one before fails."""
    text = "steps: [{call: first, on_error: {steps: [{call: second, on_error: {steps: [queue]}}]}}]"
    assert play(text, {"first": 1}).paths == ["first"]
    played = play(text, {"first": unknown(500), "second": refused(), "queue": "queued"})
    assert (played.value, len(played.paths)) == ("queued", 3)


def test_nested_time() -> None:
    """Any step has a timeout of its own; what goes on within it is aborted, and nothing else."""
    text = "steps: [{steps: [f, g], timeout: 2s, on_error: {value: late}}, h]"
    played = play(text, {"f": ok(1).later(1.5), "g": ok(1).later(1.5), "h": lambda value: [value]})
    assert (played.value, played.functions.aborted) == (["late"], ["steps.g"])
