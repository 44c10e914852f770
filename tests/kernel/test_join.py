"""What a parallel makes of its branches' answers, and what an undo is told."""

from __future__ import annotations

import json

import pytest

from legato.kernel import Run
from legato.model.outcome import Outcome
from legato.model.payload import EMPTY, JSON, Payload, json_payload
from legato.model.steps import Step
from tests.kernel.flows import BINARY, INPUT, call, flow, par, seq, text
from tests.kernel.transcript import Driven


def joined(answers: dict[str, Payload], lenient: bool = False, after: tuple[Step, ...] = ()) -> Run:
    """A run of a parallel whose branches answered so, in reverse order."""
    driven = Driven(flow(par("p", lenient=lenient, **{name: call("f") for name in answers}), *after))
    driven.start()
    for name in reversed(list(answers)):
        driven.deliver(f"p.{name}", Outcome("ok", answers[name], 200))
    return driven.run


def test_json_is_spliced_byte_for_byte_in_declared_order() -> None:
    odd = Payload.of(b"application/json", b' {"n": 1.50e+01,', b'"n":12345678901234567890123, "\\u00e9": [ ]} ')
    run = joined({"b": odd, "a": Payload.of(b"application/problem+json; charset=utf-8", b"3")})
    assert run.result.body == b'{"b": {"n": 1.50e+01,"n":12345678901234567890123, "\\u00e9": [ ]} ,"a":3}'
    assert run.result.content_type == JSON
    assert run.result.size == len(run.result.body)


def test_text_becomes_a_string_and_nothing_becomes_null() -> None:
    run = joined({"a": text('say "hi"\n\x00é'), "b": EMPTY, "c": text("<p/>", "text/html; charset=utf-8")})
    assert json.loads(run.result.body) == {"a": 'say "hi"\n\x00é', "b": None, "c": "<p/>"}


def test_no_declared_type_is_json_if_it_can_be() -> None:
    run = joined({"a": text('{"x": 1}', ""), "b": text("plain", "")})
    assert json.loads(run.result.body) == {"a": {"x": 1}, "b": "plain"}


@pytest.mark.parametrize("bad", [BINARY, text("{", "application/json"), text("[" * 129 + "]" * 129, "application/json"),
                                 Payload.of(b"application/json", b'"\xff"')])  # fmt: skip
def test_what_cannot_be_joined_is_the_flows_mistake_and_says_which(bad: Payload) -> None:
    run = joined({"good": INPUT, "bad": bad})
    assert run.failure is not None
    assert (run.failure.reason, run.failure.path) == ("mistake", "p")
    assert "branch bad cannot be joined" in run.failure.outcome.detail
    assert run.failure.outcome.payload is bad
    assert run.result is EMPTY


def test_lenient_joins_whatever_comes() -> None:
    answers = {"a": BINARY, "b": text("{", "application/json"), "c": EMPTY, "d": text("1"), "e": json_payload([None])}
    result = json.loads(joined(answers, lenient=True).result.body)
    assert result == {"a": "iVBOR/8=", "b": "{", "c": "", "d": "1", "e": [None]}


def test_names_of_branches_are_written_as_json() -> None:
    assert json.loads(joined({"x-1": EMPTY, "UPPER_2": EMPTY}).result.body) == {"x-1": None, "UPPER_2": None}


def test_the_joined_value_is_what_the_next_step_gets() -> None:
    driven = Driven(flow(par("p", a=call("f"), b=seq()), call("next")))
    driven.start()
    driven.do('p.a ok {"x":1}')
    assert driven.calls["next"].payload.body == b'{"a":{"x":1},"b":{"order":1}}'


def test_an_undo_is_told_what_was_sent_and_what_came_back() -> None:
    driven = Driven(flow(call("a", undo="u"), call("b", undo="u"), call("c", undo="u"), call("d", undo="u")))
    driven.start(text('{"typed": false}', ""))
    driven.deliver("a", Outcome("ok", text("plain"), 200))
    driven.deliver("b", Outcome("ok", BINARY, 200))
    driven.deliver("c", Outcome("ok", EMPTY, 204))
    driven.deliver("d", Outcome("unknown", text("half", ""), 502))
    told: dict[str, object] = {}
    for path in ("d", "c", "b", "a"):
        payload = driven.calls[f"{path}/undo"].payload
        assert payload.content_type == JSON
        assert payload.size == len(payload.body)
        told[path] = payload.value()
        driven.do(f"{path}/undo ok")
    assert told["a"] == {"sent": {"typed": False}, "result": "plain"}
    assert told["b"] == {"sent": "plain", "result": "iVBOR/8="}
    assert told["c"] == {"sent": "iVBOR/8=", "result": None}
    assert told["d"] == {"sent": None, "result": None}


def test_siblings_are_the_branches_that_failed_of_themselves() -> None:
    # Two branches that fail in the same advance; the one that is still in flight is cancelled and no sibling.
    driven = Driven(flow(par("p", x=par(i=seq()), y=par(i=seq()), z=call("f"))))
    driven.start(BINARY)
    failure = driven.run.failure
    assert failure is not None
    assert failure.path == "p.x"
    assert [sibling.path for sibling in failure.siblings] == ["p.x", "p.y"]
    # A failure that names siblings of its own keeps them.
    driven = Driven(flow(par("p", x=par(i=par(k=seq()), j=par(k=seq())), y=par(i=par(k=seq())))))
    driven.start(BINARY)
    assert driven.run.failure is not None
    assert [sibling.path for sibling in driven.run.failure.siblings] == ["p.x.i", "p.x.j"]
    driven = Driven(flow(par("p", x=call("f"), y=call("f"))))
    driven.start()
    driven.do("p.y refused")
    driven.do("p.x unknown")
    assert driven.run.failure is not None
    assert (driven.run.failure.path, driven.run.failure.siblings) == ("p.y", ())
