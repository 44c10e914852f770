"""What lasts: definitions over a crash and a start anew; and a store that cannot be used harms no flow."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.admin.conftest import Start
from tests.admin.serving import native, pipeline, until
from tests.support.gateway_process import free_port
from tests.support.valkey_server import ValkeyServer


def test_what_was_put_outlives_a_crash(start: Start) -> None:
    gateway = start()
    tags = [gateway.put(f"x{number}", pipeline(f"f{number}")).fields["etag"] for number in range(5)]
    gateway.put("x1", pipeline("f9"))
    gateway.delete("x2")
    gateway.kill()
    gateway.start()
    assert gateway.names() == ["x0", "x1", "x3", "x4"]
    assert gateway.run("x1").json() == "f9"
    assert gateway.run("x2").status == 404
    assert gateway.show("x0").fields["etag"] == tags[0]
    assert len(gateway.show("x1").json()["revisions"]) == 2
    assert gateway.put("x0", pipeline("f7"), {"if-match": tags[0]}).status == 200
    assert gateway.run("x0").json() == "f7"


def test_a_crash_in_the_midst_of_writing(start: Start) -> None:
    """Whatever was answered is there, whatever is there is whole."""
    gateway = start()
    answered: dict[str, str] = {}
    for number in range(12):
        name = f"x{number % 3}"
        assert gateway.put(name, pipeline(f"f{number % 10}")).status in (200, 201)
        answered[name] = f"f{number % 10}"
    gateway.kill()
    gateway.start()
    assert {name: gateway.run(name).json() for name in gateway.names()} == answered


def test_another_process_changes_the_store(start: Start) -> None:
    """Two gateways on one database: each serves what the other was told."""
    first = start("one")
    settings = {"store": f"sqlite:{first.folder / 'legato.db'}"}
    second = start("two", **settings)
    tag = first.put("x", pipeline("f1")).fields["etag"]
    until(lambda: second.run("x").status == 200)
    assert second.put("x", pipeline("f2"), {"if-match": tag}).status == 200
    until(lambda: first.run("x").json() == "f2")
    assert first.put("x", pipeline("f3"), {"if-match": tag}).status == 412
    assert second.delete("x").status == 204
    until(lambda: first.run("x").status == 404)


def test_a_broken_definition_in_the_store(start: Start) -> None:
    """Stored by somebody who did not look, or good once: its function is no longer there."""
    gateway = start(store="files")
    assert gateway.put("x", pipeline("f1")).status == 201
    assert (gateway.folder / "flows" / "x.json").read_text() == pipeline("f1")
    file = gateway.folder / "flows" / "x.json"
    file.write_text(pipeline("f1", "missing"))
    until(lambda: "problems" in gateway.show("x").json())
    shown = gateway.show("x").json()
    assert shown["state"] == "ok", "an editor's half thought: the version before it is served"
    assert "no_such_module" in shown["problems"][0]["detail"]
    assert gateway.run("x").json() == "f1"
    assert gateway.show("x", f"?version={shown['version']}").status == 404, "its text is not kept"
    assert gateway.put("x", native("x", "f2")).status == 200
    assert gateway.run("x").json() == "f2"
    assert [each.name for each in (gateway.folder / "flows").iterdir() if each.suffix in (".json", ".yaml")] == [
        "x.yaml"
    ]
    assert gateway.delete("x").status == 204
    assert gateway.run("x").status == 404
    for name in ("../x", "a/b", ".hidden"):
        assert gateway.put(name, native(name, "f1")).status in (404, 422)
    assert [each for each in gateway.folder.rglob("*.yaml") if each.name != "legato.yaml"] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_database_that_must_not_be_written(start: Start) -> None:
    gateway = start()
    gateway.put("x", pipeline("f1"))
    gateway.folder.chmod(0o500)
    (gateway.folder / "legato.db").chmod(0o400)
    try:
        reply = gateway.put("x", pipeline("f2"))
        assert reply.status == 503
        assert "right" in reply.detail
    finally:
        gateway.folder.chmod(0o700)


def test_a_database_that_is_none_any_more(start: Start) -> None:
    gateway = start()
    gateway.put("x", pipeline("f1"))
    file = gateway.folder / "legato.db"
    text = gateway.show("x").json()["source"]
    shutil.copy(file, gateway.folder / "kept.db")
    for beside in gateway.folder.glob("legato.db*"):
        beside.unlink()
    file.write_bytes(b"this is no database, and far longer than a header of one would be" * 100)
    until(lambda: "degraded" in gateway.api("GET", "/readyz").json())
    [why] = gateway.api("GET", "/readyz").json()["degraded"]
    assert why.count("sqlite:") == 1
    assert "name another file" in why
    assert gateway.api("GET", "/api/flows").json()["degraded"] == [why]
    for reply in (gateway.put("x", pipeline("f2")), gateway.put("y", pipeline("f2")), gateway.delete("x")):
        assert reply.status == 503
        assert "name another file" in reply.detail
        assert reply.fields["retry-after"] == "1"
    assert gateway.run("x").json() == "f1"
    assert gateway.run("y").status == 404
    shown = gateway.show("x")
    assert shown.status == 200, "what is served is known all the same"
    assert shown.json()["source"] == text
    assert gateway.show("x", "?version=a").status == 503
    os.replace(gateway.folder / "kept.db", file)
    until(lambda: "degraded" not in gateway.api("GET", "/readyz").json())
    assert gateway.put("x", pipeline("f3")).status == 200
    assert gateway.run("x").json() == "f3"


def test_a_store_that_is_not_there_at_the_start(start: Start) -> None:
    place = free_port()
    gateway = start(flows={"kept": ["f1"]}, variables={"CACHE_URL": f"redis://:hunter2@127.0.0.1:{place}"})
    ready = gateway.api("GET", "/readyz")
    assert ready.status == 503
    assert ready.json()["status"] == "starting"
    assert gateway.run("kept").json() == "f1"
    unknown = gateway.run("other")
    assert unknown.status == 503, "whether there is such a flow is not known"
    assert unknown.fields["retry-after"] == "1"
    assert "could not be read yet" in unknown.detail
    assert gateway.put("x", pipeline("f1")).status == 503
    assert gateway.api("GET", "/livez").status == 200
    said = ready.body + unknown.body + gateway.errors().encode() + gateway.log.read_bytes()
    assert b"hunter2" not in said


def test_a_valkey_that_comes_and_goes(start: Start, tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path / "valkey", "--appendonly", "yes")
    gateway = start(variables={"CACHE_URL": server.url})
    assert gateway.api("GET", "/readyz").status == 503
    with server:
        server.cli("SET", "fnkit:pipeline:old", pipeline("f1"))
        until(lambda: gateway.api("GET", "/readyz").status == 200)
        until(lambda: gateway.run("old").status == 200)
        assert gateway.put("x", native("x", "f2")).status == 201
        assert gateway.run("x").json() == "f2"
        assert gateway.put("y", pipeline("f3")).status == 201
        assert server.cli("GET", "fnkit:pipeline:y").decode() == pipeline("f3")
        server.kill()
        until(lambda: "degraded" in gateway.api("GET", "/readyz").json())
        assert gateway.run("x").json() == "f2"
        assert gateway.run("nobody").status == 404, "the store was read once"
        assert gateway.put("x", pipeline("f4")).status == 503
        assert gateway.show("x").status == 200
        server.start()
        until(lambda: "degraded" not in gateway.api("GET", "/readyz").json())
        assert gateway.put("x", pipeline("f4")).status == 200
        assert gateway.run("x").json() == "f4"
        server.cli("SET", "legato:flow:x", native("x", "f5"))
        until(lambda: gateway.run("x").status == 503)
        assert "defined 2 times" in gateway.run("x").json()["errors"][0]["detail"]
        assert gateway.put("x", pipeline("f6")).status == 200, "writing leaves one of them"
        assert gateway.run("x").json() == "f6"
        assert server.cli("EXISTS", "legato:flow:x") == 0
        assert gateway.delete("x").status == 204


def test_a_valkey_that_comes_back_empty(start: Start, tmp_path: Path) -> None:
    """What it held is served from memory, until it is defined anew or deleted."""
    with ValkeyServer(tmp_path / "valkey") as server:
        gateway = start(variables={"CACHE_URL": server.url})
        beside = start(variables={"CACHE_URL": server.url})
        for name in ("x", "y", "z", "native"):
            assert gateway.put(name, pipeline("f1")).status == 201
        until(lambda: all(beside.run(name).status == 200 for name in ("x", "y", "z", "native")))
        tag = gateway.show("x").fields["etag"]
        server.kill()
        server.start()
        for each in (gateway, beside):
            until(lambda each=each: all("note" in each.show(name).json() for name in ("x", "y", "z", "native")))
        assert "came back without it" in gateway.show("y").json()["note"]
        assert len(gateway.api("GET", "/readyz").json()["degraded"]) == 4
        assert gateway.run("x").json() == "f1"
        assert gateway.put("x", pipeline("f2"), {"if-match": '"other"'}).status == 412
        assert gateway.put("x", pipeline("f1"), {"if-match": tag}).status == 200, "it is what was read"
        assert "note" not in gateway.show("x").json()
        assert gateway.put("x", pipeline("f1"), {"if-none-match": "*"}).status == 412
        assert gateway.put("native", native("native", "f2")).status == 200, "in the other language"
        assert gateway.run("native").json() == "f2"
        until(lambda: beside.run("native").json() == "f2")
        assert gateway.delete("y").status == 204
        for each in (gateway, beside):
            until(lambda each=each: each.run("y").status == 404)
            assert each.show("y").status == 404
        assert gateway.put("z", pipeline("f2")).status == 200
        assert gateway.run("z").json() == "f2"
        for each in (gateway, beside):
            until(lambda each=each: "degraded" not in each.api("GET", "/readyz").json())
            each.stop()


def test_the_database_s_folder_may_be_anywhere(start: Start, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    gateway = start(store=f"sqlite:{tmp_path / 'elsewhere' / 'x.db'}")
    assert gateway.put("x", pipeline("f1")).status == 201
    assert not (gateway.folder / "legato.db").exists()
    assert (tmp_path / "elsewhere" / "x.db").exists()
