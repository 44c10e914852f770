"""`/api/flows`: definitions are listed, shown, put and deleted while the gateway runs."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from tests.admin.conftest import Start
from tests.admin.serving import Reply, Serving, flow_path, native, pipeline, until
from tests.support.texts import request

KEPT = ["from-json", "from-yaml"]  # in flows/


@pytest.fixture(scope="module")
def shared(start_shared: Start) -> Serving:
    return start_shared(flows={"from-yaml": ["f0"], "from-json": pipeline("f1", "f2")}, access_log=False)


@pytest.fixture
def gateway(shared: Serving) -> Serving:
    """As new: only what is in `flows/` is there."""
    for name in shared.names():
        if name not in KEPT:
            assert shared.delete(name).status == 204
    shared.check_errors()
    return shared


# Defining.


def test_a_pipeline_is_live_at_once(gateway: Serving) -> None:
    assert gateway.run("new").status == 404
    reply = gateway.put("new", pipeline("echo", "f3"))
    assert reply.status == 201
    document = reply.json()
    assert document["name"] == "new"
    assert document["state"] == "ok"
    assert document["language"] == "fnkit"
    assert document["outline"] == "echo, f3"
    assert document["origin"].endswith("legato.db new")
    assert document["source"] == pipeline("echo", "f3")
    assert reply.fields["etag"] == f'"{document["digest"]}"'
    assert gateway.run("new").json() == "f3"
    again = gateway.put("new", pipeline("f4"))
    assert again.status == 200
    assert again.json()["version"] != document["version"]
    assert again.json()["digest"] != document["digest"]
    assert gateway.run("new").json() == "f4"


@pytest.mark.parametrize(
    "text",
    [
        "flow: mine\nsteps: [f5]\n",
        "\ufeffflow: mine\nsteps:\n  - f5\n",
        native("mine", "f5"),
        "# words\nflow: mine\ndescription: '{\"mode\": 1}'\nsteps: [f5]",
    ],
)
def test_a_flow_of_our_own_language(gateway: Serving, text: str) -> None:
    reply = gateway.put("mine", text)
    assert reply.status == 201
    assert reply.json()["language"] == "native"
    assert gateway.show("mine").json()["source"] == text
    assert gateway.run("mine").json() == "f5"


def test_the_language_may_change(gateway: Serving) -> None:
    for number, text in enumerate([pipeline("f1"), native("x", "f2"), pipeline("f3"), native("x", "f4")]):
        assert gateway.put("x", text).status == (200 if number else 201)
        assert gateway.run("x").json() == f"f{number + 1}"
    assert gateway.names() == [*KEPT, "x"]


BAD = {
    "empty": (b"", "is empty"),
    "blank": (b" \n\t\n", "is empty"),
    "comment": (b"# nothing", "empty"),
    "null": (b"null", ""),
    "number": (b"1", ""),
    "list": (b'["a"]', ""),
    "name": (b"flow: other\nsteps: [echo]", "the flow is called `other`"),
    "mode": (b'{"mode": "both", "steps": ["a"]}', "`mode` cannot be `both`"),
    "mode and flow": (b'{"flow": "x", "mode": "sequential", "steps": ["echo"]}', "mode"),
    "no steps": (b'{"mode": "sequential"}', "`steps`"),
    "empty steps": (b'{"mode": "sequential", "steps": [" "]}', "at least one step"),
    "twice": (b'{"mode": "parallel", "steps": ["a", "a"]}', "already"),
    "syntax": (b"flow: x\nsteps: [a\n", "not valid YAML"),
    "json syntax": (b'{"mode": "sequential", "steps": [}', ""),
    "not utf-8": (b"flow: x\nsteps: [a\xff]", "not UTF-8"),
    "nul": (b"flow: x\0", "U+0000"),
    "surrogate": (b'{"mode": "sequential", "steps": ["\\ud800"]}', ""),
    "deep": (b"[" * 5000, ""),
    "deep json": (b'{"mode": "sequential", "steps": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", ""),
    "alias": (b"a: &a [b]\nflow: x\nsteps: *a", ""),
    "unknown function": (b'{"mode": "sequential", "steps": ["echo", "missing"]}', "no_such_module"),
    "number as name": (b'{"mode": "sequential", "steps": ["127"]}', "number"),
    "no host": (b"flow: x\nsteps: [{publish: orders}]", "cannot be run by any host"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_could_not_run_is_not_stored(gateway: Serving, case: str) -> None:
    text, message = BAD[case]
    before = gateway.put("x", pipeline("f1")).json()["digest"]
    reply = gateway.put("x", text)
    assert reply.status == 422
    assert reply.detail == "the definition of x has problems; nothing was stored"
    errors = reply.json()["errors"]
    assert errors
    assert any(message in error["detail"] for error in errors)
    assert all(error["remedy"] for error in errors), errors
    assert reply.json()["flow"] == "x"
    assert gateway.show("x").json()["digest"] == before
    assert gateway.run("x").json() == "f1"
    assert gateway.put("y", text).status == 422
    assert gateway.show("y").status == 404
    assert gateway.show("x").json()["revisions"][0]["version"] == gateway.show("x").json()["version"]


def test_every_problem_is_told_with_its_place(gateway: Serving) -> None:
    reply = gateway.put("x", "flow: x\nsteps:\n  - call: a\n    colour: red\n  - call: b\n    timeout: 5\n")
    [first, second] = reply.json()["errors"]
    assert (first["line"], first["column"], first["source"]) == (4, 5, "colour: red")
    assert (second["line"], second["column"], second["source"]) == (6, 14, "timeout: 5")
    assert first["remedy"]
    assert second["remedy"] == "write 5s or 5ms"


MIB = 1024 * 1024


def test_the_largest_definition(gateway: Serving) -> None:
    text = native("x", "f1")
    padded = text + " " * (MIB - len(text))
    assert gateway.put("x", padded).status == 201
    assert gateway.show("x").json()["source"] == padded
    reply = gateway.put("x", padded + " ")
    assert reply.status == 413
    assert reply.detail == "a definition has at most 1024 KiB"
    assert gateway.run("x").json() == "f1"


def test_a_body_in_chunks(gateway: Serving) -> None:
    head = b"PUT /api/flows/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    text = pipeline("f1").encode()
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in text) + b"0\r\n\r\n"
    assert gateway.ask(head + body, "PUT").status == 201
    assert gateway.show("x").json()["source"] == text.decode()
    large = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    assert gateway.ask(head + large * 17 + b"0\r\n\r\n", "PUT").status == 413


def test_a_definition_that_ends_early(gateway: Serving) -> None:
    with gateway.connect() as wire:
        wire.send(b"PUT /api/flows/early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n" + b'{"mode"')
    assert gateway.show("early").status == 404
    gateway.check_errors()


# Names.


@pytest.mark.parametrize("name", ["orchestrate", "api", "localhost", "metrics", "livez", "readyz", "openapi", "API"])
def test_reserved_names(gateway: Serving, name: str) -> None:
    reply = gateway.put(name, pipeline("echo"))
    assert reply.status == 422
    assert "reserved" in reply.json()["errors"][0]["detail"]


BAD_NAMES = [
    "12", "0x1f", "a.b", "a b", " ", "\u00e4", "a\u0000b", "..", ".", "a:b", "x" * 300, "\N{GRINNING FACE}", "%", "a?b",
    "a#b", "a\\b", "\r\n", "a%2Fb", "-" * 256,
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_cannot_be(gateway: Serving, name: str) -> None:
    for text in (pipeline("echo"), native(name, "echo")):
        reply = gateway.put(name, text)
        assert reply.status == 422, reply
        assert reply.detail
    assert gateway.show(name).status == 404
    assert gateway.delete(name).status == 404
    assert gateway.names() == KEPT


@pytest.mark.parametrize("path", ["a/b", "a%2Fb", "%2E%2E%2Fetc", "/", "x/", "x%00/y"])
def test_paths_that_are_no_name(gateway: Serving, path: str) -> None:
    for method in ("PUT", "GET", "DELETE"):
        reply = gateway.api(method, f"/api/flows/{path}", pipeline("echo") if method == "PUT" else None)
        assert reply.status == 404, reply
    assert gateway.names() == KEPT


def test_raw_bytes_in_a_path(gateway: Serving) -> None:
    for path in (b"/api/flows/\xff", b"/api/flows/%FF", b"/api/flows/%ED%A0%80", b"/api/flows/\xc3\xa4"):
        text = pipeline("echo").encode()
        head = b"PUT %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (path, len(text))
        answer = gateway.ask(head + text, "PUT")
        assert answer.status in (400, 422), answer
    gateway.check_errors()


@pytest.mark.parametrize("name", ["Upper_Case-1", "x" * 255, "_", "-", "a0x1"])
def test_names_of_fnkit_s(gateway: Serving, name: str) -> None:
    assert gateway.put(name, pipeline("f7")).status == 201
    assert gateway.run(name).json() == "f7"
    assert gateway.run("".join(f"%{ord(char):02x}" for char in name)).json() == "f7"
    encoded = "".join(f"%{ord(char):02X}" for char in name)
    assert gateway.api("GET", f"/api/flows/{encoded}").json()["name"] == name
    assert gateway.api("DELETE", f"/api/flows/{encoded}").status == 204
    assert gateway.run(name).status == 404


# Reading.


def test_the_list_comes_in_pages(gateway: Serving) -> None:
    names = [f"p{number}" for number in range(5)]
    for name in names:
        assert gateway.put(name, pipeline("f1")).status == 201
    everything = sorted([*KEPT, *names])
    assert gateway.names() == everything
    for limit in (1, 2, 3, 7, 8):
        found, cursor = [], ""
        while True:
            page = gateway.api("GET", f"/api/flows?limit={limit}&cursor={cursor}").json()
            assert len(page["flows"]) <= limit
            found += [flow["name"] for flow in page["flows"]]
            assert len(found) <= len(everything)
            if "cursor" not in page:
                break
            cursor = page["cursor"]
        assert found == everything
    assert gateway.names("?cursor=p1&limit=2") == ["p2", "p3"]
    assert gateway.names("?cursor=zzz") == []
    assert gateway.names("?cursor=o") == names, "a name that is there no more may be the cursor"


def test_a_list_says_little_of_each(gateway: Serving) -> None:
    gateway.put("par", pipeline("f1", "f2", mode="parallel"))
    [flow] = [flow for flow in gateway.api("GET", "/api/flows").json()["flows"] if flow["name"] == "par"]
    assert flow["outline"] == "[f1 | f2]"
    assert set(flow) == {"name", "version", "state", "origin", "language", "outline", "digest"}
    long = gateway.put("long", pipeline(*["f1"] * 200)).json()
    assert len(long["outline"]) == 200
    assert long["outline"].endswith("…")


def test_broken_files_are_in_the_list_by_their_state(gateway: Serving) -> None:
    file = gateway.folder / "flows" / "bad.yaml"
    file.write_text("flow: bad\nsteps: [1]\n")
    try:
        until(lambda: gateway.names("?state=broken") == ["bad"], gateway.names)
        assert gateway.names("?state=ok") == KEPT
        shown = gateway.show("bad").json()
        assert (shown["state"], shown["version"]) == ("broken", None)
        assert shown["problems"][0]["line"] == 2
        assert shown["source"] == "flow: bad\nsteps: [1]\n"
        refused = gateway.run("bad")
        assert refused.status == 503
        assert refused.json()["errors"] == shown["problems"]
        assert any("bad" in worry for worry in gateway.api("GET", "/readyz").json()["degraded"])
        assert gateway.put("bad", pipeline("f1")).status == 409
    finally:
        file.unlink()
    until(lambda: gateway.names() == KEPT, gateway.names)
    assert "degraded" not in gateway.api("GET", "/readyz").json()


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=1e2", "limit=\u0661", "state=bad"]
)
def test_bad_parameters(gateway: Serving, query: str) -> None:
    reply = gateway.api("GET", f"/api/flows?{quote(query, safe='=&')}")
    assert reply.status == 400
    assert query.partition("=")[0] in reply.detail


def test_a_flow_with_its_past(gateway: Serving) -> None:
    texts = [native("past", f"f{number}") for number in range(3)]
    versions = [gateway.put("past", text).json()["version"] for text in texts]
    assert len(set(versions)) == 3
    shown = gateway.show("past")
    document = shown.json()
    assert [revision["version"] for revision in document["revisions"]] == list(reversed(versions))
    assert all(revision["created"].endswith("+00:00") for revision in document["revisions"])
    assert shown.fields["etag"] == f'"{document["digest"]}"'
    for version, text in zip(versions, texts, strict=True):
        earlier = gateway.show("past", f"?version={version}")
        assert earlier.status == 200
        assert earlier.json()["source"] == text
        assert earlier.json()["version"] == version
    assert "etag" not in gateway.show("past", f"?version={versions[0]}").fields, "it is not what a change would replace"
    missing = gateway.show("past", "?version=nonsense")
    assert missing.status == 404
    assert "no version 'nonsense'" in missing.detail
    assert gateway.put("past", native("past", "f0")).json()["version"] == versions[0], (
        "the same meaning, the same version"
    )


def test_what_is_not_there(gateway: Serving) -> None:
    for reply in (gateway.show("nobody"), gateway.delete("nobody")):
        assert reply.status == 404
        assert "there is no flow 'nobody'" in reply.detail
    unknown = gateway.run("nobody")
    assert unknown.json()["flows"] == KEPT
    assert gateway.api("GET", "/api/nothing").status == 404
    assert gateway.api("GET", "/api").status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/flows"), ("PUT", "/api/flows"), ("DELETE", "/api/flows"), ("POST", "/api/flows/x"),
     ("PATCH", "/api/flows/x"), ("OPTIONS", "/api/flows/x"), ("POST", "/api/runs"), ("DELETE", "/api/runs/x")],
)  # fmt: skip
def test_methods(gateway: Serving, method: str, path: str) -> None:
    reply = gateway.api(method, path)
    assert reply.status == 405
    assert reply.fields["allow"]
    assert method in reply.detail


def test_head(gateway: Serving) -> None:
    for path in ("/api/flows", "/api/flows/from-yaml", "/api/runs"):
        reply = gateway.api("HEAD", path)
        assert reply.status == 200
        assert reply.body == b""


# Deleting.


def test_delete(gateway: Serving) -> None:
    gateway.put("x", pipeline("f1"))
    reply = gateway.delete("x")
    assert (reply.status, reply.body) == (204, b"")
    assert gateway.run("x").status == 404
    assert gateway.show("x").status == 404
    assert gateway.delete("x").status == 404
    assert gateway.put("x", pipeline("f2")).status == 201
    assert gateway.run("x").json() == "f2"


def test_runs_end_by_the_definition_they_began_with(gateway: Serving) -> None:
    gateway.put("x", pipeline("slow", "f1"))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(gateway.run, "x", b'{"seconds": 0.5}')
        assert gateway.until_metric(1, "legato_runs_active", flow="x")
        assert gateway.put("x", pipeline("f2")).status == 200
        assert gateway.run("x").json() == "f2"
        assert gateway.delete("x").status == 204
        assert gateway.run("x").status == 404
        assert running.result().json() == "f1"
    assert gateway.is_idle()


def test_a_body_that_comes_after_the_definition_has_changed(gateway: Serving) -> None:
    """The head was admitted before; the run begins on the program of then, and leaves nothing."""
    gateway.put("x", pipeline("f1"))
    head, body = request("/orchestrate/x", b'{"a": 1}').split(b"\r\n\r\n")
    with gateway.connect() as wire:
        wire.send(head + b"\r\n\r\n{")
        assert gateway.put("x", pipeline("f2")).status == 200
        wire.send(body[1:])
        assert wire.answer().json() == "f1"
        assert wire.ask(request("/orchestrate/x", b"{}")).json() == "f2"
    assert gateway.delete("x").status == 204
    until(lambda: b'flow="x"' not in gateway.api("GET", "/metrics").body.split(b"legato_runs_active")[-1])


def test_files_are_not_the_api_s_to_change(gateway: Serving) -> None:
    for reply in (gateway.put("from-yaml", pipeline("f1")), gateway.delete("from-yaml")):
        assert reply.status == 409
        assert "from-yaml.yaml" in reply.detail
        assert "take that file away first" in reply.detail
    assert gateway.run("from-yaml").json() == "f0"


def test_a_file_that_comes_hides_what_was_put(gateway: Serving) -> None:
    gateway.put("x", pipeline("f1"))
    file = gateway.folder / "flows" / "x.json"
    file.write_text(pipeline("f9"))
    try:
        until(lambda: gateway.run("x").json() == "f9")
        shown = gateway.show("x").json()
        assert shown["shadows"] == [f"sqlite:{gateway.folder / 'legato.db'} x"]
        assert shown["origin"] == str(file)
        assert any("hides" in worry for worry in gateway.api("GET", "/readyz").json()["degraded"])
        assert gateway.delete("x").status == 409
    finally:
        file.unlink()
    until(lambda: gateway.run("x").json() == "f1")
    assert "shadows" not in gateway.show("x").json()


# What a writer may rely on.


def test_what_was_answered_is_served(gateway: Serving) -> None:
    """A hundred times: the request after the answer to a PUT is served by the new definition, on a known head, too."""
    failures: list[object] = []

    def write(name: str) -> None:
        with gateway.connect() as wire:
            for turn in range(10):
                tag = f"f{turn}"
                reply = gateway.put(name, pipeline(tag))
                answers = [wire.ask(request(f"/orchestrate/{name}", b"{}")).body for _ in range(2)]
                if reply.status not in (200, 201) or answers != [json.dumps(tag).encode()] * 2:
                    failures.append((name, turn, reply, answers))

    threads = [threading.Thread(target=write, args=(f"w{number}",)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_of_many_who_write_at_once_the_stored_one_is_served(gateway: Serving) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda number: gateway.put("x", pipeline(f"f{number}")), range(8)))
    assert sorted(reply.status for reply in replies) == [200] * 7 + [201]
    for number, reply in enumerate(replies):
        assert reply.json()["outline"] == f"f{number}", "an answer speaks of what its request put"
    shown = gateway.show("x").json()
    assert gateway.run("x").json() == shown["outline"]
    assert len(shown["revisions"]) >= 8


def test_writers_and_deleters_at_once(gateway: Serving) -> None:
    def write(number: int) -> Reply:
        return gateway.put("x", pipeline(f"f{number}")) if number % 2 else gateway.delete("x")

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(write, range(10)))
    assert {reply.status for reply in replies} <= {200, 201, 204, 404}
    shown, ran = gateway.show("x"), gateway.run("x")
    assert (shown.status, ran.status) in ((200, 200), (404, 404))
    if ran.status == 200:
        assert ran.json() == shown.json()["outline"]


def test_only_one_of_many_creates(gateway: Serving) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = pool.map(lambda number: gateway.put("x", pipeline(f"f{number}"), {"if-none-match": "*"}), range(8))
    assert sorted(reply.status for reply in replies) == [201] + [412] * 7


def test_only_one_of_many_replaces(gateway: Serving) -> None:
    tag = gateway.put("x", pipeline("f9")).fields["etag"]
    with ThreadPoolExecutor(8) as pool:
        replies = pool.map(lambda number: gateway.put("x", pipeline(f"f{number}"), {"if-match": tag}), range(8))
    assert sorted(reply.status for reply in replies) == [200] + [412] * 7


# Conditions (RFC 9110, 13.1).


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    ("fields", "there", "absent"),
    [
        ({}, "done", "new"),
        ({"if-match": "{tag}"}, "done", "412"),
        ({"if-match": ' "0000" , {tag}'}, "done", "412"),
        ({"if-match": "*"}, "done", "412"),
        ({"if-match": '"0000"'}, "412", "412"),
        ({"if-match": '"0000", "1111"'}, "412", "412"),
        ({"if-match": "W/{tag}"}, "done", "412"),  # a proxy that compresses weakens tags, and ours are of the text
        ({"if-match": "{bare}"}, "400", "400"),
        ({"if-match": '""'}, "400", "400"),
        ({"if-match": ""}, "400", "400"),
        ({"if-match": '"'}, "400", "400"),
        ({"if-match": '"0000",'}, "400", "400"),
        ({"if-none-match": "*"}, "412", "new"),
        ({"if-none-match": " * "}, "412", "new"),
        ({"if-none-match": "{tag}"}, "400", "400"),
        ({"if-none-match": ""}, "400", "400"),
        ({"if-none-match": "*", "if-match": "{tag}"}, "412", "412"),
    ],
)
def test_conditions(gateway: Serving, method: str, fields: dict[str, str], there: str, absent: str) -> None:
    done = {"PUT": 200, "DELETE": 204}[method]
    first = gateway.put("x", pipeline("f1"))
    tag = first.fields["etag"]
    given = {name: value.replace("{tag}", tag).replace("{bare}", tag.strip('"')) for name, value in fields.items()}
    text = pipeline("f2") if method == "PUT" else None
    reply = gateway.api(method, flow_path("x"), text, given)
    assert reply.status == (done if there == "done" else int(there)), reply
    expected = {"PUT": (200, "f2"), "DELETE": (404, None)}[method] if there == "done" else (200, "f1")
    ran = gateway.run("x")
    assert (ran.status, ran.json() if ran.status == 200 else None) == expected
    if reply.status >= 400:
        assert reply.detail
    if gateway.show("x").status == 200:
        gateway.delete("x")
    reply = gateway.api(method, flow_path("x"), text, given)
    if method == "DELETE":
        assert reply.status == 404
    else:
        assert reply.status == (201 if absent == "new" else int(absent)), reply
    assert gateway.show("x").status == (200 if reply.status == 201 else 404)


def test_the_tag_tells_texts_apart_not_times(gateway: Serving) -> None:
    first = gateway.put("x", pipeline("f1")).fields["etag"]
    assert gateway.put("x", pipeline("f2")).fields["etag"] != first
    assert gateway.put("x", pipeline("f1")).fields["etag"] == first
    spaced = pipeline("f1").replace(" ", "  ")
    document = gateway.put("x", spaced)
    assert document.fields["etag"] != first
    assert gateway.show("x").fields["etag"] == document.fields["etag"]
