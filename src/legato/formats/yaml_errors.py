"""What the YAML parser's complaints mean, in words that name the remedy."""

from __future__ import annotations

import re

import yaml

from legato.formats.report import WHOLE_FILE, Place, Report

_EXPRESSION = re.compile(r"[^\s,\[\]{}\"']*\$\{[^}]*\}[^\s,\[\]{}\"':]*")

# (a part of the parser's message, the remedy)
_REMEDIES = (
    ("mapping values are not allowed", "quote text that holds `: `, or mend the indentation"),
    ("sequence entries are not allowed", "begin the list on a line of its own"),
    ("expected key", "mend the indentation: keys of one mapping stand in one column"),
    ("expected '-' indicator", "mend the indentation: items of one list stand in one column, each with its `-`"),
    ("expected block end", "mend the indentation"),
    ("unexpected end of stream", "close the quote"),
    ("expected ',' or '}'", "close the brace, or quote text that holds a brace"),
    ("expected ',' or ']'", "close the bracket, or quote text that holds a bracket"),
    ("expected ':'", "a key ends with a colon and a blank"),
    ("escape character", "in double quotes a backslash is written `\\\\`"),
    ("cannot start any token", "quote the text"),
)


def explain(error: yaml.YAMLError, report: Report) -> None:
    """Report a syntax error at the place where it can be mended."""
    if not isinstance(error, yaml.MarkedYAMLError):
        report.add(WHOLE_FILE, f"not valid YAML: {error}", "mend the file")
        return
    place = _place(error, report)
    line, column = place
    text = report.line(line)
    if (expression := _unquoted_expression(text, column)) is not None:
        report.add(place, "an expression must be quoted here", f'quote the expression: "{expression}"')
        return
    if text[column - 1 : column] == "\t":
        report.add(place, "a tab cannot indent", "indent with spaces")
        return
    problem = str(error.problem or "it cannot be understood")
    remedy = next((remedy for part, remedy in _REMEDIES if part in problem), "mend the line")
    report.add(place, f"not valid YAML: {problem}", remedy)


def _place(error: yaml.MarkedYAMLError, report: Report) -> Place:
    """Where the problem is; for something that never ends, where it began."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return WHOLE_FILE
    place = _within(mark, report)
    at_end = not report.text[report.offset(place) :].strip()
    if at_end and error.context_mark is not None:
        return _within(error.context_mark, report)
    return place


def _within(mark: yaml.Mark, report: Report) -> Place:
    """A place in the file: libyaml's end is a line further where no line break ends the last one."""
    return (mark.line + 1, mark.column + 1) if mark.line < report.lines else report.place(len(report.text))


def _unquoted_expression(line: str, column: int) -> str | None:
    """The `${...}` that spans the column, which the parser took for a mapping or a key."""
    for match in _EXPRESSION.finditer(line):
        if match.start() < column <= match.end():
            return match[0] if len(match[0]) <= 80 else "${...}"
    return None
