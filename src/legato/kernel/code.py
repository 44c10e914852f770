"""Flows that are Python code: what drives their coroutines on the scheduler, and makes failures of what they raise.

The code waits for `Pending`s of its own run and for nothing else; who yields anything else is told so where it waits.
What users see of all this, names and policies, is `legato.builder.context`.
"""

from __future__ import annotations

import collections
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from inspect import isawaitable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, cast

from legato.errors import ComeAgain, ForeignAwait, LegatoError, NotJSON, Refused, StepError
from legato.kernel.calls import Flowing, Forked, Placed
from legato.kernel.code_run import CodeRun, Given
from legato.kernel.pending import Branch
from legato.kernel.scheduler import Cancelled, Fiber, Node, StepFailed
from legato.model.flow import MAX_DEPTH
from legato.model.outcome import Failure, Outcome
from legato.model.payload import EMPTY, Payload, json_payload

if TYPE_CHECKING:
    from legato.kernel.frame import Frame
    from legato.kernel.growth import Growth
    from legato.kernel.run import Run

Begin = Callable[[CodeRun, Payload], Awaitable[object]]

LAST_WORDS = 100  # awaits of a coroutine that was cancelled and goes on: then it is ended by force
_LIBRARY = str(collections.__file__).rpartition("collections")[0]  # where Python's own modules are

_INSTEAD = {
    "sleep": "await ctx.sleep(...)",
    "gather": "await ctx.gather(...)",
    "wait": "await ctx.gather(...) or ctx.select(...)",
    "as_completed": "await ctx.gather(...) or ctx.foreach(...)",
    "wait_for": "a step's `timeout`, or ctx.select(step, ctx.sleep(...))",
    "to_thread": "await ctx.python(function, value)",
    "run_in_executor": "await ctx.python(function, value)",
}
_OTHERWISE = "await ctx.call(...) for a function, ctx.python(function, value) for code that waits for other things"


class LinkedCode(Forked):
    """Code as a step: the root of a code-first flow, or such a flow within another."""

    __slots__ = ("begin", "durable", "flow", "forward", "growth", "place")
    undoable = True  # nobody knows beforehand

    def __init__(
        self, path: str, flow: str, begin: Begin, growth: Growth, durable: bool = False, forward: bool = False
    ) -> None:
        self.place = Placed(path)
        self.durable = durable
        self.forward = forward
        self.flow = flow
        self.begin = begin
        self.growth = growth

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """Call the code and drive what it gives."""
        assert frame is not None
        path = self.place.of(frame)
        branch = Branch(fiber, frame, path)
        code = CodeRun(run, self.flow, self.growth, Driven, frame.trail, self.durable, self.forward)
        return cast("Flowing", Driven(code, branch, lambda: self.begin(code, value)))


class Driven:
    """One coroutine of the code, as the coroutine of a fiber: what it waits for must be of its own run."""

    __slots__ = ("_begin", "_branch", "_code", "_coroutine", "_words", "result")

    def __init__(self, code: CodeRun, branch: Branch, begin: Callable[[], object]) -> None:
        self._code: CodeRun | None = code
        self._branch: Branch | None = branch
        self._begin: Callable[[], object] | None = begin
        self._coroutine: Coroutine[Node, Any, object] | None = None
        self._words = LAST_WORDS
        self.result: object = None

    def send(self, value: Payload | None) -> Node:
        """Go on with what it waited for. Raises StopIteration with the result as a payload, StepFailed, Cancelled."""
        coroutine = self._coroutine
        return self._go(self._started if coroutine is None else lambda: coroutine.send(value))

    def throw(self, error: BaseException, value: object = None, trace: TracebackType | None = None) -> Node:
        """Go on with what went wrong."""
        coroutine = self._coroutine
        if isinstance(error, Cancelled) and self._branch is not None and self._branch.fiber.reason is not None:
            self._words -= 1
        if coroutine is None or not self._words:  # it never began, or goes on and on
            self.close()
            raise error
        return self._go(lambda: coroutine.throw(error), error)

    def __iter__(self) -> Driven:
        return self

    def __next__(self) -> Node:
        return self.send(None)

    def close(self) -> None:
        """End it; what has not begun is never begun."""
        begin, code, branch = self._begin, self._code, self._branch
        given = begin.coroutine if isinstance(begin, Given) else self._coroutine
        self._end()
        if code is None or not isinstance(given, Coroutine):
            return
        before, code.current = code.current, branch
        try:
            cast("Coroutine[Any, Any, Any]", given).close()
        except Exception:  # it does not even end: nobody waits for it any more
            before = branch  # what it does when its memory is given back must yield, or it would go on for ever
        code.current, code.expected = before, None

    def _end(self) -> None:
        """Let go of the run: it knows the fiber, which knows this."""
        self._coroutine = self._begin = self._code = self._branch = None

    def _started(self) -> Node:
        begin, self._begin = self._begin, None
        assert begin is not None
        given = begin()
        if not isawaitable(given):
            raise TypeError(f"this gives {type(given).__name__}, nothing that can be awaited: write it as `async def`")
        self._coroutine = cast("Any", given if isinstance(given, Coroutine) else _await(given))
        assert self._coroutine is not None
        return self._coroutine.send(None)

    def _go(self, resume: Callable[[], object], thrown: BaseException | None = None) -> Node:
        code, branch = self._code, self._branch
        assert code is not None
        assert branch is not None
        while True:
            before, code.current = code.current, branch
            try:
                yielded = resume()
            except StopIteration as stop:
                self._end()
                raise StopIteration(self._finished(branch, stop.value)) from None
            except (KeyboardInterrupt, SystemExit):
                raise
            except (Cancelled, StepFailed):
                self._end()
                raise
            except BaseException as error:
                self._end()
                raise StepFailed(self._told(error, code, branch)) from None
            finally:
                code.current = before
                _forget_frames(thrown)
            expected, code.expected = code.expected, None
            if isinstance(yielded, Node) and yielded is expected:
                return yielded
            coroutine = self._coroutine
            thrown = ForeignAwait(_explained(yielded, coroutine))
            _withdraw(yielded, coroutine)
            resume = _thrower(coroutine, thrown)

    def _told(self, error: BaseException, code: CodeRun, branch: Branch) -> Failure:
        """What the code raised as a failure."""
        failure = failure_of(error, branch.path)
        failure.undo += code.undone_for(error)
        if not isinstance(error, StepError | Refused | ComeAgain):
            code.growth.tell(error)
        _forget_frames(error)
        return failure

    def _finished(self, branch: Branch, result: object) -> Payload:
        self.result = result
        if branch.is_inner:
            return EMPTY  # what branches give stays Python's
        try:
            return payload_of(result)
        except NotJSON as error:
            detail = f"the flow's result: {error}"
            raise StepFailed(Failure("mistake", Outcome("unknown", detail=detail), branch.path)) from None


async def _await(given: Awaitable[object]) -> object:
    return await given


def _forget_frames(error: BaseException | None) -> None:
    """Let an exception go of the frames that it has come through, which know the run: nobody would free them."""
    for _ in range(MAX_DEPTH):
        if error is None:
            return
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _thrower(coroutine: Any, error: BaseException) -> Callable[[], Node]:
    return lambda: coroutine.throw(error)


def payload_of(value: object) -> Payload:
    """What the code gives as a payload: nothing for None, bytes and payloads as they are, else JSON. Raises NotJSON."""
    if value is None:
        return EMPTY
    if isinstance(value, Payload):
        return value
    if isinstance(value, bytes):
        return Payload(b"application/octet-stream", (value,), len(value))
    return json_payload(value)


def failure_of(error: BaseException, path: str) -> Failure:
    """Why a flow fails by what its code raised.

    What an unknown exception says may be meant for nobody outside; it goes to the log.
    """
    if isinstance(error, StepError) and isinstance(error.failure, Failure):
        return error.failure
    text = str(error).encode("utf-8", "replace").decode()
    if isinstance(error, Refused | ComeAgain | StepError):
        failure = Failure("stated", Outcome("refused", detail=text), path)
        failure.answer = error.status if isinstance(error, Refused) else 503 if isinstance(error, ComeAgain) else 500
        return failure
    name, place = type(error).__name__, _place(error.__traceback__)
    if isinstance(error, LegatoError):
        text = text if isinstance(error, ForeignAwait) else f"{name}: {text}"
        return Failure("mistake", Outcome("unknown", detail=f"{text}{place}"), path)
    if isinstance(error, RuntimeError) and _is_of_asyncio(error.__traceback__):
        detail = f"a flow runs in no task of asyncio, and cannot use this of it ({text}): write {_OTHERWISE}{place}"
        return Failure("mistake", Outcome("unknown", detail=detail), path)
    outcome = Outcome("unknown", detail=f"the flow's code raised {name}", private=f"{name}: {text}{place}")
    return Failure("mistake", outcome, path)


def _place(trace: TracebackType | None) -> str:
    """The innermost line of code that is neither a library's nor ours."""
    place = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if _is_users(code.co_filename, str(trace.tb_frame.f_globals.get("__name__", ""))):
            place = f" ({code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}, in {code.co_qualname})"
        trace = trace.tb_next
    return place


def _is_of_asyncio(trace: TracebackType | None) -> bool:
    file = ""
    while trace is not None:
        file, trace = trace.tb_frame.f_code.co_filename, trace.tb_next
    return file.startswith(f"{_LIBRARY}asyncio/")


def _is_users(file: str, module: str) -> bool:
    if module.partition(".")[0] == "legato" or "/site-packages/" in file:
        return False
    return not file.startswith((_LIBRARY, "<frozen"))


def _explained(yielded: object, coroutine: object) -> str:
    """What was awaited, by name, and what to write instead."""
    name = next((each for each in _awaited(coroutine) if each in _INSTEAD), "")
    if type(yielded).__name__ == "_GatheringFuture":
        name = "gather"
    elif yielded is None:
        name = "sleep"
    instead = _INSTEAD.get(name, _OTHERWISE)
    what = f"asyncio.{name}" if name else f"{type(yielded).__module__}.{type(yielded).__qualname__}"
    return f"a flow waits for its own steps only, not for {what}: write {instead}"


def _awaited(coroutine: object) -> list[str]:
    """The names of what a coroutine waits for of Python's own library, the innermost first."""
    return [frame.f_code.co_qualname for frame in _library_frames(coroutine)][::-1]


def _library_frames(coroutine: object) -> list[FrameType]:
    """The frames of the library's coroutines that one waits for, the outermost first."""
    frames: list[FrameType] = []
    for _ in range(MAX_DEPTH):
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if isinstance(frame, FrameType) and frame.f_code.co_filename.startswith(_LIBRARY):
            frames.append(frame)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return frames


def _withdraw(yielded: object, coroutine: object) -> None:
    """Leave nothing behind in whatever loop it belongs to: futures, and those that the library made for them."""
    held = [each for frame in _library_frames(coroutine) for each in frame.f_locals.values()]
    for each in [yielded, *held]:
        several = cast("Iterable[object]", each) if isinstance(each, list | tuple | set | frozenset) else [each]
        for future in several:
            if hasattr(future, "_asyncio_future_blocking") and not cast("Any", future).done():
                cast("Any", future)._asyncio_future_blocking = False
                cast("Any", future).cancel()
                cast("Any", future).add_done_callback(_heard)


def _heard(future: Any) -> None:
    """Know how a future ended, which is told as nobody's problem else."""
    if not future.cancelled():
        future.exception()
