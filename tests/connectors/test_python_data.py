"""Large data of runs: whose it is, how long it is there, and what code that asks wrongly is told."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from legato.connectors.python import PythonConnector
from legato.connectors.python_context import PythonContext
from legato.connectors.python_data import DataOfRuns, RunData, clear_run
from legato.errors import NoSuchData, StoreUnavailable
from legato.model.function import Function
from legato.model.outcome import Outcome
from legato.model.payload import json_payload
from legato.model.steps import CallStep
from legato.stores.blobs_folder import FolderData
from tests.connectors.attempts import Attempt, View

HERE = "tests.connectors.test_python_data"
RUN = View().id


class Broken(FolderData):
    """A store that lists and does not delete."""

    def delete(self, key: str) -> None:
        raise StoreUnavailable("pulled the plug")


class Plain(FolderData):
    """A user's own, which raises a plain KeyError."""

    def get(self, key: str) -> bytes:
        raise KeyError(key)


def put(value: str, context: PythonContext) -> Any:
    context.data.put("report", value.encode())
    context.data.put("parts/1", b"x" * 100_000)
    context.data.kept.put("last", value.encode())
    return context.data.keys()


def get(value: Any, context: PythonContext) -> Any:
    return [context.data.get("report").decode(), context.data.kept.get("last").decode(), context.data.kept.keys()]


def put_and_fail(value: Any, context: PythonContext) -> Any:
    context.data.put("report", b"x")
    raise ValueError("no")


async def blocks(value: str, context: PythonContext) -> Any:
    act = {"put": lambda: context.data.put("a", b""), "get": lambda: context.data.get("a")}
    act |= {"delete": lambda: context.data.delete("a"), "keys": context.data.keys, "kept": context.data.kept.keys}
    try:
        act[value]()
    except RuntimeError as error:
        return str(error)


async def put_in_a_thread(value: Any, context: PythonContext) -> Any:
    await asyncio.to_thread(context.data.put, "a", b"from a thread")
    return (await asyncio.to_thread(context.data.get, "a")).decode()


class Calls:
    """Calls code of this module, of any runs, by one connector."""

    def __init__(self, folder: Path, store: Any = None) -> None:
        self.store = FolderData(folder) if store is None else store
        self.connector = PythonConnector(data=self.store)

    async def __call__(self, code: str, value: object = None, run: str = RUN) -> Outcome:
        attempt = Attempt(json_payload(value))
        attempt.view.id = run
        name = f"{HERE}:{code}"
        self.connector.bind(Function(name=name, python=name), CallStep(function=name)).begin(attempt)
        return await attempt.end()


async def value_of(outcome: Any) -> Any:
    outcome = await outcome
    assert outcome.kind == "ok", outcome
    return outcome.payload.value()


def test_data_is_the_run_s_own_and_what_is_kept_is_everybody_s(tmp_path: Path) -> None:
    async def main() -> None:
        calls = Calls(tmp_path)
        assert await value_of(calls("put", "one")) == ["parts/1", "report"]
        assert await value_of(calls("put", "two", "run-2")) == ["parts/1", "report"]
        assert await value_of(calls("get")) == ["one", "two", ["last"]]
        assert sorted(calls.store.keys("")) == [
            "kept/last", f"runs/{RUN}/parts/1", f"runs/{RUN}/report", "runs/run-2/parts/1", "runs/run-2/report",
        ]  # fmt: skip
        await calls.connector.close()

    asyncio.run(main())


def test_what_is_put_stays_when_the_call_fails(tmp_path: Path) -> None:
    async def main() -> None:
        calls = Calls(tmp_path)
        assert (await calls("put_and_fail")).kind == "unknown"
        assert calls.store.get(f"runs/{RUN}/report") == b"x"
        await calls.connector.close()

    asyncio.run(main())


def test_data_goes_with_the_run_alone(tmp_path: Path) -> None:
    async def main() -> None:
        calls = Calls(tmp_path)
        for run in ("run-1", "run-10", "run-2"):
            await value_of(calls("put", "x", run))
        calls.connector.run_ended("run-1")
        calls.connector.run_ended("run-3")
        await calls.connector.close()  # waits for what is being deleted
        assert sorted({key.partition("/")[0] for key in calls.store.keys("")}) == ["kept", "runs"]
        assert {key.split("/")[1] for key in calls.store.keys("runs")} == {"run-10", "run-2"}
        calls.connector.run_ended("run-2")  # too late, and nothing is raised
        assert {key.split("/")[1] for key in calls.store.keys("runs")} == {"run-10", "run-2"}

    asyncio.run(main())


def test_only_a_run_that_has_put_data_is_looked_for(tmp_path: Path) -> None:
    listed: list[str] = []

    class Noting(FolderData):
        def keys(self, folder: str) -> Any:
            listed.append(folder)
            return super().keys(folder)

    async def main() -> None:
        store = Noting(tmp_path)
        store.put("runs/before/a", b"x")
        calls = Calls(tmp_path, store)
        await calls("put_and_fail", None, "putting")
        for run in ("putting", "never", "putting", "before"):
            calls.connector.run_ended(run)
        calls.connector.run_ended("before", recovered=True)
        await calls.connector.close()
        assert sorted(listed) == ["runs/before", "runs/putting"]
        assert [*store.keys("")] == []

    asyncio.run(main())


def test_what_cannot_be_deleted_is_logged_and_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        calls = Calls(tmp_path, Broken(tmp_path))
        await value_of(calls("put", "x", "run-1"))
        calls.connector.run_ended("run-1")
        await calls.connector.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert caplog.messages == ["the data of run run-1 stays in the store: StoreUnavailable: pulled the plug"]


@pytest.mark.parametrize("method", ["put", "get", "delete", "keys", "kept"])
def test_who_would_hold_up_the_gateway_is_told_how_not_to(tmp_path: Path, method: str) -> None:
    async def main() -> None:
        calls = Calls(tmp_path)
        said = await value_of(calls("blocks", method))
        name = "keys" if method == "kept" else method
        assert said == f"data.{name} blocks: in an `async def`, await asyncio.to_thread(context.data.{name}, ...)"
        assert await value_of(calls("put_in_a_thread")) == "from a thread"
        await calls.connector.close()

    asyncio.run(main())


def test_without_a_store_code_is_told() -> None:
    async def main() -> None:
        calls = Calls(Path(), "unused")
        calls.connector = PythonConnector()
        outcome = await calls("put", "x")
        assert outcome.private == (
            "LegatoError: there is no store for `context.data` here: run the flow in a gateway that has one"
        )
        calls.connector.run_ended(RUN)
        await calls.connector.close()

    asyncio.run(main())


def test_what_is_not_there_or_no_data(tmp_path: Path) -> None:
    data = RunData(FolderData(tmp_path), "run-1")
    with pytest.raises(NoSuchData, match=r"there is no runs/run-1/a$"):
        data.get("a")
    with pytest.raises(NoSuchData, match=r"^there is no runs/run-1/a$"):
        RunData(Plain(tmp_path), "run-1").get("a")
    data.delete("a")
    for wrong in ("text", None, 5, [1]):
        with pytest.raises(TypeError, match=r"^data.put\('a'\): data is bytes, not \w+: encode it$"):
            data.put("a", wrong)  # type: ignore[arg-type]
    for key in ("", "../run-2/a", "/a", "a b", 5):
        for act in (
            lambda key=key: data.put(key, b""),
            lambda key=key: data.get(key),
            lambda key=key: data.delete(key),
        ):
            with pytest.raises(ValueError, match="is no key"):
                act()
    assert data.keys() == data.kept.keys() == []


def test_a_key_that_is_too_long_with_its_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too long"):
        RunData(FolderData(tmp_path), RUN).put("/".join(["x" * 120] * 4), b"")


def test_any_bytes_are_data(tmp_path: Path) -> None:
    data = RunData(FolderData(tmp_path), "run-1")
    for each in (b"\0\xff", bytearray(b"array"), memoryview(b"a view")[2:], b""):
        data.put("a", each)
        assert data.get("a") == bytes(each)


def test_a_run_is_cleared_as_often_as_one_likes(tmp_path: Path) -> None:
    store = FolderData(tmp_path)
    data = DataOfRuns(store).of("run-1")
    for number in range(3):
        data.put(f"part/{number}", b"x")
    data.kept.put("a", b"x")
    assert [clear_run(store, "run-1"), clear_run(store, "run-1"), clear_run(store, "never")] == [3, 0, 0]
    assert [*store.keys("")] == ["kept/a"]
