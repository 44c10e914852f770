"""examples/scatter-gather: one question to several, and how many answers are needed."""

from __future__ import annotations

import threading

import pytest

from examples.serve import Answer, Request
from tests.examples.project import PATIENCE, Example, Functions, until

EXAMPLE = "scatter-gather"
PEN = {"sku": "pen"}


class Replicas:
    """Has the replicas, or shops, do what a test says by their number."""

    def __init__(self, functions: Functions, function: str, **does: object) -> None:
        self.let_go = threading.Event()
        self.functions = functions
        self.does = does
        functions.instead[function] = self.answer

    def answer(self, request: Request) -> Answer | None:
        doing = self.does.get(f"r{request.path[1:]}", "answers")
        if doing == "answers":
            return super(Functions, self.functions).answer(request)
        if doing == "answers last":
            assert until(lambda: len(self.functions.calls) == 3)
            return super(Functions, self.functions).answer(request)
        if doing == "waits":
            self.let_go.wait(PATIENCE)
            return None
        return None if doing == "hangs up" else Answer(200, str(doing).encode())


def paths(functions: Functions) -> list[str]:
    return sorted(call.path for call in functions.calls)


def test_readme(example: Example) -> None:
    example.follow_readme()


def test_the_first_answer_counts(example: Example, functions: Functions) -> None:
    replicas = Replicas(functions, "price", r1="waits", r2="answers last", r3="waits")
    assert example.result("fastest", PEN) == {"replica": 2, "price": 42}
    assert paths(functions) == ["/1", "/2", "/3"]
    replicas.let_go.set()


def test_failures_do_not_count_as_answers(example: Example, functions: Functions) -> None:
    Replicas(functions, "price", r1="hangs up", r2="hangs up")
    said = example.run("fastest", PEN)
    assert (said.status, said.json()["replica"]) == (200, 3)


def test_none_is_left(example: Example, functions: Functions) -> None:
    functions.hangs_up("price")
    said = example.run("fastest", PEN)
    assert said.status == 502
    assert [error["step"] for error in said.json()["errors"]] == [
        "parallel.first", "parallel.second", "parallel.third",
    ]  # fmt: skip


def test_two_of_three(example: Example, functions: Functions) -> None:
    Replicas(functions, "price", r2="hangs up")
    assert example.result("agreed", PEN) == {"price": 42}


def test_one_of_three_is_not_enough(example: Example, functions: Functions) -> None:
    Replicas(functions, "price", r2="hangs up", r3="hangs up")
    assert example.run("agreed", PEN).status == 502


def test_they_disagree(example: Example, functions: Functions) -> None:
    replicas = Replicas(functions, "price", r1='{"price": 41}', r3="waits")
    said = example.run("agreed", PEN)
    assert (said.status, said.json()["detail"]) == (503, "the replicas say [41,42]")
    replicas.let_go.set()


@pytest.mark.parametrize("state", ["hangs up", "waits"])
def test_a_shop_is_left_out(example: Example, functions: Functions, state: str) -> None:
    shops = Replicas(functions, "offers", r3=state)
    said = example.run("offers", PEN)
    assert (said.status, said.completed) == (200, "false")
    assert [offer["shop"] for offer in said.json()["offers"]] == [1, 2]
    assert said.json()["cheapest"] == 48
    shops.let_go.set()


def test_no_shop_at_all(example: Example, functions: Functions) -> None:
    functions.answers("offers", 500)
    assert example.result("offers", PEN) == {"offers": [], "cheapest": 0}


def test_asked_again_when_it_takes_long(example: Example, functions: Functions) -> None:
    slow = threading.Event()

    def price(request: Request) -> Answer | None:
        if len(functions.calls) == 1:
            slow.wait(PATIENCE)
            return None
        return Answer(200, b'{"price": 43}')

    functions.instead["price"] = price
    assert example.result("hedged", PEN) == {"price": 43}
    assert [(call.method, call.query) for call in functions.calls] == [("GET", PEN)] * 2
    assert len({call.headers["idempotency-key"] for call in functions.calls}) == 1
    slow.set()


def test_a_replica_that_fails_is_left_alone(example: Example, functions: Functions) -> None:
    functions.hangs_up("price")
    for _ in range(3):
        assert example.run("fastest", PEN).status == 502
    functions.reset()
    assert example.result("agreed", PEN) == {"price": 42}
    assert paths(functions) == ["/2", "/3"]
    assert until(lambda: asked_again(example)), "it stays open"


def asked_again(example: Example) -> bool:
    """Ask another time; whether the first replica was asked as well."""
    example.functions.calls.clear()
    example.run("agreed", PEN)
    return "/1" in paths(example.functions)
