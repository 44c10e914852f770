"""`python -m demo`: starts functions and gateways, sends requests, shows and checks what comes back.

Exit: 0 if every answer was what it should be, 1 if not.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any, cast

from demo.functions import FUNCTIONS
from demo.processes import Call, Function, Gateway, Trouble
from demo.scenes import ADMIN_TOKEN, FNKIT, LIVE, NATIVE, TOKEN, Command, Scene
from demo.show import calls_table, curl, pretty, say
from demo.survival import survive

PATIENCE = 2.0  # seconds for a function's own word about a call that has been answered


class Demo:
    """Functions and gateways while they run. `wrong` collects what was not as it should be."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="legato-demo-")))
        self._functions: dict[str, Function] = {}
        self.wrong: list[str] = []

    def start_functions(self) -> None:
        for name in FUNCTIONS:
            function = self._functions[name] = Function(name)
            self._stack.callback(function.stop)
        self._environment = {function.variable: function.port() for function in self._functions.values()}
        self._environment |= {"LEGATO_TOKEN": TOKEN, "LEGATO_ADMIN_TOKEN": ADMIN_TOKEN}
        for name, function in self._functions.items():
            say(f"  {name:16} port {self._environment[function.variable]}, process {function.process.pid}")

    def start_gateway(self, settings: str) -> Gateway:
        own = {"STORE": str(self._folder / f"{settings}.db"), "DATA": str(self._folder / "data")}
        own["JOURNAL"] = str(self._folder / "journal.db")
        gateway = Gateway(settings, self._environment | own, self._folder / f"{settings}.log")
        self._stack.callback(gateway.stop)
        gateway.wait()
        say(f"  legato serve demo/{settings}: port {gateway.port}, process {gateway.process.pid}")
        return gateway

    def play(self, scene: Scene, gateway: Gateway) -> None:
        """Send a request, show what comes back, and note what is wrong with it."""
        say(f"\n--- {scene.title}")
        path = f"/orchestrate/{scene.flow}"
        say(curl(gateway.port, path, scene.body, scene.token))
        # What curl sends with -d; the functions of the demo take any body for JSON.
        headers = {"Authorization": f"Bearer {scene.token}", "Content-Type": "application/x-www-form-urlencoded"}
        began = time.monotonic()
        status, answered, body = gateway.ask("POST", path, scene.body, headers)
        took = time.monotonic() - began
        say(f"\n{status} {answered.get('content-type', '')}  ({took * 1000:.0f} ms)")
        value = _json(body)
        say(pretty(value))
        self._check(scene, status, value)
        if scene.calls:
            calls = self.calls(scene, answered.get("legato-run", "none"))
            say(calls_table(calls, began, took))
            self.check_calls(scene, calls)

    def command(self, command: Command, gateway: Gateway) -> None:
        """Run a command, show what it prints, and note what is wrong with it."""
        say(f"\n--- {command.title}\n$ legato {shlex.join(command.arguments)}")
        status, printed = gateway.legato(*command.arguments)
        if printed:
            say(printed.rstrip())
        if status or not re.search(command.shows, printed, re.MULTILINE):
            self.note(command, f"expected exit 0 and {command.shows!r}")

    def calls(self, scene: Scene, run: str) -> list[Call]:
        found: list[Call] = []
        for name in dict.fromkeys(scene.calls):
            found += self._functions[name].calls(run, scene.calls.count(name), PATIENCE)
        return sorted(found, key=lambda call: call.began)

    def _check(self, scene: Scene, status: int, value: Any) -> None:
        seen = value
        if not scene.whole and isinstance(value, dict):
            seen = {name: cast("dict[str, Any]", value).get(name) for name in scene.answer}
        if status != scene.status or seen != scene.answer:
            self.note(scene, f"expected {scene.status} and {json.dumps(scene.answer)}")

    def check_calls(self, scene: Scene, calls: list[Call]) -> None:
        names = [call.function for call in calls]
        if scene.together:
            if sorted(names) != sorted(scene.calls) or max(c.began for c in calls) >= min(c.ended for c in calls):
                self.note(scene, f"expected {', '.join(scene.calls)} at the same time")
        elif names != list(scene.calls):
            self.note(scene, f"expected calls of {', '.join(scene.calls)}, in this order")

    def note(self, shown: Scene | Command, what: str) -> None:
        self.wrong.append(f"{shown.title} {what}")
        say(f"WRONG: {what}")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def run() -> int:
    """The whole demo."""
    with ExitStack() as stack:
        demo = Demo(stack)
        say("Starting the sample functions, each an HTTP server of its own:")
        demo.start_functions()
        say("\nStarting the gateway, with the flows of demo/flows:")
        gateway = demo.start_gateway("legato.yaml")
        for scene in NATIVE:
            demo.play(scene, gateway)
        say("\n--- What the gateway has counted (GET /metrics).")
        _, _, metrics = gateway.ask("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        say("\n".join(line for line in metrics.decode().splitlines() if line.startswith("legato_runs_total")))
        say("\nStarting another gateway, with the fnkit pipelines of demo/fnkit-flows:")
        gateway = demo.start_gateway("fnkit.yaml")
        for scene in FNKIT:
            demo.play(scene, gateway)
        say("\nDefinitions live: the same gateway, without a restart.")
        for shown in LIVE:
            if isinstance(shown, Command):
                demo.command(shown, gateway)
            else:
                demo.play(shown, gateway)
        say("\nStarting a gateway with the durable flow of demo/durable-flows:")
        survive(demo, demo.start_gateway("durable.yaml"))
        say("\nStopping every process that was started.")
    for wrong in demo.wrong:
        say(f"WRONG: {wrong}")
    say("Every answer was what it should be." if not demo.wrong else f"{len(demo.wrong)} answers were wrong.")
    return 1 if demo.wrong else 0


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)  # an exception, so that everything started is ended on the way out


def main() -> int:
    """Run, and end everything that was started in any case."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        return run()
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted; everything that was started has been stopped.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
