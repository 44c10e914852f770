"""Who is to be told how a run has ended is told in spite of crashes, and signed (docs/decisions/0014)."""

from __future__ import annotations

import json

from tests.durable.conftest import ENDS, Start
from tests.support.function_server import FunctionServer
from tests.support.texts import answer


def test_a_callback_is_tried_again_across_a_crash(scene: Start) -> None:
    told = FunctionServer()
    told.does(answer(503, b"later"), answer(503, b"later"))
    callback = {"url": f"http://127.0.0.1:{told.port}/ended", "retry": {"attempts": 9, "backoff": "300ms"}}
    flow = {"durable": True, "steps": ["a"], "callback": callback}
    started = scene({"told": flow}, callback_secret="a-secret-of-twenty-two")
    first = started.start("told", {"n": 1})
    assert (first.status, first.json()) == (200, {"n": 1})  # the caller does not wait for it
    run = first.fields["legato-run"]
    told.wait_for(1)
    started.crash()
    assert started.until(run, *ENDS) == "succeeded"
    assert len(told.requests) == 3
    documents = [json.loads(request.body) for request in told.requests]
    assert documents[0] == {"run": run, "flow": "told", "state": "succeeded", "result": {"n": 1}}
    assert documents[1:] == documents[:1] * 2
    assert len({request.get(b"webhook-id") for request in told.requests}) == 1
    assert all(request.get(b"webhook-signature").startswith(b"v1,") for request in told.requests)
    told.stop()
