"""What a pipeline sends to its steps and answers its caller: fnkit's contract, over HTTP."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fnkit.conftest import StartGateway, StartServer
from tests.fnkit.stage import Shop, define
from tests.support.function_server import Exchange, FunctionServer
from tests.support.texts import answer, request

BOTH = ["sequence", "parallel"]
OK = answer(200, b'{"ok":true}')
NOTHING = answer(204, b"")


def pipeline(shop: Shop, mode: str, *steps: str) -> str:
    return shop.sequence(*steps) if mode == "sequence" else shop.parallel(*steps)


def methods(shop: Shop, *names: str) -> list[str]:
    return [shop[name].wait_for(1)[0].method for name in names]


def closes(exchange: Exchange) -> None:
    exchange.close()


# What steps get.


@pytest.mark.parametrize("mode", BOTH)
@pytest.mark.parametrize(
    "rest", ["", "/", "/orders/7", "/orders/7/", "?q=1&q=2", "/a%20b?x=%2F&y", "/a//b?", "/%C3%BC"]
)  # fmt: skip
def test_sub_path_and_query_go_to_every_step(shop: Shop, mode: str, rest: str) -> None:
    came = shop.ask(pipeline(shop, mode, "a", "b", "c") + rest, b"{}")
    assert came.status == 200
    targets = {shop[name].wait_for(1)[0].target for name in "abc"}
    assert len(targets) == 1
    # An empty query is none; and a path is never empty.
    expected = rest.removesuffix("?")
    assert targets == {expected if expected.startswith("/") else "/" + expected}


@pytest.mark.parametrize("mode", BOTH)
@pytest.mark.parametrize("rest", ["/..", "/a/../b", "/%2e%2E/b", "/a/..;x/b", "/.", "/a%5c..%5cb", "/x#y"])
def test_no_sub_path_leads_out(shop: Shop, mode: str, rest: str) -> None:
    assert shop.ask(pipeline(shop, mode, "a", "b") + rest, b"{}").status == 400
    assert not shop["a"].requests


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "POST"])
def test_a_body_makes_a_post(shop: Shop, method: str) -> None:
    assert shop.ask(shop.sequence("a", "b"), b'{"n":1}', method).body == b'{"n":1}'
    assert methods(shop, "a", "b") == ["POST", "POST"]
    shop.reset()
    assert shop.ask(shop.parallel("a", "b"), b'{"n":1}', method).status == 200
    assert methods(shop, "a", "b") == ["POST", "POST"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "POST"])
def test_without_a_body_the_caller_s_method_goes_until_there_is_one(shop: Shop, method: str) -> None:
    shop["a"].does(OK)
    assert shop.ask(shop.sequence("a", "b", "c"), None, method).body == b'{"ok":true}'
    assert methods(shop, "a", "b", "c") == [method, "POST", "POST"]
    assert shop["a"].requests[0].body == b""
    assert shop["b"].requests[0].body == b'{"ok":true}'


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_a_parallel_without_a_body_is_called_by_the_caller_s_method(shop: Shop, method: str) -> None:
    assert shop.ask(shop.parallel("a", "b"), None, method).status == 200
    assert methods(shop, "a", "b") == [method, method]


def test_head(shop: Shop) -> None:
    """An answer to HEAD has no body, so every step gets HEAD."""
    for name in "ab":
        shop[name].does(always=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n")
    came = shop.ask(shop.sequence("a", "b"), None, "HEAD")
    assert (came.status, came.body) == (200, b"")
    assert methods(shop, "a", "b") == ["HEAD", "HEAD"]
    shop["a"].requests.clear()
    came = shop.ask(shop.parallel("a", "b"), None, "HEAD")
    assert (came.status, came.body) == (200, b"")
    assert methods(shop, "a", "b") == ["HEAD", "HEAD"]


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_after_nothing_the_caller_s_method_comes_back(shop: Shop, method: str) -> None:
    shop["a"].does(NOTHING)
    shop["b"].does(answer(200, b"later", b"text/plain"))
    came = shop.ask(shop.sequence("a", "b", "c"), b'{"n":1}', method)
    assert (came.status, came.body, came.get(b"content-type")) == (200, b"later", b"text/plain")
    assert methods(shop, "a", "b", "c") == ["POST", method, "POST"]
    assert shop["b"].requests[0].body == b""


@pytest.mark.parametrize("mode", BOTH)
def test_headers_that_a_step_gets(shop: Shop, mode: str) -> None:
    path = pipeline(shop, mode, "a", "b")
    shop.ask(path, b"{}", cookie="secret=1", authorization="Bearer x", x_forwarded_for="192.0.2.1", accept="text/html")
    for name in "ab":
        fields = dict(shop[name].wait_for(1)[0].message.fields)
        assert fields[b"accept"] == b"application/json"
        assert fields[b"content-type"] == b"application/json"
        assert fields.keys().isdisjoint({b"cookie", b"authorization", b"x-forwarded-for"})


def test_content_types_fall_along(shop: Shop) -> None:
    """A step's answer without one has that of what the step was sent."""
    shop["a"].does(answer(200, b"a;b", b"text/csv"))
    shop["b"].does(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nc;d")
    came = shop.ask(shop.sequence("a", "b", "c"), b"plain", content_type="text/plain")
    assert [shop[name].requests[0].get(b"content-type") for name in "abc"] == [b"text/plain", b"text/csv", b"text/csv"]
    assert (came.body, came.get(b"content-type")) == (b"c;d", b"text/csv")
    shop.reset()
    shop["b"].does(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nc;d")
    assert shop.ask(shop.sequence("a", "b"), b"a;b", content_type="text/csv").get(b"content-type") == b"text/csv"


@pytest.mark.parametrize("mode", BOTH)
def test_without_a_content_type_it_is_json(shop: Shop, mode: str) -> None:
    path = pipeline(shop, mode, "a", "b")
    data = f"POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    came = shop.gateway.ask(data)
    assert [shop[name].requests[0].get(b"content-type") for name in "ab"] == [b"application/json"] * 2
    assert came.get(b"content-type") == b"application/json"
    assert came.json() == ({} if mode == "sequence" else {"a": {}, "b": {}})


# What the caller gets.


@pytest.mark.parametrize("status", [200, 201, 202, 203, 299])
def test_the_last_step_s_status_is_kept(shop: Shop, status: int) -> None:
    shop["a"].does(answer(201, b"1"))
    shop["b"].does(answer(status, b"2", b"text/plain"))
    came = shop.ask(shop.sequence("a", "b"), b"{}")
    assert (came.status, came.body, came.get(b"content-type")) == (status, b"2", b"text/plain")


def test_an_earlier_step_s_status_is_not(shop: Shop) -> None:
    shop["a"].does(answer(201, b"1"))
    shop["b"].does(answer(200, b"2"))
    assert shop.ask(shop.sequence("a", "b"), b"{}").status == 200


@pytest.mark.parametrize(("last", "status"), [(NOTHING, 204), (answer(200, b""), 200), (answer(201, b""), 201)])
def test_nothing_at_the_end_stays_nothing(shop: Shop, last: bytes, status: int) -> None:
    shop["b"].does(last)
    came = shop.ask(shop.sequence("a", "b"), b"{}")
    assert (came.status, came.body) == (status, b"")


def test_an_empty_body_is_none(shop: Shop) -> None:
    shop["a"].does(NOTHING)
    came = shop.ask(shop.sequence("a"), b"")
    assert came.status == 204
    request = shop["a"].wait_for(1)[0]
    assert (request.method, request.body) == ("POST", b"")


def test_binary_bodies_are_not_harmed(shop: Shop) -> None:
    noise = random.Random(1).randbytes(1024 * 1024)
    came = shop.ask(shop.sequence("a", "b", "c"), noise, content_type="application/octet-stream")
    assert came.body == noise
    assert came.get(b"content-type") == b"application/octet-stream"
    assert [shop[name].requests[0].body == noise for name in "abc"] == [True] * 3
    shop.reset()
    shop.ask(shop.parallel("a", "b"), noise, content_type="image/png")
    assert [shop[name].requests[0].body == noise for name in "ab"] == [True] * 2


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (answer(200, b'{"name": "Ada"}'), {"name": "Ada"}),
        (answer(200, b"[1, 2.50, null]"), [1, 2.5, None]),
        (answer(200, b'"text"'), "text"),
        (answer(201, b"7", b"application/json; charset=utf-8"), 7),
        (answer(200, b"hello text", b"text/plain"), "hello text"),
        (answer(200, b'{"not": "declared"}', b"text/plain"), '{"not": "declared"}'),
        (answer(200, b"{broken"), "{broken"),
        (answer(200, "grüß €".encode(), b"text/html"), "grüß €"),
        (answer(200, b""), ""),
        (NOTHING, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "{}"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[1]", [1]),
    ],
)
def test_the_result_of_a_parallel(shop: Shop, sent: bytes, shown: Any) -> None:
    shop["b"].does(sent if b"Content-Length" in sent else lambda exchange: (exchange.send(sent), exchange.close()))
    came = shop.ask(shop.parallel("c", "b", "a"), b'{"n":1}')
    assert (came.status, came.get(b"content-type")) == (200, b"application/json")
    assert came.json() == {"c": {"n": 1}, "b": shown, "a": {"n": 1}}
    assert list(came.json()) == ["c", "b", "a"]


def test_numbers_pass_as_they_are_written(shop: Shop) -> None:
    shop["a"].does(answer(200, b'{"total": 1.10, "id": 12345678901234567890123}'))
    came = shop.ask(shop.parallel("a"), b"{}")
    assert came.body == b'{"a":{"total": 1.10, "id": 12345678901234567890123}}'


# What the caller gets when a step fails.


@pytest.mark.parametrize("status", [300, 400, 401, 402, 404, 408, 409, 418, 429, 500, 501, 502, 503, 504, 599])
def test_a_sequence_fails_with_its_step_s_status(shop: Shop, status: int) -> None:
    """502, 503 and 504 among them, whose bodies fnkit's own nginx replaced."""
    text = '{"why": "über 9000"}\n'
    shop["b"].does(answer(status, text.encode()))
    came = shop.ask(shop.sequence("a", "b", "c"), b"{}")
    assert (came.status, came.get(b"content-type")) == (status, b"application/json")
    assert came.json() == {"error": "Step failed", "step": "b", "status": status, "body": text}
    assert list(came.json()) == ["error", "step", "status", "body"]
    assert not shop["c"].requests


def test_a_status_that_has_no_body_or_is_none(shop: Shop) -> None:
    for sent in (b"HTTP/1.1 304 Not Modified\r\n\r\n", answer(600, b"what")):
        shop["a"].does(sent)
        came = shop.ask(shop.sequence("a"), b"{}")
        assert (came.status, came.json()["step"]) == (502, "a")


def test_a_step_s_failure_without_a_body(shop: Shop) -> None:
    shop["a"].does(answer(500, b""))
    body = shop.ask(shop.sequence("a"), b"{}").json()
    assert body == {"error": "Step failed", "step": "a", "status": 500, "body": ""}


def test_a_step_that_cannot_be_reached(shop: Shop) -> None:
    came = shop.ask(shop.sequence("a", "nobody", "b"), b"{}")
    assert (came.status, came.get(b"content-type")) == (502, b"application/json")
    body = came.json()
    assert list(body) == ["error", "step", "detail"]
    assert (body["error"], body["step"]) == ("Step failed", "nobody")
    assert "refused" in body["detail"].lower()
    assert not shop["b"].requests


def test_a_step_that_breaks_off(shop: Shop) -> None:
    shop["a"].does(closes)
    came = shop.ask(shop.sequence("a"), b"{}")
    assert came.status == 502
    assert list(came.json()) == ["error", "step", "detail"]
    assert len(shop["a"].requests) == 1, "what may have been done is not done again"


@pytest.mark.parametrize("status", [400, 404, 500, 502, 503, 504])
def test_a_parallel_fails_with_502(shop: Shop, status: int) -> None:
    shop["b"].does(answer(status, b"no\n", b"text/plain"))
    came = shop.ask(shop.parallel("a", "b"), b"{}")
    failure = {"step": "b", "status": status, "body": "no\n"}
    assert (came.status, came.get(b"content-type")) == (502, b"application/json")
    assert came.json() == {
        "error": "Parallel execution failed",
        "failures": [failure],
        "details": json.dumps(failure, separators=(",", ":")),
    }


def test_a_parallel_with_a_step_that_cannot_be_reached(shop: Shop) -> None:
    came = shop.ask(shop.parallel("a", "nobody"), b"{}")
    assert came.status == 502
    [failure] = came.json()["failures"]
    assert (failure["step"], failure["status"]) == ("nobody", 502)
    assert "refused" in failure["body"].lower()
    assert json.loads(came.json()["details"]) == failure


def test_every_failure_of_a_parallel_is_told(shop: Shop) -> None:
    """Of those that had failed when it ended; the first of them is `details`."""
    came = shop.ask(shop.parallel("a", "fails", "fails-too"), b'{"status": 418}')
    body = came.json()
    assert came.status == 502
    assert [(failure["step"], failure["status"]) for failure in body["failures"]] == [
        ("fails", 418),
        ("fails-too", 418),
    ]
    assert json.loads(body["details"]) == body["failures"][0]


def test_the_others_are_cancelled_when_one_fails(shop: Shop) -> None:
    """In fnkit they went on, and nobody heard them."""
    ended: list[bool] = []
    shop["a"].does(lambda exchange: ended.append(exchange.dropped()))
    shop["b"].does(answer(500, b""))
    assert shop.ask(shop.parallel("a", "b"), b"{}").status == 502
    assert shop["a"].until(lambda: ended)
    assert ended == [True]


def test_steps_of_a_parallel_run_at_once(shop: Shop) -> None:
    """Each waits until all have been called."""

    def waits(exchange: Exchange) -> None:
        for name in "abc":
            assert shop[name].until(lambda name=name: shop[name].requests)
        exchange.send(OK)

    for name in "abc":
        shop[name].does(waits)
    came = shop.ask(shop.parallel("a", "b", "c"), b"{}")
    assert came.json() == {name: {"ok": True} for name in "abc"}


def test_a_step_that_comes_again_in_a_sequence_is_called_again(shop: Shop) -> None:
    assert shop.ask(shop.sequence("a", "b", "a"), b"{}").status == 200
    assert len(shop["a"].wait_for(2)) == 2


def test_blanks_in_steps(shop: Shop) -> None:
    """As fnkit's command drops them."""
    assert shop.ask(shop.sequence(" a ", "", "  ", "b"), b"{}").body == b"{}"
    assert methods(shop, "a", "b") == ["POST", "POST"]


def test_code_gets_what_was_not_declared_as_what_it_is(
    start: StartGateway, valkey: StartServer, function: Callable[[], FunctionServer], tmp_path: Path
) -> None:
    """A type that fell along is no word about the body: JSON where it parses, else text."""
    folder = tmp_path / "gateway-0"
    folder.mkdir()
    (folder / "kinds.py").write_text("def kind(value):\n    return type(value).__name__\n")
    server, untyped = valkey(), function()
    define(server, "kinds", "sequential", "untyped", "kind")
    functions = {"untyped": f"http://127.0.0.1:{untyped.port}", "kind": {"python": "kinds:kind"}}
    gateway = start({"functions": functions}, CACHE_URL=server.url)
    for body, kind in ((b"hello", "str"), (b'{"n": 1}', "dict")):
        untyped.does(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        assert gateway.ask(request("/orchestrate/kinds", b"{}")).json() == kind
