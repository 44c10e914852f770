"""One flow of each kind of step, and what it makes of its value."""

from __future__ import annotations

from legato.testing import refused, unknown
from tests.language.play import play

double = {"double": lambda value: value * 2}


def test_the_value_threads_through() -> None:
    played = play("steps: [double, {set: '${value + 1}'}, double]", double, 10)
    assert played.value == 42
    assert played.calls == [("double", 10), ("double_2", 21)]


def test_input_and_steps() -> None:
    played = play(
        """
        steps:
          - {call: price, id: quote}
          - {call: charge, input: {amount: "${value.total}", who: "${input.user}"}, when: "${value.total > 10}"}
        output: {paid: "${value}", quoted: "${steps.quote.total}"}
        """,
        {"price": {"total": 12.50}, "charge": lambda value: value},
        {"user": "ann"},
    )
    assert played.value == {"paid": {"amount": 12.5, "who": "ann"}, "quoted": 12.5}


def test_when_false_changes_nothing() -> None:
    played = play("steps: [{call: double, when: '${value > 100}'}]\noutput: ['${value}', '${steps.double}']", double, 3)
    assert played.value == [3, None]
    assert played.calls == []


def test_foreach() -> None:
    played = play("steps: [{foreach: '${input.items}', concurrency: 2, steps: [double]}]", double, {"items": [1, 2, 3]})
    assert played.value == [2, 4, 6]
    assert played.paths == ["foreach[0].double", "foreach[1].double", "foreach[2].double"]


def test_foreach_over_nothing() -> None:
    assert play("steps: [{foreach: '${input}', steps: [double]}]", double, []).value == []


def test_choose() -> None:
    text = """
        steps:
          - choose:
              - {when: "${value > 10}", steps: [{set: big}]}
              - {when: "${value > 5}", steps: [{set: middle}]}
              - {otherwise: true, steps: [{set: small}]}
        """
    assert [play(text, {}, n).value for n in (11, 6, 1)] == ["big", "middle", "small"]


def test_choose_all() -> None:
    text = """
        steps:
          - choose:
              all: true
              cases:
                - {when: "${value > 1}", name: one, steps: [double]}
                - {when: "${value > 2}", name: two, steps: [double]}
                - {otherwise: true, steps: [{set: none}]}
        """
    assert [play(text, double, n).value for n in (3, 2, 1)] == [
        {"one": 6, "two": 6},
        {"one": 4},
        {"otherwise": "none"},
    ]


def test_graph() -> None:
    text = """
        steps:
          - graph:
              a: double
              b: {call: double, after: a}
              c: {set: "${value + 1}", after: a}
              d: {set: {joined: "${value}"}, after: [b, c]}
        """
    assert play(text, double, 1).value == {"joined": {"b": 4, "c": 3}}


def test_parallel_any_and_skip() -> None:
    text = """
        steps:
          - parallel:
              good: double
              bad: {call: bad, on_error: skip}
        """
    played = play(text, {**double, "bad": refused()}, 2)
    assert played.value == {"good": 4}
    assert not played.completed
    text = """
        steps:
          - parallel: {good: double, bad: bad}
            join: any
            merge: first
        """
    assert play(text, {**double, "bad": refused()}, 2).value == 4


def test_sub_flow() -> None:
    played = play(
        "steps: [{flow: other, id: inner}, {call: double, input: '${value.r}'}]",
        double,
        2,
        flows={"other": "steps: [double]\noutput: {r: '${value + input}'}"},
    )
    assert played.value == 12
    assert played.paths == ["inner.double", "double"]


def test_on_error() -> None:
    played = play("steps: [{call: bad, on_error: {value: {sorry: '${error.status}'}}}]", {"bad": refused(404)}, 2)
    assert played.value == {"sorry": 404}
    assert played.completed


def test_respond_and_fail() -> None:
    played = play("steps: [{respond: accepted, status: 202}, double, {fail: 'no ${value}', status: 409}]", double, 2)
    assert played.answers == [(played.payload, None)]
    assert played.payload.value() == "accepted"
    assert "failed_after_answer" in played.log


def test_handlers() -> None:
    played = play(
        """
        steps: [{call: book, undo: unbook}, bad]
        on_failure: [{call: tell, input: "${error.step}"}]
        finally: [{call: clean, input: "${run.state}"}]
        """,
        {"bad": unknown(500), "tell": lambda value: {"told": value}},
        1,
    )
    assert played.paths == ["book", "bad", "book/undo", "/failure.tell", "/finally.clean"]
    assert played.error.said is not None
    assert played.error.said.value() == {"told": "bad"}
    assert played.calls[-1] == ("/finally.clean", "undone")
