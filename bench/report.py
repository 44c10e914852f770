"""Prints the sections, then one table of every required ratio with its verdict, then what failed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.result import Check, Section

SHOWN = 12


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    # The text of an absent row runs over the columns behind it instead of widening its own.
    fitted = [row for row in rows if not any("absent" in cell for cell in row)]
    widths = [max(len(row[i]) for row in [columns, *fitted]) for i in range(len(columns))]
    widths[0] = max([widths[0], *(len(row[0]) for row in rows)])
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in [columns, *rows]]
    lines = ["  ".join(row).rstrip() for row in padded]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _limit(value: float | None) -> str:
    return "-" if value is None else f"<= {value:g}"


def _check_row(check: Check) -> list[str]:
    return [check.what, _number(check.value), _limit(check.required), _limit(check.wanted), check.verdict]


def failures(sections: Sequence[Section], absent: dict[str, str]) -> list[str]:
    found = [f"Legato absent: {absent['legato']}"] if "legato" in absent else []
    checks = [check for section in sections for check in section.checks]
    found += [f"missed: {c.what} is {c.value:.3f}, required <= {c.required:g}" for c in checks if c.missed]
    return found + [problem for section in sections for problem in section.problems]


def show(sections: Sequence[Section], absent: dict[str, str]) -> bool:
    """Print everything; True when nothing failed."""
    for section in sections:
        print(f"\n{section.title}\n")
        if section.rows:
            print(table(section.columns, section.rows))
        for note in section.notes:
            print(note)
    checks = [check for section in sections for check in section.checks]
    if checks:
        print("\nRequirements (ratio: median of the rounds' own ratios)\n")
        print(table(("ratio", "measured", "required", "wanted", "verdict"), [_check_row(check) for check in checks]))
    failed = failures(sections, absent)
    print("\nFAILED" if failed else "\nok: every answer was right, no requirement was missed")
    for text in failed[:SHOWN]:
        print(f"  {text}")
    if len(failed) > SHOWN:
        print(f"  and {len(failed) - SHOWN} more (--json FILE has them all)")
    return not failed


def write_json(path: Path, sections: Sequence[Section], absent: dict[str, str], machine: dict[str, Any]) -> None:
    document = {
        "machine": machine,
        "absent": absent,
        "failed": failures(sections, absent),
        "sections": [{"title": section.title, "data": section.data} for section in sections],
        "checks": [
            {"what": c.what, "value": c.value, "required": c.required, "wanted": c.wanted, "verdict": c.verdict}
            for section in sections
            for c in section.checks
        ],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
