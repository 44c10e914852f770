"""Random durable runs on a gateway that is killed again and again: `python -m tests.soak.crash --kills 1000`.

Checked after each death: what was acknowledged is on disk, and nothing that was written is gone. When all runs have
ended: no call whose outcome was on disk at a death was made after it, what repeats does so under the same key with the
same body and no more often than it may, and each run came to what a model of the language says, undo included.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.soak.crash_callers import Callers
from tests.soak.crash_checks import Deaths, Ends, RunRecord, Violation, check_starts
from tests.soak.crash_flows import Drawing
from tests.soak.crash_functions import Functions
from tests.soak.crash_gateway import Gateway, Wreck

ROUND = 40  # kills of one gateway; then all its runs may end, and everything is looked at
LAST = 90.0  # seconds that the runs left may take when nobody kills any more


class Round:
    """One gateway with its flows, killed some times."""

    def __init__(self, folder: Path, seed: int, number: int) -> None:
        self.random = Random(f"{seed}/{number}")
        self.folder = folder
        self.flows = Drawing(self.random).flows
        self.functions = Functions(self.random.randrange(2**32))
        self.counts: Counter[str] = Counter()

    async def run(self, kills: int) -> None:
        """Raises Violation, or AssertionError for a gateway that does not do what processes do."""
        await self.functions.open()
        self.gateway = Gateway(self.folder, self.flows, self.functions.port)
        self.callers = Callers(self.gateway.port, self.flows, self.random)
        self.deaths = Deaths(self.flows, self.functions, self.callers.promises)
        try:
            for _ in range(kills):
                await self._live_and_die()
            await self._let_all_end()
        except Violation as error:
            raise Violation(f"{error}\n{self.story(error.run)}", error.run) from None
        finally:
            await self.callers.close()
            self.gateway.end()
            await self.functions.close()

    async def _live_and_die(self) -> None:
        random, gateway = self.random, self.gateway
        gateway.start()
        if random.random() < 0.25:
            await gateway.until_owner()
            await asyncio.sleep(random.random() * 0.1)  # while it recovers, or soon after
            self.counts["killed in recovery"] += 1
        else:
            await gateway.until_live()
            self.callers.begun.clear()
            self.callers.start_some(random.choice((1, 3, 10, 30)))
            if random.random() < 0.4:
                await self.callers.begun.wait()
                await asyncio.sleep(random.random() * 0.02)
                self.counts["killed at a start"] += 1
            else:
                await asyncio.sleep(random.random() * random.choice((0.2, 1.0)))
                self.counts["killed under way"] += 1
        gateway.kill()
        self._check_callers()
        self.deaths.look(Wreck(self.folder, random.random() < 0.1), gateway.life)

    def _check_callers(self) -> None:
        if errors := self.callers.errors:
            raise Violation(f"callers met what must not be: {errors[:3]}")

    async def _let_all_end(self) -> None:
        """A last life, in which all runs end."""
        gateway, callers = self.gateway, self.callers
        gateway.start()
        await gateway.until_live()
        until = time.monotonic() + LAST
        while left := await self._left():
            if time.monotonic() > until:
                raise Violation(f"{len(left)} runs do not end: {left[:5]}", left[0][0])
            await asyncio.sleep(0.2)
        await callers.close()
        self._check_callers()
        await gateway.stop()
        wreck = Wreck(self.folder, check=True)
        self.deaths.look(wreck, gateway.life)
        self.deaths.check_calls()
        ends = Ends(self.flows, self.functions, callers.promises)
        records = [RunRecord(gateway, run, state, flow, wreck.events[run]) for run, (state, flow) in wreck.runs.items()]
        for record in records:
            ends.check(record)
        check_starts(callers.promises, records)
        gateway.check_output()
        self.counts.update({f"runs {state}": count for state, count in ends.by_state.items()})
        self.counts["undo calls"] += ends.undone
        self.counts["runs acknowledged"] += len(callers.promises.runs)
        self.counts["calls"] += len(self.functions.asked)
        self.counts["calls in flight at a death"] += self.deaths.in_flight
        self.counts["signals acknowledged"] += len(callers.promises.signals)
        self.counts["cancels acknowledged"] += len(callers.promises.cancels)

    async def _left(self) -> list[tuple[str, str]]:
        """Runs that have not ended; those that wait for a signal get it."""
        left = self.gateway.left()
        for run, state in left:
            if state == "parked":
                await self.callers.decide(run)
            document = await self.callers.show(f"/api/runs/{run}") if state == "waiting" else None
            for wait in [] if document is None else document.get("waiting_for") or ():
                if wait.get("signal") and not wait.get("until"):
                    await self.callers.signal(run, wait["signal"])
        return left

    def story(self, run: str) -> str:
        """All that is known of a run."""
        wreck = Wreck(self.folder, check=False)
        lines = [f"deaths: {self.gateway.deaths}"]
        if run in wreck.runs:
            lines.append(f"{run}: {wreck.runs[run]}; {self.flows[wreck.runs[run][1]]}")
            for event in wreck.events.get(run, []):
                lines.append(f"  {event.seq} {event.at:.4f} {event.kind} {event.path} {str(event.body)[:300]}")
        for asked in self.functions.asked:
            if asked.key.startswith(run) and run:
                lines.append(
                    f"  asked {asked.path} in life {asked.life} at {asked.at:.3f}, number {asked.number}: "
                    f"{'effect' if asked.effect else '-'} {asked.answered or '-'}"
                )
        return "\n".join(lines)


def campaign(kills: int, seed: int, folder: Path) -> Counter[str]:
    """Kill so often; give what happened. Raises Violation for what must not happen."""
    counts: Counter[str] = Counter()
    number = 0
    while kills > 0:
        part = min(kills, ROUND)
        place = folder / f"round-{number}"
        place.mkdir()
        one = Round(place, seed, number)
        asyncio.run(one.run(part))
        counts.update(one.counts)
        kills -= part
        number += 1
        print(f"round {number}: {dict(sorted(one.counts.items()))}", flush=True)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", type=Path, help="Where what was found stays; else it is deleted.")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            counts = campaign(arguments.kills, arguments.seed, folder)
        except AssertionError as error:
            print(f"FOUND: {error}")
            sys.exit(1)
    print(f"{arguments.kills} kills, nothing found: {dict(sorted(counts.items()))}")


if __name__ == "__main__":
    main()
