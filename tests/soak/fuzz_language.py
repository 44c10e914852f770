"""Fuzzing the front ends, YAML, JSON and expressions, and what is accepted: `python -m tests.soak.fuzz_language`.

Texts are damaged ones of the project's own, and random ones by the grammar. Each case has a seed of its own, and runs
in a child process with little memory: one that kills or hangs it is found as well. Findings are saved and printed;
`--seed S --case N` does one case again.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from tests.soak.flow_texts import ROOT
from tests.soak.language_campaign import HANGING, Campaign

MEMORY = 2 * 1024**3  # bytes of address space that the child may have: far more than any case needs
PATIENCE = 120.0  # seconds that the parent waits beyond the time given
HUNG = 70  # exit status


def _hangs(number: int, frame: FrameType | None) -> None:
    # Not by an exception: the kernel makes an outcome of everything that is raised within it.
    sys.stderr.write(f"hangs: more than {HANGING} s of CPU in one case\n")
    faulthandler.dump_traceback()
    os._exit(HUNG)


def work(seconds: float, seed: int, folder: Path, case: int | None) -> None:
    """The child's part: do the cases, and print what came of them."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, _hangs)
    campaign = Campaign(seed, folder)
    if case is None:
        campaign.run(seconds)
    else:
        campaign.one(case)
    print(json.dumps({"counts": campaign.counts, "found": list(campaign.found.values())}))


def fuzz(seconds: float, seed: int, folder: Path, case: int | None = None) -> Counter[str]:
    """Run a campaign in a child process; give how often what happened. Raises AssertionError for what was found."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.soak.fuzz_language", "--child", str(folder)]
    command += ["--seconds", str(seconds), "--seed", str(seed), *([] if case is None else ["--case", str(case)])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as child:
        try:
            printed, errors = child.communicate(timeout=seconds + PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            printed, errors = child.communicate()
            errors += "\nkilled: it did not end"
    last = folder / "current"
    assert child.returncode == 0, f"it ended with {child.returncode}, the text is {last}:\n{errors[-3000:]}"
    report = json.loads(printed.splitlines()[-1])
    last.unlink()
    counts = Counter[str](report["counts"])
    assert not report["found"], "\n".join([*report["found"], f"in {sum(counts.values())} cases and runs"])
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--case", type=int, help="do this one again")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        work(arguments.seconds, arguments.seed, arguments.child, arguments.case)
        return
    print(f"seed {arguments.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="legato-fuzz-"))
    try:
        counts = fuzz(arguments.seconds, arguments.seed, folder, arguments.case)
    except AssertionError as error:
        print(f"FOUND: {error}\nin {folder}")
        sys.exit(1)
    folder.rmdir()
    print(f"{sum(counts.values())} cases and runs, nothing found:")
    for what, count in sorted(counts.items()):
        print(f"  {count:7} {what}")


if __name__ == "__main__":
    main()
