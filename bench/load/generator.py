"""The load generators as a program of their own, so that they can be started, pinned and ended by their id.

    python -m bench.load.generator < ORDER.json > RESULT.json
An order: {"kind": "open" | "closed" | "timed" | "idle", "port", "path", "headers", "body", "expected" (files), ...};
each kind is a module beside this one, with the rest of the fields as its arguments.
"""

import gc
import json
import sys
from pathlib import Path
from typing import Any

import uvloop

from bench.load import closed, idle, open_loop, timed
from bench.load.connection import request_of

KINDS = {"open": open_loop.run, "closed": closed.run, "timed": timed.run, "idle": idle.run}


def main() -> None:
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    request = request_of(order["port"], order["path"], order["headers"], Path(order["body"]).read_bytes())
    expected = Path(order["expected"]).read_bytes()
    gc.disable()  # its pauses would be counted as the contender's
    load = KINDS[order["kind"]](order["port"], request, expected, **order["more"])
    print(json.dumps(uvloop.run(load)), flush=True)


if __name__ == "__main__":
    main()
