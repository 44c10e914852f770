"""What answers over HTTP mean to a step: which statuses are a success, and what the others are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from legato.connectors.http_target import success_statuses
from legato.model.payload import json_payload
from tests.connectors.attempts import Attempt, called
from tests.support.function_server import FunctionServer
from tests.support.texts import answer, of_head


@pytest.fixture
def server() -> Iterator[FunctionServer]:
    server = FunctionServer()
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("success", "status", "kind"),
    [
        ((), 200, "ok"), ((), 226, "ok"), ((), 304, "unknown"), ((), 404, "refused"), ((), 503, "retryable"),
        ((), 500, "unknown"),
        (("404",), 404, "ok"), (("404",), 200, "unknown"), (("404",), 500, "unknown"), (("404",), 410, "refused"),
        (("2xx", "404"), 204, "ok"), (("2xx", "404"), 404, "ok"), (("2xx", "404"), 403, "refused"),
        (("200",), 201, "unknown"), (("200",), 200, "ok"), (("200",), 503, "retryable"),
        (("5xx",), 503, "ok"), (("5xx",), 500, "ok"), (("429",), 429, "ok"), (("302",), 302, "ok"),
    ],
)  # fmt: skip
def test_which_statuses_are_a_success(server: FunctionServer, success: tuple[str, ...], status: int, kind: str) -> None:
    body = b"" if status in (204, 304) else b'"said"'
    server.does(of_head(b"HTTP/1.1 %d X" % status, b"Content-Length: %d" % len(body), b"Retry-After: 3", body=body))
    outcome = called(server, Attempt(json_payload(1)), success=success)
    assert (outcome.kind, outcome.status, outcome.payload.body) == (kind, status, body)
    assert outcome.retry_after == (3.0 if kind == "retryable" else None)
    if kind == "ok":
        assert outcome.detail == ""
    elif 200 <= status < 300:
        assert outcome.detail == f"the function answered {status}, which is not among the statuses in `success`"
    else:
        assert outcome.detail == f"the function answered {status}"


def test_a_success_that_is_not_wanted_may_have_had_its_effect(server: FunctionServer) -> None:
    server.does(answer(202, b"1"))
    assert called(server, Attempt(json_payload(1)), success=("200",)).effect_possible


def test_texts_of_statuses() -> None:
    assert success_statuses(("2xx",)) == frozenset(range(200, 300))
    assert success_statuses(("200", "404", "5xx")) == frozenset({200, 404, *range(500, 600)})


def test_a_lost_answer_is_none_whatever_counts_as_success(server: FunctionServer) -> None:
    server.does(lambda exchange: exchange.close())
    outcome = called(server, Attempt(json_payload(1)), success=("5xx", "2xx"))
    assert (outcome.kind, outcome.status) == ("unknown", 0)
