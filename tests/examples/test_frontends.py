"""examples/frontends: two views of the same services."""

from __future__ import annotations

import threading

from examples.serve import Answer, Request
from tests.examples.project import PATIENCE, Example, Functions, Said

EXAMPLE = "frontends"


def get(example: Example, flow: str, user: str = "ada") -> Said:
    return example.ask("GET", f"/orchestrate/{flow}?user={user}")


def test_readme(example: Example) -> None:
    example.follow_readme()


def test_mobile_asks_for_little(example: Example, functions: Functions) -> None:
    assert get(example, "mobile-home").json() == {
        "name": "Ada",
        "orders": [{"id": 1, "state": "shipped"}, {"id": 2, "state": "shipped"}],
    }
    assert sorted(functions.called) == ["get-user", "list-orders"]
    orders = next(call for call in functions.calls if call.function == "list-orders")
    assert (orders.method, orders.query, orders.body) == ("GET", {"user": "ada", "limit": "2"}, b"")


def test_web_asks_for_all_at_once(example: Example, functions: Functions) -> None:
    functions.meet("get-user", "list-orders", "recommend", "get-banner")
    said = get(example, "web-home")
    assert said.status == 200
    home = said.json()
    assert (home["user"]["email"], len(home["orders"])) == ("ada@example.com", 4)
    assert (home["recommended"], home["banner"]) == (["ink", "paper"], "Ink is cheap today")


def test_web_does_without(example: Example, functions: Functions) -> None:
    never = threading.Event()

    def waits(request: Request) -> Answer | None:
        never.wait(PATIENCE)
        return None

    functions.instead["recommend"] = waits
    functions.hangs_up("get-banner")
    said = get(example, "web-home")
    assert (said.status, said.json()["recommended"], said.json()["banner"]) == (200, [], "")
    assert said.completed == "false"
    never.set()


def test_nobody(example: Example) -> None:
    for flow, step in (("mobile-home", "account.parallel.user"), ("web-home", "parallel.account.parallel.user")):
        said = get(example, flow, "bob")
        assert (said.status, said.json()["step"]) == (404, step)


def test_nobody_is_asked_for(example: Example, functions: Functions) -> None:
    said = example.ask("GET", "/orchestrate/mobile-home")
    assert said.status == 500
    assert "request.query.user" in said.json()["detail"]
    assert functions.called == []


def test_a_segment_stays_one(example: Example, functions: Functions) -> None:
    assert get(example, "mobile-home", "ada%2F..%2Fbob").status == 404
    assert [call.path for call in functions.calls if call.function == "get-user"] == ["/ada/../bob"]
