"""Mermaid: every line is one that its grammar has, and what authors write means nothing in it."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.model.flow import Flow
from legato.model.mapping import Template
from legato.model.steps import Case, ChooseStep, SetStep
from legato.pictures import drawn
from tests.pictures.flows import ALL, AWKWARD, CHOICES, GRAPH, HANDLERS, call, known
from tests.pictures.strategies import flows

LABEL = r'"(?P<label>[^"\n]*)"'
ID = r"p_[A-Za-z0-9_]*"
NODE = re.compile(
    rf"\s+(?P<id>{ID})(?:\(\[{LABEL}\]\)|\[\[{LABEL.replace('label', 'b')}\]\]|\(\({LABEL.replace('label', 'c')}\)\)"
    rf"|\({LABEL.replace('label', 'd')}\)|\[{LABEL.replace('label', 'e')}\]|\{{{LABEL.replace('label', 'f')}\}}"
    rf"|>{LABEL.replace('label', 'g')}\])"
)
SUBGRAPH = re.compile(rf"\s+subgraph (?P<id>{ID})\[{LABEL}\]")
EDGE = re.compile(rf"  (?P<source>{ID}) (?:-->|-\.->)(?:\|{LABEL}\|)? (?P<target>{ID})")
CLASS = re.compile(rf"  (?:classDef k_[a-z]+ [-a-z0-9:#, ]+|class (?P<members>{ID}(?:,{ID})*) k_[a-z]+)")
# Signs that could mean more than themselves between quotes; `#` begins an entity, `<br/>` ends a line.
LOUD = re.compile(r'["<>`%{}\[\]|\\;~^@*&$]|--|#')


def check(text: str) -> tuple[list[str], list[tuple[str, str]], list[str]]:
    """(ids of nodes and subgraphs, edges, labels) of a flowchart; fails for a line that is no line of one."""
    first, title, *lines = text.splitlines()
    assert first == "flowchart TD"
    assert re.fullmatch(r"  accTitle: [\w .,()'-]+", title)
    ids: list[str] = []
    edges: list[tuple[str, str]] = []
    labels: list[str] = []
    depth = 0
    for line in lines:
        if line.strip() == "end":
            depth -= 1
            assert depth >= 0
        elif (match := SUBGRAPH.fullmatch(line)) or (match := NODE.fullmatch(line)):
            depth += line.strip().startswith("subgraph ")
            ids.append(match["id"])
            labels += [each for name, each in match.groupdict().items() if name != "id" and each is not None]
        elif match := EDGE.fullmatch(line):
            edges.append((match["source"], match["target"]))
            labels += [match["label"]] if match["label"] else []
        else:
            match = CLASS.fullmatch(line)
            assert match, line
            if match["members"]:
                assert set(match["members"].split(",")) <= set(ids)
    assert depth == 0
    assert len(ids) == len(set(ids))
    assert {end for edge in edges for end in edge} <= set(ids)
    for label in labels:
        rest = re.sub(r"#[0-9]+;|<br/>", "", label)
        assert not LOUD.search(rest), label
    return ids, edges, labels


def shown(label: str) -> list[str]:
    """What a browser shows of a label, by line."""
    lines = [html.unescape(re.sub(r"#([0-9]+);", r"&#\1;", line)) for line in label.split("<br/>")]
    return [line.replace("\N{ZERO WIDTH SPACE}", "") for line in lines]


@pytest.mark.parametrize("flow", ALL, ids=lambda flow: flow.name)
def test_every_line_is_of_the_grammar(flow: Flow) -> None:
    check(drawn(flow, "mermaid", known))


@given(flows)
def test_any_flow(flow: Flow) -> None:
    ids, edges, _ = check(drawn(flow, "mermaid"))
    assert "p_start" in {source for source, _ in edges}
    assert "p_end" in ids


@given(st.text(max_size=40))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    flow = Flow(
        name="any",
        steps=(SetStep(set=Template(value=text)), ChooseStep(cases=(Case(when=f"${{x{text}y}}", steps=calls()),))),
    )
    _, _, labels = check(drawn(flow, "mermaid"))
    expected = " ".join(text.split())
    if expected.isprintable() and expected:
        assert shown(labels[1]) == ["set", expected]
        assert [expected_label(text)] in [shown(label) for label in labels]


def calls() -> tuple[SetStep, ...]:
    return (SetStep(set=Template(value=None)),)


def expected_label(text: str) -> str:
    whole = " ".join(f"x{text}y".split())
    return whole if len(whole) <= 60 else whole[:59].rstrip() + "…"


def test_words_of_the_language_are_names_all_the_same() -> None:
    ids, _, _ = check(drawn(AWKWARD, "mermaid"))
    assert {"p_parallel_end", "p_parallel_subgraph", "p_end", "p_end__2"} <= set(ids)


def test_lines_of_edges() -> None:
    text = drawn(HANDLERS, "mermaid")
    assert "p_charge -.-> p_charge_undo" in text
    assert 'p_parallel -.->|"on error"| p_parallel_error_fail' in text
    assert "p_prepare_price -.-> p_prepare_mail" in drawn(GRAPH, "mermaid")
    assert '|"has(value.vip)"|' in drawn(CHOICES, "mermaid")


def test_ids_that_look_alike_are_told_apart() -> None:
    flow = Flow(name="x", steps=(call("f", id="a-b"), call("f", id="a_b2"), call("f", id="a"), call("g", id="a-b2x")))
    ids, edges, _ = check(drawn(flow, "mermaid"))
    assert len(ids) == 6
    assert len(edges) == 5
    clash = Flow(name="x", steps=(call("f", id="a--b"), call("f", id="a-b"), call("f", id="a-b__2")))
    assert len(check(drawn(clash, "mermaid"))[0]) == 5
