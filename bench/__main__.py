"""`python -m bench`: runs the parts asked for, prints the report.

Exit: 0 fine; 1 an answer was wrong, a requirement was missed or Legato could not run; 2 wrong usage; 3 a tool is
missing.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from bench import contenders, report
from bench.machine import Machine, Unfit, prepare
from bench.measures import bodies, cpu, durable, features, language, latency, memory, proof, stored, waiting
from bench.plan import DURABLE_PARTS, NORMAL, PARTS, QUICK
from bench.result import Section
from bench.stage import Stage, StartFailed

MEASURES = {
    "cpu": cpu.measure,
    "features": features.measure,
    "language": language.measure,
    "latency": latency.measure,
    "memory": memory.measure,
    "bodies": bodies.measure,
    "durable": durable.measure,
    "stored": stored.measure,
    "waiting": waiting.measure,
}


def parts(text: str) -> list[str]:
    chosen = text.split(",")
    unknown = [part for part in chosen if part not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown part {unknown[0]!r}: choose from {', '.join(PARTS)}")
    return chosen


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench", description="What a request costs in Legato, beside its peers.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", type=parts, default=list(PARTS), metavar="PARTS", help="of " + ",".join(PARTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here too")
    parser.add_argument("--fetch", action="store_true", help="install Bun into bench/.cache with npm, and end")
    parser.add_argument("--spoil", action="store_true", help="functions answer wrongly now and then: must fail")
    return parser.parse_args()


def run(options: argparse.Namespace, machine: Machine) -> int:
    with tempfile.TemporaryDirectory(prefix="legato-bench-") as scratch:
        plan = QUICK if options.quick else NORMAL
        with Stage(machine, plan, Path(scratch), options.spoil) as stage:
            if machine.load_core == machine.gateway_core:
                stage.say("only one core: load and gateway share it, expect noise")
            sections: list[Section] = []
            if any(part not in DURABLE_PARTS for part in options.only):
                stage.say("checking that each contender does the work")
                sections.append(proof.measure(stage))
            for part in PARTS:
                if part in options.only:
                    sections.append(MEASURES[part](stage))
    fine = report.show(sections, stage.absent)
    if options.json:
        report.write_json(options.json, sections, stage.absent, machine.described())
    return 0 if fine else 1


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)  # an exception, so that everything started is ended on the way out


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, _end)
    if options.fetch:
        return contenders.fetch()
    try:
        return run(options, prepare())
    except Unfit as problem:
        print(problem, file=sys.stderr)
        return 3
    except StartFailed as problem:  # a server of the functions; contenders are noted as absent instead
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
