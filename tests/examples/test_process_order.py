"""examples/process-order: fnkit's sequential pipeline, and the same as a flow."""

from __future__ import annotations

from tests.examples.project import Example, Functions

EXAMPLE = "process-order"
DONE = {"orderId": 123, "total": 120, "payment": "p-123", "email": "accepted"}


def test_readme(example: Example) -> None:
    example.follow_readme()


def test_pipeline(example: Example, functions: Functions) -> None:
    said = example.run("process-order", {"orderId": 123})
    assert (said.status, said.json()) == (202, DONE)
    assert functions.called == ["validate-order", "charge-payment", "send-email"]
    assert functions.sent("send-email") == [{"orderId": 123, "total": 120, "payment": "p-123"}]


def test_pipeline_ends_at_the_step_that_says_no(example: Example, functions: Functions) -> None:
    said = example.run("process-order", {})
    assert (said.status, said.json()["step"]) == (422, "validate-order")
    assert functions.called == ["validate-order"]


def test_pipeline_with_a_function_down(example: Example, functions: Functions) -> None:
    functions.hangs_up("charge-payment")
    said = example.run("process-order", {"orderId": 123})
    assert (said.status, said.json().keys()) == (502, {"error", "step", "detail"})
    assert functions.called == ["validate-order", "charge-payment"]


def test_flow(example: Example, functions: Functions) -> None:
    said = example.run("process-order-safely", {"orderId": 123})
    assert (said.status, said.completed, said.json()) == (200, "true", DONE)
    assert functions.called == ["validate-order", "charge-payment", "send-email"]


def test_flow_refuses_what_is_no_order(example: Example, functions: Functions) -> None:
    said = example.run("process-order-safely", {"orderId": "123"})
    assert (said.status, said.json()["errors"][0]["pointer"]) == (422, "/orderId")
    assert functions.called == []


def test_flow_tries_again(example: Example, functions: Functions) -> None:
    assert example.result("process-order-safely", {"orderId": 503})["email"] == "accepted"
    assert functions.called == ["validate-order", "charge-payment", "send-email", "send-email"]
    first, second = [call.headers["idempotency-key"] for call in functions.calls if call.function == "send-email"]
    assert first == second


def test_flow_undoes(example: Example, functions: Functions) -> None:
    said = example.run("process-order-safely", {"orderId": 402})
    assert (said.status, said.json()["undone"]) == (402, ["validate-order"])
    assert functions.called == ["validate-order", "charge-payment", "release-order"]
    assert functions.sent("release-order") == [
        {"sent": {"orderId": 402}, "result": {"orderId": 402, "total": 120}},
    ]


def test_flow_with_a_function_down(example: Example, functions: Functions) -> None:
    """Nobody knows whether the charge was made: the caller is told so, and what is known is undone."""
    functions.hangs_up("charge-payment")
    said = example.run("process-order-safely", {"orderId": 123})
    problem = said.json()
    assert (said.status, problem["outcome"], problem["undone"]) == (502, "unknown", ["validate-order"])


def test_nobody_is_there(example: Example, functions: Functions) -> None:
    """Nothing was sent, so there is nothing to undo; and no call is lost when the functions are back."""
    with functions.down():
        pipeline, flow = (example.run(name, {"orderId": 123}) for name in ("process-order", "process-order-safely"))
        assert (pipeline.status, pipeline.json()["step"]) == (502, "validate-order")
        assert (flow.status, flow.json()["outcome"], "undone" in flow.json()) == (502, "retryable", False)
        assert functions.called == []
    assert example.result("process-order-safely", {"orderId": 123}) == DONE
