"""What Python code is given beside the value, if it asks: the run it is called in, and values shared with other steps.

Plain data for one call. What it shares changes the run when the call has ended well; `data` is stored at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from legato.connectors.python_data import RunData
from legato.errors import LegatoError, NotJSON
from legato.kernel.run import MAX_SHARED, MAX_SHARED_BYTES
from legato.model.payload import json_payload
from legato.ports import Attempt

LONGEST_KEY = 128  # characters
LARGEST = 64 * 1024  # bytes of one value as JSON: all of them are kept as long as the run, and shown with it


class RequestFacts(msgspec.Struct, frozen=True):
    """The request that started the run: its method, and its path below the flow's, empty or with a slash first."""

    method: str
    path: str


class PythonContext:
    """The context of one call of Python code.

    It is given to a parameter that is called `context` or annotated as `PythonContext`, and is not the first.
    """

    __slots__ = ("_caller", "_changes", "_data", "_shared", "flow", "node", "run_id", "state")

    def __init__(self, attempt: Attempt, data: Callable[[str], RunData] | None = None) -> None:
        view = attempt.view
        self.run_id = view.id
        self.flow = view.flow
        self.state = view.state  # see ports.RunView
        self.node = attempt.path  # the call's path: `ship.items[3].pick`
        self._caller = attempt.caller
        self._data = data
        self._shared = dict(view.shared)  # as they are when the call begins; others may go on meanwhile
        self._changes: dict[str, bytes | None] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """A shared value, decoded anew each time; `default` where there is none."""
        value = self._shared.get(key)
        return default if value is None else msgspec.json.decode(value)

    def set(self, key: str, value: object) -> None:
        """Share a value with the steps after this one; they have it if this call ends well.

        Raises TypeError for what JSON cannot hold, ValueError beyond 64 KiB, 256 values or 1 MiB of them together.
        """
        if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or not key.isprintable():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"a shared value has a printable name of 1 to {LONGEST_KEY} characters, not {key!a:.200}")
        try:
            body = json_payload(value).body
        except NotJSON as error:
            raise TypeError(f"context.set({key!r}): {error}") from None
        if len(body) > LARGEST:
            raise ValueError(f"context.set({key!r}): {len(body)} bytes of JSON, more than {LARGEST}: answer with it")
        others = [len(other) for name, other in self._shared.items() if name != key]
        if len(others) >= MAX_SHARED:
            raise ValueError(f"context.set({key!r}): {MAX_SHARED} values are shared already: delete one")
        if sum(others) + len(body) > MAX_SHARED_BYTES:
            raise ValueError(f"context.set({key!r}): more than {MAX_SHARED_BYTES} bytes would be shared: delete some")
        self._shared[key] = self._changes[key] = body

    def delete(self, key: str) -> None:
        """Share a value no longer; nothing where there is none."""
        if self._shared.pop(key, None) is not None:
            self._changes[key] = None

    @property
    def data(self) -> RunData:
        """The run's large data: bytes by name, not bound by the limits of what is shared."""
        if self._data is None:
            raise LegatoError("there is no store for `context.data` here: run the flow in a gateway that has one")
        return self._data(self.run_id)

    @property
    def query(self) -> Mapping[str, str]:
        """The request's parameters, the first of each name."""
        found: dict[str, str] = {}
        pairs = parse_qsl(self._caller.query.decode("latin-1"), keep_blank_values=True, errors="replace")
        for name, value in pairs:
            found.setdefault(name, value)
        return found

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers by lower-case name, the caller's credentials among them."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._caller.fields.items()}

    @property
    def request(self) -> RequestFacts:
        """The request itself."""
        return RequestFacts(self._caller.method.decode("latin-1"), self._caller.rest.decode("latin-1"))

    @property
    def changes(self) -> dict[str, bytes | None] | None:
        """What was shared and deleted, as `Outcome.shared` carries it."""
        return self._changes or None
