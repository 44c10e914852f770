"""examples/kyc: a flow that others use, a choice, a loop."""

from __future__ import annotations

import json
import threading

import pytest

from examples.serve import Answer
from tests.examples.project import PATIENCE, Example, Functions

EXAMPLE = "kyc"
ADA = {"user": "ada", "url": "s3://kyc/1.png"}
TWO = {"user": "ada", "url": "s3://kyc/3.png"}


def test_readme(example: Example) -> None:
    example.follow_readme()


@pytest.mark.parametrize(
    ("asked", "faces", "valid"),
    [(ADA, 1, True), (TWO, 2, False), ({"user": "bob", "url": "s3://kyc/1.png"}, 1, False)],
)
def test_validate(example: Example, functions: Functions, asked: dict[str, str], faces: int, valid: bool) -> None:
    functions.meet("face-detect", "face-match")
    assert example.result("validate-image", asked) == {"user": asked["user"], "faces": faces, "valid": valid}
    get = functions.calls[0]
    assert (get.method, get.query, get.body) == ("GET", {"url": asked["url"]}, b"")
    assert functions.called[0] == "get-kyc-image"
    assert sorted(functions.called[1:]) == ["face-detect", "face-match"]


def test_another_store_is_refused_before_anything_is_called(example: Example, functions: Functions) -> None:
    said = example.run("validate-image", {"user": "ada", "url": "s3://other/1.png"})
    assert (said.status, said.json()["detail"]) == (422, "s3://other/1.png is not in the image store")
    assert functions.called == []


def test_not_even_a_question(example: Example, functions: Functions) -> None:
    said = example.run("verify-user", {"user": "ada"})
    problem = said.json()
    assert (said.status, problem["step"]) == (500, "validate-image")
    assert "url" in problem["detail"]
    assert functions.called == []


def test_one_of_two_is_done(example: Example, functions: Functions) -> None:
    assert example.result("verify-user", ADA) == {"user": "ada", "profile": "verified"}
    assert "request-review" not in functions.called
    functions.reset()
    assert example.result("verify-user", TWO) == {"user": "ada", "profile": "in review"}
    assert "mark-profile" not in functions.called


def test_suspects(example: Example, functions: Functions) -> None:
    assert example.result("screen-suspects", None) == {
        "checked": 3,
        "genuine": ["ada"],
        "fraud": ["bob"],
        "unknown": ["the function answered 404"],
    }
    keys = {call.headers["idempotency-key"].partition("/")[2] for call in functions.calls}
    assert "foreach[1].validate.parallel.detected" in keys
    assert "foreach[2].validate.get-kyc-image" in keys


def test_two_suspects_at_a_time(example: Example, functions: Functions) -> None:
    """Ten of them: always two at once, and never more."""
    users = [{"user": f"u{n}", "url": f"s3://kyc/{n}.png"} for n in range(10)]
    pairs = threading.Barrier(2, timeout=PATIENCE)
    working: list[int] = []

    def image(request: object) -> Answer:
        working.append(functions.called.count("get-kyc-image") - len(functions.ended("get-kyc-image")))
        pairs.wait()
        return Answer(200, b'{"image": "u0"}')

    functions.answers("list-suspects", 200, {"users": users})
    functions.instead["get-kyc-image"] = image
    said = example.result("screen-suspects", None)
    assert (said["genuine"], len(said["fraud"])) == (["u0"], 9)
    assert max(working) == 2


def test_a_function_down_spoils_no_list(example: Example, functions: Functions) -> None:
    def only_ada(request: object) -> Answer | None:
        asked = json.loads(functions.calls[-1].body)
        return Answer(200, b'{"match":true}') if asked["user"] == "ada" else None

    functions.instead["face-match"] = only_ada
    assert example.run("verify-user", {"user": "bob", "url": "s3://kyc/2.png"}).status == 502
    screened = example.run("screen-suspects", None)
    assert (screened.status, screened.completed) == (200, "false")
    assert (screened.json()["checked"], len(screened.json()["unknown"])) == (3, 2)
