"""Before anything is measured, each contender shows that it does the work, and Legato that its features are on.

In sequence, each function must get the answer of the one before; in parallel, the three calls must overlap. Legato must
refuse a caller without a token, name the run in its answer, send keys and trace headers, and count in /metrics.
"""

from http.client import HTTPException

from bench.contenders import CONTENDERS
from bench.functions.recorder import Call, Recorder, recording
from bench.plan import ANSWERS, EXPECTED, NAMES, REQUEST
from bench.process import Running
from bench.result import Section
from bench.stage import Stage, ask, path_of

CALL_HEADERS = ("idempotency-key", "traceparent")
ANSWER_HEADERS = ("legato-run", "traceparent")


def measure(stage: Stage) -> Section:
    section = Section("Each contender does the work (checked before measuring)", ("contender", "shown"))
    with stage.scene() as scene, recording() as recorder:
        running = scene.start_all(tuple(CONTENDERS), recorder.port)
        for name in CONTENDERS:
            if name in running:
                try:
                    faults = _faults(running[name], recorder)
                except (OSError, HTTPException) as problem:
                    faults = [f"does not answer: {problem!r}"]
                section.problems += [f"{name}: {fault}" for fault in faults]
                shown = "yes" if not faults else "NO: " + "; ".join(faults)
            else:
                shown = f"absent: {stage.absent[name]}"
            section.rows.append([CONTENDERS[name].title, shown])
            section.data[name] = shown
    return section


def _faults(running: Running, recorder: Recorder) -> list[str]:
    faults: list[str] = []
    for kind in EXPECTED:
        recorder.expect(parallel=kind == "parallel")
        answer = ask(running.port, "POST", path_of(running.name, kind), REQUEST)
        calls = sorted(recorder.calls, key=lambda call: call.name) if kind == "parallel" else list(recorder.calls)
        if (answer.status, answer.body) != (200, EXPECTED[kind]):
            faults.append(f"{kind}: answered {answer.status} {answer.body[:200]!r}")
        if [call.name for call in calls] != list(NAMES):
            faults.append(f"{kind}: called {[call.name for call in calls]}")
        elif [call.body for call in calls] != _bodies(kind):
            faults.append(f"{kind}: passed on {[call.body for call in calls]}")
        if running.name == "legato":
            faults += [f"{kind}: answer without {name}" for name in ANSWER_HEADERS if name not in answer.headers]
            faults += _header_faults(kind, calls)
    recorder.expect(parallel=False)
    return faults + (_feature_faults(running) if running.name == "legato" else [])


def _bodies(kind: str) -> list[bytes]:
    return [REQUEST] * 3 if kind == "parallel" else [REQUEST, ANSWERS["a"], ANSWERS["b"]]


def _header_faults(kind: str, calls: list[Call]) -> list[str]:
    return [f"{kind}: call of {c.name} without {name}" for c in calls for name in CALL_HEADERS if name not in c.headers]


def _feature_faults(running: Running) -> list[str]:
    faults: list[str] = []
    anonymous = {"content-type": "application/json"}
    refused = ask(running.port, "POST", path_of(running.name, "sequence"), REQUEST, anonymous)
    if refused.status != 401:
        faults.append(f"a caller without a token got {refused.status}")
    metrics = ask(running.port, "GET", "/metrics").body.decode()
    counts = [line for line in metrics.splitlines() if line.startswith("legato_runs_total")]
    for flow in ("seq", "par"):
        if not any(f'"{flow}"' in line for line in counts):
            faults.append(f"/metrics does not count runs of {flow}")
    return faults
