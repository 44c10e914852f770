"""How steps and their settings are said in a few words. Texts of authors become one line that nothing obeys."""

from __future__ import annotations

import msgspec

from legato.model.mapping import AS_IT_IS, Mapping, Shape
from legato.model.paths import natural_id
from legato.model.policy import Retry
from legato.model.steps import (
    CallStep,
    ChooseStep,
    FailStep,
    FlowStep,
    ForeachStep,
    GraphStep,
    OnError,
    ParallelStep,
    PublishStep,
    PythonStep,
    RespondStep,
    SequenceStep,
    SetStep,
    SleepStep,
    Step,
    UndoCall,
    WaitStep,
    kind_of,
)
from legato.pictures.parts import Part

LEAVES = frozenset({"call", "python", "set", "sleep", "wait", "publish", "respond", "fail", "flow"})  # kinds of steps

PIVOT = "pivot: after it nothing is undone"
AT_MOST_ONCE = "at most once: after a crash it is not called again"

_UNITS = (("d", 86400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0), ("ms", 0.001))


def said(text: str, limit: int = 1000) -> str:
    """Text on one line, without what a terminal or a browser would obey, at most `limit` characters."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split()))
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def duration(seconds: float) -> str:
    """Seconds as a file would have them: `150ms`, `1.5s`, `2m`."""
    for unit, size in _UNITS:
        number = seconds / size
        if number >= 1 and abs(number - round(number, 2)) < 1e-9 * number:
            return f"{round(number, 2):.12g}{unit}"
    return f"{seconds:.3f}s".replace(".000s", "s") if seconds >= 1 or not seconds else f"{seconds * 1000:.3g}ms"


def span(seconds: float) -> str:
    """Seconds as somebody says them: `2m 10.5s`."""
    if seconds < 60:
        return duration(seconds)
    parts: list[str] = []
    for unit, size in _UNITS[:3]:
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number:.0f}{unit}")
    if round(seconds, 3):
        parts.append(f"{round(seconds, 3):g}s")
    return " ".join(parts)


def condition(text: str) -> str:
    """A condition without the `${` and `}` around it."""
    bare = text.strip()
    if bare.startswith("${") and bare.endswith("}"):
        bare = bare[2:-1]
    return said(bare)


def value(mapping: Mapping) -> str:
    """A mapping as its author would write it, on one line."""
    if not isinstance(mapping, Shape):
        return plain(mapping.value)
    words: list[str] = []
    if mapping.under:
        words.append(f"under {mapping.under}")
    if mapping.pick:
        words.append(f"pick {', '.join(mapping.pick)}")
    if mapping.drop:
        words.append(f"drop {', '.join(mapping.drop)}")
    if mapping.rename:
        words.append("rename " + ", ".join(f"{old} to {new}" for old, new in mapping.rename.items()))
    if mapping.wrap:
        words.append(f"wrap {mapping.wrap}")
    return said("; ".join(words) or "as it is")


def plain(written: object) -> str:
    """A JSON value on one line; text without its quotes."""
    return said(written if isinstance(written, str) else msgspec.json.encode(written).decode())


def title(step: Step) -> str:
    """What a step does, in a word or two."""
    match step:
        case CallStep():
            return said(step.function)
        case PythonStep():
            return said(step.python)
        case FlowStep():
            return f"flow {said(step.flow)}"
        case SleepStep():
            return f"sleep {duration(step.sleep)}"
        case WaitStep():
            return f"wait for {said(step.wait)}"
        case PublishStep():
            return f"publish {said(step.publish)}"
        case RespondStep():
            return f"respond {step.status}"
        case FailStep():
            return f"fail {step.status}"
        case ForeachStep():
            return f"each of {said(condition(plain(step.over)), 60)}"
        case ChooseStep():
            return "choose all" if step.all else "choose"
        case SetStep() | SequenceStep() | ParallelStep() | GraphStep():
            return kind_of(step)


def named(part: Part) -> str:
    """What a step does, after its id where that says something more."""
    does = title(part.step)
    step: Step = msgspec.structs.replace(part.step, id="") if part.step.id else part.step
    return does if part.id == natural_id(step) else f"{part.id}: {does}"


def lines(step: Step) -> list[str]:
    """What else is worth a look, the most important first."""
    found = [PIVOT] if step.pivot else []
    found += [f"when {condition(step.when)}"] if step.when else []
    found += _own_lines(step)
    if step.timeout is not None and not isinstance(step, WaitStep):
        found.append(f"timeout {duration(step.timeout)}")
    if isinstance(step, CallStep | PythonStep) and step.retry is not None:
        found.append(retry(step.retry))
    if isinstance(step, CallStep | PythonStep) and step.at_most_once:
        found.append(AT_MOST_ONCE)
    if isinstance(step, CallStep) and step.hedge is not None:
        found.append(f"again after {duration(step.hedge.delay)}, {step.hedge.attempts} at once")
    if step.on_error is not None and step.on_error.action != "steps":
        found.append(on_error(step.on_error))
    return found


def mappings(step: Step) -> list[str]:
    """What a step is given and what is made of its result, where it says so; what a signal must be."""
    found = [f"input {value(step.input)}"] if step.input not in (None, AS_IT_IS) else []
    if step.output is not None:
        found.append(f"output {value(step.output)}")
    if isinstance(step, WaitStep) and step.schema is not None:
        found.append(f"schema {plain(step.schema)}")
    return found


def _own_lines(step: Step) -> list[str]:
    match step:
        case CallStep():
            return [request(step)] if request(step) != "POST" else []
        case SetStep():
            return [value(step.set)]
        case RespondStep():
            return [value(step.respond)]
        case FailStep():
            return [said(step.fail)]
        case WaitStep():
            return [patience(step)]
        case ForeachStep():
            return _of_loop(step)
        case ParallelStep():
            return _of_join(step)
        case _:
            return []


def request(step: CallStep | UndoCall) -> str:
    """The method, and what is appended to the function's URL: `GET /v1/latest?limit=5`."""
    query = "&".join(f"{name}={plain(each)}" for name, each in step.query.items())
    return said(f"{step.method} {step.path}{'?' if query else ''}{query}")


def retry(policy: Retry) -> str:
    """`5 attempts, waits from 200ms to 10s`."""
    if policy.attempts == 1:
        return "1 attempt"
    longest = max(policy.next_delay(n, 1.0, None) for n in range(1, policy.attempts))
    least = duration(policy.backoff)
    waits = f"waits up to {least}" if longest <= policy.backoff else f"waits up to {least}, then {duration(longest)}"
    return f"{policy.attempts} attempts, {waits}"


def on_error(what: OnError) -> str:
    """What follows a failure, where that is no step."""
    if what.action == "value" and what.value is not None:
        return f"on error: {value(what.value)}"
    return "on error: skip"


def patience(step: WaitStep) -> str:
    """How long a wait lasts."""
    if step.timeout is None:
        return "as long as it takes"
    after = "it fails" if step.default is None else value(step.default)
    return f"{duration(step.timeout)} at most, then {after}"


def _of_loop(step: ForeachStep) -> list[str]:
    found = [f"{step.concurrency} at a time" if step.concurrency > 1 else "one at a time"]
    if step.min_successful is not None:
        found.append(f"{step.min_successful} must succeed")
    elif step.tolerate_percent:
        found.append(f"{step.tolerate_percent:g}% may fail")
    elif step.tolerate:
        found.append(f"{step.tolerate} may fail")
    if step.collect != "values":
        found.append(f"collect {step.collect}")
    return found


def _of_join(step: ParallelStep) -> list[str]:
    found: list[str] = []
    if step.quorum:
        found.append(f"{step.quorum} of {len(step.branches)} must succeed")
    if step.merge in ("flat", "first"):
        prefer = f", preferring {', '.join(step.prefer)}" if step.prefer else ""
        found.append(f"merge {step.merge}{prefer}")
    elif step.merge:
        found.append(f"merge {condition(step.merge)}")
    return found
