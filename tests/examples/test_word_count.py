"""examples/word-count: map over HTTP, reduce in the gateway's process."""

from __future__ import annotations

import json
import threading

from examples.serve import Answer, Request
from tests.examples.project import Example, Functions

EXAMPLE = "word-count"


def test_readme(example: Example) -> None:
    example.follow_readme()


def test_counts(example: Example, functions: Functions) -> None:
    text = "\n".join(f"the line {n % 3} and the rest" for n in range(50))
    assert example.result("word-count", text) == {
        "words": {"and": 50, "line": 50, "rest": 50, "the": 100},
        "top": ["the"],
    }
    assert functions.called == ["count-words"] * 50


def test_no_word(example: Example) -> None:
    assert example.result("word-count", "...") == {"words": {}, "top": []}


def test_a_mapper_is_asked_again(example: Example, functions: Functions) -> None:
    """It may be: counting twice does no harm, the settings say."""
    lock, tried = threading.Lock(), set[str]()

    def count(request: Request) -> Answer | None:
        line = json.loads(request.body)
        with lock:
            first = line not in tried
            tried.add(line)
        return None if first else Answer(200, json.dumps({line: 1}).encode())

    functions.instead["count-words"] = count
    assert example.result("word-count", "a\nb") == {"words": {"a": 1, "b": 1}, "top": ["a", "b"]}
    assert sorted(functions.sent("count-words")) == ["a", "a", "b", "b"]


def test_a_mapper_down(example: Example, functions: Functions) -> None:
    functions.answers("count-words", 500)
    said = example.run("word-count", "a")
    assert (said.status, said.json()["step"]) == (502, "foreach[0].count-words")
    assert functions.called == ["count-words"] * 3


def test_what_is_no_text(example: Example, functions: Functions) -> None:
    said = example.run("word-count", {"text": "a"})
    assert said.status == 500
    assert "input.split" in said.json()["detail"]
    assert functions.called == []
