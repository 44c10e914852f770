"""The demo's run that outlives its gateway: started, killed with `kill -9`, started again, approved, done."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from demo.scenes import TOKEN, Scene
from demo.show import calls_table, pretty, say

if TYPE_CHECKING:
    from demo.__main__ import Demo
    from demo.processes import Gateway

PATIENCE = 10.0  # seconds
BODY = '{"orderId": 123}'
ANSWER = {"orderId": 123, "approvedBy": "Ada", "payment": "p-123", "email": "sent"}
CALLS = ("validate-order", "charge-payment", "send-email")
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
SURVIVAL = Scene(
    title="A durable run: the gateway is killed while the run waits for an approval.",
    flow="approve-order",
    body=BODY,
    status=200,
    answer=ANSWER,
    calls=CALLS,
)


def survive(demo: Demo, gateway: Gateway) -> None:
    """Show it, and note what is wrong."""
    say(f"\n--- {SURVIVAL.title}")
    began = time.monotonic()
    say(f"$ curl -H 'Prefer: respond-async' -d '{BODY}' http://localhost:{gateway.port}/orchestrate/approve-order")
    status, answered, _ = gateway.ask(
        "POST", "/orchestrate/approve-order", BODY, {**HEADERS, "Prefer": "respond-async"}
    )
    run = answered.get("legato-run", "none")
    say(f"{status}, run {run}, stored: {answered.get('legato-stored')}")
    _until(gateway, run, "waiting")
    say(f"$ kill -9 {gateway.process.pid}")
    gateway.kill()
    gateway.start()
    gateway.wait()
    say(f"started again, process {gateway.process.pid}: the run is {_document(gateway, run).get('state')}")
    path = f"/api/runs/{run}/signals/approval"
    say(f"""$ curl -d '{{"by": "Ada"}}' http://localhost:{gateway.port}{path}""")
    gateway.ask("POST", path, '{"by": "Ada"}', HEADERS)
    document = _until(gateway, run, "succeeded")
    say(f"the run has {document.get('state')}: {pretty(document.get('result'))}")
    calls = demo.calls(SURVIVAL, run)
    say(calls_table(calls, began, time.monotonic() - began))
    demo.check_calls(SURVIVAL, calls)
    if document.get("result") != ANSWER:
        demo.note(SURVIVAL, f"expected {json.dumps(ANSWER)}")


def _document(gateway: Gateway, run: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(gateway.ask("GET", f"/api/runs/{run}", headers=HEADERS)[2])
    return document


def _until(gateway: Gateway, run: str, state: str) -> dict[str, Any]:
    """The run's document, as soon as it is in this state, or when that takes too long."""
    until = time.monotonic() + PATIENCE
    while (document := _document(gateway, run)).get("state") != state and time.monotonic() < until:
        time.sleep(0.02)
    return document
