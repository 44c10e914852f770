"""Case after case of the fuzzing of the front ends: which kinds there are, and what is noted of those that go wrong."""

from __future__ import annotations

import json
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import yaml

from legato.model.flow import Flow
from legato.model.names import NAME
from tests.soak import flow_texts, flow_trees
from tests.soak.bombs import BOMBS, UNREADABLE
from tests.soak.expression_texts import Expressions
from tests.soak.flow_grammar import Flows
from tests.soak.flow_player import Found
from tests.soak.flow_texts import Text
from tests.soak.language_checks import (
    any_env,
    check_expression,
    check_nothing_ignored,
    check_nothing_unsaid,
    check_reading,
    check_running,
    check_same_in_yaml_and_json,
)

HANGING = 20  # CPU seconds of one case after which it is said to hang: SIGPROF comes
SHOWN = 20  # findings that are printed
ROOTS = ("input", "value", "item", "index", "error", "run", "request", "errors", "nope")


class Campaign:
    """Case after case, until the time is up."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.folder = folder
        self.counts: Counter[str] = Counter()
        self.texts = flow_texts.corpus()
        self.trees = [tree for tree in map(_tree, self.texts) if isinstance(tree, dict)]
        self.good = [tree for tree in self.trees if "flow" in tree and _is_right(tree)]
        self.others: dict[str, Flow] = {}
        self.found: dict[str, str] = {}
        self.current = folder / "current"
        self._case = ""
        self.kinds: list[Callable[[Random], str]] = [
            *(self.damaged_text, self.damaged_tree, self.unknown_key) * 2,
            *(self.grammar, self.expression) * 3,
            self.other_value,
        ]

    def run(self, seconds: float) -> None:
        """Do cases for so long."""
        until, number = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            self.one(number)
            number += 1

    def one(self, number: int) -> None:
        """Do one case. What is found goes to `found`, once for each kind of finding."""
        random = Random(f"{self.seed}/{number}")
        kind = random.choice(self.kinds)
        name = getattr(kind, "__name__", "?")
        self.others = {}
        self.show("")
        signal.setitimer(signal.ITIMER_PROF, HANGING)
        try:
            self.counts[f"{name}: {kind(random)}"] += 1
        except Found as error:
            self._note(number, name, str(error))
        except Exception as error:  # an AssertionError is of a run that its replay does not follow
            last = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__}: {error} at {last.filename}:{last.lineno}"
            self._note(number, name, what, traceback.format_exc())
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def show(self, case: str) -> None:
        """Keep what is being tried where the parent finds it, should this process end."""
        self._case = case
        self.current.write_bytes(flow_texts.encoded(case))

    def _note(self, number: int, kind: str, what: str, more: str = "") -> None:
        what = f"{kind}: {what}"
        sign = "".join(char for char in what[:90] if not char.isdigit())
        self.counts["found"] += 1
        if sign in self.found or len(self.found) >= SHOWN:
            return
        name = f"case-{self.seed}-{number}.txt"
        self.found[sign] = f"{what[:1500]}\n  again: --seed {self.seed} --case {number}; the text: {name}"
        body = f"{what}\n{more}\n----\n{self._case}"
        (self.folder / name).write_text(body, "utf-8", "replace")

    # Cases.

    def damaged_text(self, random: Random) -> str:
        """A text of the project's own, damaged."""
        text = random.choice(self.texts)
        text = text._replace(text=flow_texts.damaged(random, text.text, self.texts))
        self.show(text.text)
        return self._read_and_run(random, text)

    def damaged_tree(self, random: Random) -> str:
        """A tree of the project's own, damaged."""
        tree, other = random.choice(self.trees), random.choice(self.trees)
        damaged = (
            flow_trees.damaged if random.random() < 0.95 else lambda random, tree, _: flow_trees.deepened(random, tree)
        )
        tree = damaged(random, tree, other)
        name = tree.get("flow") if isinstance(tree, dict) else None
        name = name if isinstance(name, str) and NAME.fullmatch(name) else "order"
        try:
            text = json.dumps(tree)
            if random.random() < 0.3:
                text = yaml.safe_dump(tree, allow_unicode=random.random() < 0.5, width=40)
        except RecursionError:
            return "cannot be written"
        self.show(text)
        return self._read_and_run(random, Text("native", name, text))

    def grammar(self, random: Random) -> str:
        """Flows by the grammar, one of which may use the others."""
        flows = [Flows(random).flow("one"), Flows(random, ("one", "two")).flow("two")]
        tree = Flows(random, ("one", "two")).flow("order")
        self.show(json.dumps([tree, *flows], indent=1))
        for each in flows:
            definition = check_same_in_yaml_and_json(each, each["flow"])
            if definition.flow is not None:
                self.others[each["flow"]] = definition.flow
        definition = check_same_in_yaml_and_json(tree, "order")
        if definition.flow is None:
            return "refused"
        return self._run(random, definition.flow)

    def unknown_key(self, random: Random) -> str:
        """A right flow with a key that is not of the language, or not of that place."""
        tree = self._right(random)
        return "refused" if tree is None else check_nothing_unsaid(random, tree, tree["flow"])

    def other_value(self, random: Random) -> str:
        """A right flow with one value that is another."""
        tree = self._right(random)
        return "refused" if tree is None else check_nothing_ignored(random, tree, tree["flow"])

    def _right(self, random: Random) -> dict[str, Any] | None:
        """A flow that is right."""
        tree = random.choice(self.good)
        if random.random() < 0.5:
            tree = Flows(random).flow("order")
            if check_same_in_yaml_and_json(tree, "order").flow is None:
                return None
        self.show(json.dumps(tree, indent=1))
        return tree

    def expression(self, random: Random) -> str:
        """An expression, right, damaged or neither."""
        expressions = Expressions(random, ROOTS, ("a", "b-c"))
        text = expressions.any(random.choice((1, 3, 5)))
        if random.random() < 0.5:
            text = expressions.damaged(text)
        elif random.random() < 0.05:
            text = expressions.damaged(random.choice([*UNREADABLE, *BOMBS["list"]]))
        self.show(text)
        return check_expression(text, any_env(random))

    def _read_and_run(self, random: Random, text: Text) -> str:
        definition = check_reading(text)
        if definition is None:
            return "settings"
        return "refused" if definition.flow is None else self._run(random, definition.flow)

    def _run(self, random: Random, flow: Flow) -> str:
        ends = check_running(random, flow, self.others, 2)
        self.counts.update(f"run: {end}" for end in ends.elements())
        return "accepted"


def _tree(text: Text) -> Any:
    if text.language == "settings":
        return None
    try:
        return yaml.load(text.text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return None


def _is_right(tree: dict[str, Any]) -> bool:
    try:
        definition = check_reading(Text("native", str(tree["flow"]), json.dumps(tree)))
    except (Found, TypeError):
        return False
    return definition is not None and definition.flow is not None
