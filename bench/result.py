"""What a part of the benchmark hands back: a table to print, requirements to judge, problems, and plain data."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Check:
    """One ratio of the project's requirements. `value` is None when it could not be measured, `why` says why."""

    what: str
    value: float | None
    required: float | None
    wanted: float | None = None
    why: str = ""

    @property
    def missed(self) -> bool:
        return self.value is not None and self.required is not None and self.value > self.required

    @property
    def verdict(self) -> str:
        if self.value is None:
            return self.why or "not measured"
        if self.required is None:
            return "shown"
        if self.missed:
            return "MISSED"
        if self.wanted is not None:
            return "ok, as wanted" if self.value <= self.wanted else "ok"
        return "ok"


@dataclass
class Section:
    title: str
    columns: Sequence[str]
    rows: list[list[str]] = field(default_factory=list[list[str]])
    checks: list[Check] = field(default_factory=list[Check])
    problems: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    data: dict[str, Any] = field(default_factory=dict[str, Any])


def paired(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """The median of the ratios, each taken within one round: noise that comes and goes hits both sides alike."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=False) if b > 0]
    return median(ratios) if ratios else None


def spread(values: Sequence[float], digits: int = 0) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})" if values else "-"
