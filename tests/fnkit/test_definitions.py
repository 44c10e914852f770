"""Definitions in Valkey: which names they have, what is refused, how soon a change is live, who may do what."""

from __future__ import annotations

import json
import statistics
import time

import pytest

from tests.fnkit.conftest import StartGateway, StartServer
from tests.fnkit.stage import KEY, Shop, define, pipeline, until, urls
from tests.support.function_server import functions
from tests.support.texts import answer, request

CHANGES = 20
USUAL = 0.1  # seconds until a change is live, in the median
SLOWEST = 2.0  # and each, whatever else the machine does

BROKEN = {
    "": "empty",
    "{": "JSON",
    '{"mode":"sequential","steps":["a"]} x': "JSON",
    '{"mode":"sequential","steps":["a"],}': "JSON",
    "[]": "object",
    "null": "no value",
    "{}": "`mode`",
    '{"mode":"sequential"}': "`steps`",
    '{"steps":["a"]}': "`mode`",
    '{"mode":"banana","steps":["a"]}': "banana",
    '{"mode":null,"steps":["a"]}': "`mode`",
    '{"mode":"sequential","steps":[]}': "at least one step",
    '{"mode":"parallel","steps":[]}': "at least one step",
    '{"mode":"sequential","steps":["", " "]}': "at least one step",
    '{"mode":"sequential","steps":"a,b"}': "`steps`",
    '{"mode":"sequential","steps":["a", 7]}': "step",
    '{"mode":"sequential","steps":["a"],"steps":["b"]}': "already",
    '{"mode":"parallel","steps":["a","b","a"]}': "already",
    '{"mode":"parallel","steps":["a"," a "]}': "already",
    '{"mode":"sequential","steps":["127.0.0.1"]}': "not a name",
    '{"mode":"sequential","steps":["[::1]"]}': "not a name",
    '{"mode":"sequential","steps":["0x7f000001"]}': "address",
    '{"mode":"sequential","steps":["2130706433"]}': "address",
    '{"mode":"sequential","steps":["localhost"]}': "reserved",
    '{"mode":"sequential","steps":["LocalHost"]}': "reserved",
    '{"mode":"sequential","steps":["a","b/../c"]}': "not a name",
    '{"mode":"sequential","steps":["evil.example"]}': "not a name",
    '{"mode":"sequential","steps":["a:9000"]}': "not a name",
    '{"mode":"sequential","steps":["user@a"]}': "not a name",
}


# Names.


def test_an_unknown_pipeline_is_404(shop: Shop) -> None:
    came = shop.ask("/orchestrate/nosuch/sub?q", b"{}")
    assert (came.status, came.get(b"content-type")) == (404, b"application/problem+json")
    assert "nosuch" in came.json()["detail"]


@pytest.mark.parametrize("path", ["/orchestrate/", "/orchestrate", "/orchestrate//", "/orchestrate/?q=1", "/", "/a"])
def test_no_name_is_404(shop: Shop, path: str) -> None:
    came = shop.ask(path, b"{}")
    assert (came.status, came.get(b"content-type")) == (404, b"application/problem+json")


def test_a_trailing_slash_is_a_sub_path(shop: Shop) -> None:
    assert shop.ask(shop.sequence("a") + "/", b"{}").status == 200
    assert shop["a"].wait_for(1)[0].target == "/"


def test_names_by_fnkit_s_wider_rule(shop: Shop) -> None:
    for name in ("ProcessOrder", "process_Order-2", "2nd", "_x", "-", "x" * 100):
        shop.gateway.until_served(name, define(shop.server, name, "sequential", "Upper_1"))
        assert shop.ask(f"/orchestrate/{name}", b"{}").status == 200
        shop.server.cli("DEL", KEY + name)
        shop.gateway.until_served(name, None)


def test_a_name_may_be_percent_encoded(shop: Shop) -> None:
    path = shop.sequence("a")
    encoded = path.replace("flow", "%66l%6Fw")
    assert shop.ask(encoded + "/rest?x", b"{}").status == 200
    assert shop["a"].wait_for(1)[0].target == "/rest?x"
    assert shop.ask("/orchestrate%2F" + path.split("/")[-1], b"{}").status == 404
    assert shop.ask("/%6Frchestrate/" + path.split("/")[-1], b"{}").status == 404


@pytest.mark.parametrize("name", ["10", "0x7f", "my.flow", "a b", "grüße", "localhost", "api", "Metrics", "a/b"])
def test_a_name_that_is_none(shop: Shop, name: str) -> None:
    """It is there, and broken: a typing error in a key is to be seen, not to be guessed."""
    define(shop.server, name, "sequential", "a")
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())
    until(lambda: shop.ask(f"/orchestrate/{quoted}", b"{}").status == 503)
    assert "name" in shop.ask(f"/orchestrate/{quoted}", b"{}").json()["errors"][0]["detail"]
    shop.server.cli("DEL", KEY + name)
    until(lambda: shop.ask(f"/orchestrate/{quoted}", b"{}").status == 404)


# What is refused.


def test_a_broken_definition_is_503_with_its_problems_and_harms_no_other(shop: Shop) -> None:
    good = shop.sequence("a")
    for number, text in enumerate(BROKEN):
        shop.server.cli("SET", f"{KEY}broken-{number}", text)
    for number, (text, why) in enumerate(BROKEN.items()):
        shop.gateway.until_served(f"broken-{number}", text)
        came = shop.ask(f"/orchestrate/broken-{number}/sub", b"{}")
        assert (came.status, came.get(b"content-type")) == (503, b"application/problem+json"), text
        errors = came.json()["errors"]
        assert all(error["detail"] and error["remedy"] for error in errors), text
        assert any(why in error["detail"] for error in errors), (text, errors)
        assert errors[0]["file"].endswith(f"{KEY}broken-{number}")
        assert f"broken-{number} " in shop.gateway.degraded()
    assert shop.ask(good, b"{}").status == 200
    assert shop.gateway.readyz()[0] == 200
    assert not shop["a"].requests[1:]
    shop.server.cli("DEL", *(f"{KEY}broken-{number}" for number in range(len(BROKEN))))
    until(lambda: "broken-" not in shop.gateway.degraded())


def test_a_value_that_is_no_text(shop: Shop) -> None:
    shop.server.cli("LPUSH", KEY + "a-list", "x")
    shop.server.cli("SET", KEY + "too-long", "x" * (1024 * 1024 + 1))
    shop.server.cli("SET", KEY + "not-utf-8", b'{"mode":"sequential","steps":["\xff"]}')
    for name in ("a-list", "too-long", "not-utf-8"):
        until(lambda name=name: shop.ask(f"/orchestrate/{name}", b"{}").status == 503)
        assert shop.ask(f"/orchestrate/{name}", b"{}").json()["errors"]
        shop.server.cli("DEL", KEY + name)
        shop.gateway.until_served(name, None)


def test_the_api_refuses_the_same_with_422_and_stores_nothing(shop: Shop) -> None:
    for text, why in BROKEN.items():
        came = shop.gateway.api("PUT", "/api/flows/refused", text.encode())
        assert (came.status, came.get(b"content-type")) == (422, b"application/problem+json"), text
        if "mode" in text and "flow" not in text and why != "JSON":  # else it counts as a flow of the native language
            assert any(why in error["detail"] for error in came.json()["errors"]), (text, came.json())
    assert shop.server.cli("GET", KEY + "refused") is None
    assert shop.server.cli("EXISTS", "legato:flow:refused") == 0
    assert shop.gateway.flow("refused") is None


def test_a_definition_that_breaks_and_is_mended(shop: Shop) -> None:
    """What is written to the server is meant: there is no going on with the version before, as with a file."""
    path = shop.sequence("a")
    name = path.split("/")[-1]
    shop.server.cli("SET", KEY + name, "{")
    shop.gateway.until_served(name, "{")
    assert shop.ask(path, b"{}").status == 503
    shop.gateway.until_served(name, define(shop.server, name, "sequential", "b"))
    assert shop.ask(path, b"{}").status == 200
    assert len(shop["b"].requests) == 1


def test_more_than_fnkit_wrote_is_passed_over(shop: Shop) -> None:
    text = '{"steps": ["a"], "mode": "sequential", "created": 17, "tags": {"x": []}}\n'
    shop.server.cli("SET", KEY + "more", text)
    shop.gateway.until_served("more", text)
    assert shop.ask("/orchestrate/more", b"{}").status == 200


# Changes are live.


def test_a_change_is_live_at_once(shop: Shop) -> None:
    shop["a"].does(always=answer(200, b'"a"'))
    shop["b"].does(always=answer(200, b'"b"'))
    path = shop.sequence("a")
    key = KEY + path.split("/")[-1]
    texts = [pipeline("sequential", "b"), pipeline("parallel", "a", "b"), None, pipeline("sequential", "a")]
    shown = [(200, b'"b"'), (200, b'{"a":"a","b":"b"}'), (404, None), (200, b'"a"')]
    times: list[float] = []
    with shop.gateway.connect() as wire, shop.server.client() as client:
        for number in range(CHANGES):
            text, (status, body) = texts[number % 4], shown[number % 4]
            began = time.perf_counter()
            if text is None:
                client.execute_command("DEL", key)
            else:
                client.execute_command("SET", key, text)
            while (came := wire.ask(request(path, b"{}"))).status != status or body not in (None, came.body):
                assert time.perf_counter() - began < SLOWEST, f"change {number}: {came!r}"
            times.append(time.perf_counter() - began)
    print(f"\na change is live after {statistics.median(times) * 1000:.1f} ms, at most {max(times) * 1000:.1f} ms")
    assert statistics.median(times) < USUAL


def test_a_rename_and_an_expiry_are_changes(shop: Shop) -> None:
    text = define(shop.server, "before", "sequential", "a")
    shop.gateway.until_served("before", text)
    shop.server.cli("RENAME", KEY + "before", KEY + "after")
    shop.gateway.until_served("after", text)
    assert shop.gateway.flow("before") is None
    shop.server.cli("PEXPIRE", KEY + "after", 1)
    shop.gateway.until_served("after", None)


def test_a_run_goes_on_with_the_definition_it_began_with(shop: Shop) -> None:
    path = shop.sequence("a", "b")
    name = path.split("/")[-1]

    def redefines(exchange: object) -> None:
        shop.gateway.until_served(name, define(shop.server, name, "sequential", "c"))
        exchange.send(answer(200, b'"from a"'))  # type: ignore[attr-defined]

    shop["a"].does(redefines)
    assert shop.ask(path, b"{}").body == b'"from a"'
    assert shop["b"].wait_for(1)[0].body == b'"from a"'
    assert not shop["c"].requests


def test_the_api_writes_where_fnkit_reads(shop: Shop) -> None:
    text = pipeline("parallel", "a", "b").encode()
    came = shop.gateway.api("PUT", "/api/flows/by-api", text)
    assert came.status == 201
    assert shop.server.cli("GET", KEY + "by-api") == text
    assert shop.ask("/orchestrate/by-api", b"{}").json() == {"a": {}, "b": {}}
    assert shop.gateway.api("DELETE", "/api/flows/by-api").status == 204
    assert shop.server.cli("EXISTS", KEY + "by-api") == 0
    assert shop.ask("/orchestrate/by-api", b"{}").status == 404


def test_many_changes_in_one_go(shop: Shop) -> None:
    names = [f"burst-{n}" for n in range(200)]
    with shop.server.client() as client:
        for step in "abc":
            for name in names:
                client.execute_command("SET", KEY + name, pipeline("sequential", step))
        for name in names:
            shop.gateway.until_served(name, pipeline("sequential", "c"))
        client.execute_command("DEL", *(KEY + name for name in names))
    until(lambda: not any("burst-" in flow["name"] for flow in shop.ask("/api/flows").json()["flows"]))


# The default rule, and tokens.


def test_functions_by_the_default_rule(start: StartGateway, valkey: StartServer) -> None:
    """`http://{name}:8080` is fnkit's; any other may be set."""
    server = valkey()
    define(server, "by-default", "sequential", "first", "Second_2")
    with functions("all") as those:
        gateway = start({"functions": {"default": urls(those)["all"] + "/fn/{name}"}}, CACHE_URL=server.url)
        assert gateway.ask(request("/orchestrate/by-default/sub?q=1", b"{}")).status == 200
        targets = [received.target for received in those["all"].wait_for(2)]
    assert targets == ["/fn/first/sub?q=1", "/fn/Second_2/sub?q=1"]


def test_a_store_of_the_settings_is_as_good(start: StartGateway, valkey: StartServer) -> None:
    server = valkey()
    define(server, "one", "sequential", "a")
    gateway = start({"store": server.url, "functions": {"a": {"builtin": "echo"}}})
    assert gateway.ask(request("/orchestrate/one", b"{}")).status == 200


def test_a_token_is_needed_for_everything(start: StartGateway, valkey: StartServer) -> None:
    server = valkey()
    text = define(server, "one", "sequential", "echo").encode()
    settings = {"functions": {"echo": {"builtin": "echo"}}, "direct_functions": True}
    gateway = start(settings, CACHE_URL=server.url, LEGATO_TOKEN="secret", LEGATO_ADMIN_TOKEN="master")
    asked = [
        request("/orchestrate/one", b"{}"),
        request("/orchestrate/one/sub?access_token=secret", b"{}"),
        request("/orchestrate/nosuch", b"{}"),
        request("/orchestrate/", b"{}"),
        request("/echo", b"{}"),
        request("/nosuch", b"{}"),
        request("/"),
        request("/metrics"),
        request("/api/flows"),
        request("/api/flows/one"),
        request("/api/flows/one", text, "PUT"),
        request("/api/flows/one", None, "DELETE"),
        request("/api/runs?inline=true"),
    ]
    for data in asked:
        for authorization in (b"", b"Bearer wrong", b"Bearer secre", b"Bearer secret2", b"Basic secret", b"secret"):
            head = data.replace(b"Host: gateway\r\n", b"Host: gateway\r\nAuthorization: %b\r\n" % authorization, 1)
            came = gateway.ask(head if authorization else data)
            assert (came.status, came.get(b"www-authenticate")[:6]) == (401, b"Bearer"), (authorization, data)
    assert gateway.ask(request("/orchestrate/one", b"{}", authorization="Bearer secret")).body == b"{}"
    assert gateway.ask(request("/echo", b"{}", authorization="bearer  secret")).body == b"{}"
    assert gateway.ask(request("/api/flows/one", text, "PUT", authorization="Bearer secret")).status == 403
    assert gateway.ask(request("/api/flows/one", None, "DELETE", authorization="Bearer secret")).status == 403
    assert gateway.ask(request("/api/flows/one", text, "PUT", authorization="Bearer master")).status == 200
    assert gateway.ask(request("/livez")).status == 200
    assert gateway.readyz()[0] == 200
    assert "secret" not in json.dumps(gateway.log("definition")) + gateway.errors()
