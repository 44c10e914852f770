"""One evaluation at work: what it looks at, what it has resolved so far, and how much more it may do.

Steps are roughly nodes evaluated, elements visited and blocks of 64 characters read: 10,000,000 of them take a second
or two, which is as long as one expression may keep the gateway from everything else.
"""

from __future__ import annotations

from legato.model.payload import MAX_BYTES
from legato.values.env import Env
from legato.values.faults import Limit
from legato.values.patterns import Matcher, matcher

MAX_STEPS = 10_000_000
MAX_ELEMENTS = 1_000_000  # converted from JSON; and written as JSON
MAX_MADE = 2 * MAX_ELEMENTS  # elements of lists and objects that are made on the way
MAX_TEXT = 16 * 1024 * 1024  # characters of one text that is made
MAX_ALL_TEXT = 2 * MAX_TEXT  # of all texts that are made
MAX_OUTPUT = MAX_BYTES  # characters of text that are written, of one byte at least
_PATTERN_STEPS = 100_000  # of a pattern that comes with the data: some take tens of milliseconds to compile

MISSING: object = object()


class Frame:
    """The state of one evaluation."""

    # What is left of each budget; defaults of the class, as most evaluations touch few of them.
    steps = MAX_STEPS
    elements = MAX_ELEMENTS
    made = MAX_MADE
    text = MAX_ALL_TEXT
    written = MAX_ELEMENTS
    output = MAX_OUTPUT
    patterns: dict[str, Matcher | None] | None = None

    def __init__(self, env: Env, paths: int, variables: int) -> None:
        self.env = env
        self.paths: list[object] = [MISSING] * paths
        self.variables: list[object] = [None] * variables

    def spend(self, steps: int) -> None:
        """Count `steps`. Raises Limit when there have been too many."""
        self.steps -= steps
        if self.steps < 0:
            raise Limit(f"needs more than {MAX_STEPS:,} steps; loop over fewer elements, or use a `foreach` step")

    def make(self, count: int) -> None:
        """Count a list or an object of `count` elements that is about to be made. Raises Limit for too many."""
        self.made -= count + 1
        if self.made < 0:
            raise Limit(f"makes more than {MAX_MADE:,} elements on the way; loop over fewer of them")
        self.spend(count)

    def spend_text(self, length: int) -> None:
        """Count a text of `length` characters that is about to be made. Raises Limit if it may not be."""
        self.text -= length
        if length > MAX_TEXT or self.text < 0:
            raise Limit(f"makes a text of more than {MAX_TEXT:,} characters, or many long ones")
        self.spend(1 + length // 64)

    def convert(self, elements: int, size: int) -> None:
        """Count a part of a document that is about to be read, of `size` bytes. Raises Limit for too many elements."""
        self.elements -= elements
        if self.elements < 0:
            raise Limit(f"converts more than {MAX_ELEMENTS:,} elements; name a narrower path")
        self.spend(1 + size // 256)

    def write(self, elements: int, length: int) -> None:
        """Count elements, and characters of text, that are about to be written. Raises Limit for too many."""
        self.written -= elements
        self.output -= length
        if self.written < 0:
            raise Limit(f"gives more than {MAX_ELEMENTS:,} elements; loop over fewer of them")
        if self.output < 0:
            raise Limit(f"gives more than {MAX_OUTPUT:,} characters of text; loop over fewer elements")

    def matcher(self, pattern: str) -> Matcher | None:
        """The matcher of a pattern that came with the data; None for one that cannot be used."""
        if self.patterns is None:
            self.patterns = {}
        if pattern not in self.patterns:
            self.spend(_PATTERN_STEPS)
            self.patterns[pattern] = matcher(pattern, False)
        return self.patterns[pattern]
