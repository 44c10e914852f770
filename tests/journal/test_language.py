"""The tests of the language hold on the journal host as they do on the inline host."""

from __future__ import annotations

import re
import subprocess
import sys

MODULES = (
    "choose", "foreach", "graph", "handlers", "modifiers", "on_error",
    "parallel", "respond", "subflows", "time", "undo",
)  # fmt: skip
LARGE = "not many_items and not thousand and not large"
# What they say that holds for an inline run alone: what ends at one and the same moment is told one by one, each with
# what follows from it, where a journal has them all on disk first; nothing takes no time; what its kernel notes.
INLINE = (
    "foreach.py::test_when_too_many_have_failed_the_rest_is_cancelled_and_none_begins",
    "modifiers.py::test_the_kinds_that_call_nothing_take_modifiers_too",
    "parallel.py::test_what_failed_together_is_told_together",
    "parallel.py::test_as_many_branches_as_there_may_be",
    "subflows.py::test_its_timeout_and_that_of_the_step",
    "time.py::test_many_sleeps_leave_no_timers",
)


def test_the_language_means_the_same_on_the_journal() -> None:
    paths = [f"tests/language/test_{module}.py" for module in MODULES]
    without = [word for name in INLINE for word in ("--deselect", f"tests/language/test_{name}")]
    command = [sys.executable, "-m", "pytest", "-p", "tests.journal.on_journal", "-p", "no:cacheprovider", "-k", LARGE]
    ran = subprocess.run([*command, "--tb=short", *without, *paths], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-1000:]
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed is not None
    assert int(passed[1]) > 500
