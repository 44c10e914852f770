"""examples/approval: a run that waits for a person, who gets a link that nobody else can make."""

from __future__ import annotations

import http.client
import re
import shlex
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.examples.project import EXAMPLES, PATIENCE, RUN, Example, Functions, Said, until

EXAMPLE = "approval"
CHAIR = {"what": "a chair", "amount": 120}


@pytest.fixture(autouse=True)
def at_this_gateway(example: Example, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("APPROVAL_GATEWAY", example.gateway.listen)
    yield
    for run in example.ask("GET", "/api/runs?state=waiting").json()["runs"]:
        example.ask("POST", f"/api/runs/{run['id']}/cancel?hard=true")


def start(example: Example) -> str:
    said = example.run("expense", CHAIR, prefer="respond-async")
    assert said.status == 202
    run: str = said.headers["legato-run"]
    assert until(lambda: state(example, run) == "waiting")
    return run


def document(example: Example, run: str) -> Any:
    return example.ask("GET", f"/api/runs/{run}").json()


def is_in(example: Example, run: str, wanted: str) -> bool:
    return bool(state(example, run) == wanted)


def state(example: Example, run: str) -> Any:
    return document(example, run)["state"]


def page(functions: Functions, method: str, path: str) -> Said:
    connection = http.client.HTTPConnection(functions.url, timeout=PATIENCE)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return Said(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def link(functions: Functions, run: str, /, **changes: str) -> str:
    """The link that was mailed for a run, with something in it changed."""
    mails = page(functions, "GET", "/mails").json()
    [mail] = [mail for mail in mails if run in mail["link"]]
    query = {key: value for key, [value] in parse_qs(urlsplit(mail["link"]).query).items()}
    return f"/decide?{urlencode(query | changes)}"


def test_readme(example: Example, functions: Functions) -> None:
    """As shown, but for ids, times, and what the documents of runs have besides."""
    shown = re.findall(r"^\$ curl (.*)\n(.*)\n", (EXAMPLES / EXAMPLE / "README.md").read_text(), re.MULTILINE)
    assert len(shown) == 4
    run = query = ""
    for typed, printed in shown:
        words = [word for word in shlex.split(typed) if "://" in word]
        url = urlsplit(words[0])
        if url.port == 9000:
            path = url.path if not url.query else f"{url.path}?{query}&approved=true"
            said = page(functions, "POST" if "-X POST" in typed else "GET", path)
            if url.path == "/mails":
                query = urlsplit(said.json()[-1]["link"]).query
                masked = re.sub(
                    r"mac=[0-9a-f]{64}", "mac=MAC", re.sub(r"expires=\d+", "expires=1795578662", said.body.decode())
                )
                assert RUN.sub("RUN", masked) == RUN.sub("RUN", printed)
            else:
                assert said.body.decode() == printed
        elif url.path.startswith("/orchestrate/"):
            said = example.type(typed)
            run = said.json()["id"]
            assert set(re.findall(r'"(\w+)":', printed)) <= set(said.json())
            assert until(partial(is_in, example, run, "waiting"))
        else:
            assert until(partial(is_in, example, run, "succeeded"))
            found = document(example, run)
            promised = {"flow": "expense", "state": "succeeded", "result": {"paid": 120, "by": "boss@shop.example"}}
            assert {key: found[key] for key in promised} == promised
            assert '"result":{"paid":120,"by":"boss@shop.example"}}' in printed


def test_looking_decides_nothing(example: Example, functions: Functions) -> None:
    run = start(example)
    looked = page(functions, "GET", link(functions, run, approved="true"))
    assert (looked.status, b"<button>Pay it</button>" in looked.body) == (200, True)
    assert page(functions, "POST", link(functions, run)).status == 400
    assert state(example, run) == "waiting"


def test_no(example: Example, functions: Functions) -> None:
    run = start(example)
    assert b"Thank you" in page(functions, "POST", link(functions, run, approved="false")).body
    assert until(lambda: state(example, run) == "succeeded")
    assert document(example, run)["result"] == {"paid": 0, "by": "boss@shop.example"}
    assert "pay" not in functions.called


def test_pressed_twice(example: Example, functions: Functions) -> None:
    run = start(example)
    assert page(functions, "POST", link(functions, run, approved="true")).status == 200
    assert b"said before" in page(functions, "POST", link(functions, run, approved="true")).body
    assert page(functions, "POST", link(functions, run, approved="false")).status == 422
    assert until(lambda: state(example, run) == "succeeded")
    assert functions.called.count("pay") == 1


@pytest.mark.parametrize(
    "change", [{"expires": "9999999999"}, {"by": "me"}, {"mac": "0" * 64}, {"mac": ""}, {"run": "x"}]
)
def test_links_that_are_not_ours(example: Example, functions: Functions, change: dict[str, str]) -> None:
    run = start(example)
    assert page(functions, "POST", link(functions, run, **change, approved="true")).status == 403
    other = start(example)
    assert page(functions, "POST", link(functions, run, run=other, approved="true")).status == 403
    assert state(example, run) == state(example, other) == "waiting"


def test_links_that_are_too_old(example: Example, functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(example)
    sent = link(functions, run, approved="true")
    late = time.time() + 4 * 86_400
    monkeypatch.setattr("time.time", lambda: late)
    assert page(functions, "POST", sent).status == 410


def test_another_secret(example: Example, functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(example)
    monkeypatch.setenv("APPROVAL_SECRET", "another")
    assert page(functions, "POST", link(functions, run, approved="true")).status == 403
