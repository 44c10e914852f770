"""examples/profile-picture: bytes, a failure that the flow words, and what is done whatever happens."""

from __future__ import annotations

import pytest

from tests.examples.project import Example, Functions, Said, until

EXAMPLE = "profile-picture"
ONE, TWO = b"\x89TOY\xfe", b"\x89TOY\xfe\xfe"
DONE = ONE + b"+colour+64px"


def upload(example: Example, flow: str, picture: bytes, content_type: str = "image/x-toy") -> Said:
    return example.ask("POST", f"/orchestrate/{flow}", picture, {"content-type": content_type})


def test_readme(example: Example) -> None:
    example.follow_readme()


def test_bytes_stay_bytes(example: Example, functions: Functions) -> None:
    said = upload(example, "upload", ONE)
    assert (said.status, said.headers["content-type"], said.body) == (200, "application/octet-stream", DONE)
    assert functions.called == ["store-raw", "face-detect", "colorize", "resize", "delete-raw"]
    bodies = {call.function: (call.body, call.headers.get("content-type")) for call in functions.calls}
    assert bodies["store-raw"] == bodies["face-detect"] == bodies["colorize"] == (ONE, "image/x-toy")


@pytest.mark.parametrize("flow", ["upload", "upload-graph"])
def test_two_faces(example: Example, functions: Functions, flow: str) -> None:
    said = upload(example, flow, TWO)
    assert (said.status, said.json().keys()) == (422, {"error"})
    assert "2" in said.json()["error"]
    assert "resize" not in functions.called
    assert "delete-raw" in functions.called


@pytest.mark.parametrize("flow", ["upload", "upload-graph"])
def test_the_raw_picture_is_deleted(example: Example, functions: Functions, flow: str) -> None:
    functions.hangs_up("colorize")
    said = upload(example, flow, ONE)
    assert said.status == 502
    assert list(said.json()) == ["error"]
    deleted = next(call for call in functions.calls if call.function == "delete-raw")
    assert functions.called[0] == "store-raw"
    assert (deleted.method, deleted.body) == ("DELETE", b"")
    assert deleted.path.startswith("/raw-")


@pytest.mark.parametrize("flow", ["upload", "upload-later", "upload-graph"])
def test_nothing_is_deleted_that_was_not_stored(example: Example, functions: Functions, flow: str) -> None:
    said = upload(example, flow, b"GIF89a", "image/gif")
    assert said.status == 502
    assert functions.called == ["store-raw"]


def test_graph(example: Example, functions: Functions) -> None:
    functions.meet("face-detect", "colorize")
    said = upload(example, "upload-graph", ONE)
    assert (said.status, said.json()["bytes"]) == (200, len(DONE))
    assert functions.called[0] == "store-raw"
    assert functions.called[3:] == ["resize", "store-profile", "delete-raw"]
    stored = functions.calls[4]
    assert (stored.body, stored.query) == (DONE, {"faces": "1"})


def test_later(example: Example, functions: Functions) -> None:
    said = upload(example, "upload-later", ONE)
    key = said.json()["accepted"]
    assert (said.status, said.headers["location"]) == (202, f"/pictures/{key}")
    functions.wait_for("delete-raw")
    put = next(call for call in functions.calls if call.function == "store-profile")
    assert (put.method, put.path, put.body) == ("PUT", f"/{key}", DONE)


def test_later_and_failing(example: Example, functions: Functions) -> None:
    """The caller has its answer; the user is told, and the raw picture is gone."""
    said = upload(example, "upload-later", TWO)
    assert said.status == 202
    functions.wait_for("delete-raw")
    assert functions.called == ["store-raw", "face-detect", "tell-user", "delete-raw"]
    assert functions.sent("tell-user") == [{"key": said.json()["accepted"], "error": "not one face but 2"}]
    assert until(lambda: example.gateway.metric("legato_runs_active") == 0)
