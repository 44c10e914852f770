"""A foreach: steps for each item, with a window of items in flight."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add
from typing import TYPE_CHECKING, Literal

import msgspec

from legato.errors import NotJSON
from legato.kernel.calls import Flowing, Forked, LinkedStep, Placed, made, mistake
from legato.kernel.frame import error_document, inner_frame, together
from legato.kernel.modified import Maker
from legato.kernel.scheduler import Fiber, Join, StepFailed
from legato.kernel.trail import Trail, unwind
from legato.model.flow import MAX_ITEMS
from legato.model.payload import JSON, MAX_BYTES, Payload, too_large

if TYPE_CHECKING:
    from legato.kernel.frame import Frame
    from legato.kernel.run import Run

SHOWN = 200  # characters of an expression that a message shows
_KINDS = {b'"': "text", b"n": "null", b"t": "a boolean", b"f": "a boolean"}  # by the first byte

_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

# Steps of items that are done without a wait, a few milliseconds; then the host has a turn, for others and for the
# run's own deadline. What the pause depends on is the order of deliveries, so that a replay pauses there, too.
WORK_IN_A_TURN = 1000


class Tolerance(msgspec.Struct, frozen=True):
    """How many items may fail: see model.steps.ForeachStep."""

    count: int = 0
    percent: float = 0.0
    min_successful: int | None = None
    all: bool = False

    def of(self, items: int) -> int:
        """How many of so many items may fail; below 0 where even none would be too many."""
        if self.all:
            return items
        if self.min_successful is not None:
            return items - self.min_successful
        # In whole millionths, as many as can be written: 64.6 % of 500 is less than 323 in floating point.
        return max(self.count, items * round(self.percent * 1_000_000) // 100_000_000)


class LinkedForeach(Forked):
    """Steps for each item of a list or an object."""

    __slots__ = ("body", "collect", "concurrency", "over", "place", "tolerance", "undoable", "weight", "written")

    def __init__(
        self,
        path: str,
        over: Maker,
        written: str,
        body: LinkedStep,
        concurrency: int,
        tolerance: Tolerance,
        collect: Literal["values", "outcomes", "object"],
        weight: int,
    ) -> None:
        self.place = Placed(path)
        self.weight = weight  # how many steps an item takes at the most, those of loops within it not counted
        self.over = over
        self.written = f"`{written}`" if len(written) <= SHOWN else "this"  # as it is named in messages
        self.body = body
        self.concurrency = concurrency
        self.tolerance = tolerance
        self.collect: Literal["values", "outcomes", "object"] = collect
        self.undoable = body.undoable

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """Run the body for each item; the value is the list of results in order."""
        assert frame is not None
        frame.value, frame.where = value, self.place.of(frame)
        over = made(self.over.payload, frame)
        keys, items = self._items(over, frame.where)
        spare = self.tolerance.of(len(items))
        if spare < 0:
            detail = f"{len(items)} items cannot give the {self.tolerance.min_successful} successes of `min_successful`"
            raise mistake(detail, frame.where)
        trails: list[Trail] = []
        if self.undoable:
            together(frame, trails, self.concurrency)  # undone with no more of them at a time than were done
        work = _Work(self, run, frame, keys, items, spare, trails)
        if self.concurrency == 1 or len(items) == 1:
            yield from work.go(fiber)
        elif items:
            workers = [run.spawn(fiber, work.go) for _ in range(min(self.concurrency, len(items)))]
            join = Join.of(workers)
            yield join
            if join.failed:
                first = next(worker.error for worker in workers if worker.error is not None)
                run.cancel_nodes(workers, "cancelled")
                yield Join.of(workers, eager=False)
                raise first
        return work.collected()

    def _items(self, over: Payload, path: str) -> tuple[list[str] | None, Sequence[bytes | msgspec.Raw]]:
        """(keys of an object, items), not decoded."""
        try:
            document = over.json()
            first = document.lstrip()[:1]
            if first == b"[":
                keys, items = None, _list(document)
            elif first == b"{":
                entries = _object(document)
                keys = list(entries)
                items = [b'{"key":%b,"value":%b}' % (msgspec.json.encode(k), bytes(v)) for k, v in entries.items()]
            else:
                kind = _KINDS.get(first, "a number")
                raise mistake(f"`foreach` goes over a list or an object, and {self.written} is {kind}", path)
        except NotJSON as error:
            detail = f"`foreach` goes over a list or an object, and {self.written} cannot be read: {error}"
            raise mistake(detail, path) from None
        if len(items) > MAX_ITEMS:
            raise mistake(f"`foreach` goes over {len(items)} items, more than {MAX_ITEMS}", path)
        return keys, items


class _Work:
    """The items of one foreach, taken one by one by each of its workers."""

    __slots__ = ("_each", "_frame", "_items", "_keys", "_next", "_results", "_room", "_run", "_spare", "_trails")

    def __init__(
        self,
        each: LinkedForeach,
        run: Run,
        frame: Frame,
        keys: list[str] | None,
        items: Sequence[bytes | msgspec.Raw],
        spare: int,
        trails: list[Trail],
    ) -> None:
        self._each = each
        self._run = run
        self._frame = frame
        self._keys = None
        self._items = items
        self._room = MAX_BYTES - 1 - len(items)
        if keys is not None and each.collect == "object":
            self._keys = [msgspec.json.encode(key) + b":" for key in keys]
            self._room -= sum(map(len, self._keys))
        self._results: list[bytes] = [b"null"] * len(items)
        self._next = 0
        self._spare = spare
        self._trails = trails

    def go(self, fiber: Fiber) -> Flowing:
        """Take items until none is left."""
        body, frame, run = self._each.body, self._frame, self._run
        outcomes = self._each.collect == "outcomes"
        value = frame.value
        while (n := self._next) < len(self._items):
            self._next = n + 1
            document = bytes(self._items[n])
            item = Payload(JSON, (document,), len(document), _json=document)
            inner, trail = inner_frame(run, frame, body.undoable, item)
            inner.of_item(item, n)
            if trail is not None:
                self._trails.append(trail)
            try:
                value = yield from body.go(run, fiber, item, inner)
                result = self._part(value, inner)
            except StepFailed as error:
                if not self._spare:
                    raise
                self._spare -= 1
                failure = error.taken()
                if trail:
                    yield from unwind(run, fiber, trail, failure.undo, 0, failure)
                run.spared(failure.path, failure)
                result = (
                    b'{"ok":false,"error":%b}' % msgspec.json.encode(error_document(failure)) if outcomes else b"null"
                )
            else:
                if outcomes:
                    result = b'{"ok":true,"value":%b}' % result
            self._results[n] = result
            self._room -= len(result)
            if self._room < 0:
                detail = too_large(f"the list of results, at item {n} with its {len(result):,} bytes,")
                raise mistake(detail, self._each.place.of(frame))
            if run.worked(self._each.weight) >= WORK_IN_A_TURN:
                yield run.sleep(fiber, f"{self._each.place.of(frame)}[{n}]/pause", 0.0)
        return value

    def _part(self, value: Payload, inner: Frame) -> bytes:
        try:
            return value.json()
        except NotJSON as error:
            path = f"{self._each.place.of(self._frame)}[{inner.index}]"
            raise mistake(f"the item's result cannot be joined: {error}", path) from None

    def collected(self) -> Payload:
        """The results, in order."""
        if self._keys is not None:
            body = b"{%b}" % b",".join(map(add, self._keys, self._results))
        else:
            results = self._results or [b""]
            results[0] = b"[" + results[0]  # a large list would be copied once more to be put between brackets
            results[-1] += b"]"
            body = b",".join(results)
        return Payload(JSON, (body,), len(body), _json=body)
