"""Graphviz: balanced, quoted, in faas-flow's style; and read by `dot` where that is installed."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legato.model.flow import Flow
from legato.model.mapping import Template
from legato.model.steps import SetStep
from legato.pictures import drawn
from tests.pictures.flows import ALL, AWKWARD, CHOICES, GRAPH, HANDLERS, known
from tests.pictures.strategies import flows

TOKEN = re.compile(r'\s+|"((?:[^"\\]|\\.)*)"|->|[{}\[\];,=]|[A-Za-z0-9_.]+')


def tokens(text: str) -> list[str]:
    """The words of a text; a quoted one keeps its first quote."""
    found: list[str] = []
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        assert match, text[at : at + 40]
        at = match.end()
        if match[0].strip():
            found.append(f'"{match[1]}' if match[1] is not None else match[0])
    return found


def check(text: str) -> tuple[set[str], set[str], list[tuple[str, str]]]:
    """(nodes, clusters, edges); fails where the text is not balanced, or names what is not there."""
    words = tokens(text)
    assert words[0] == "digraph"
    assert words.count("{") == words.count("}")
    assert words.count("[") == words.count("]")
    clusters = [words[n + 1] for n, word in enumerate(words) if word == "subgraph"]
    assert len(clusters) == len(set(clusters))
    assert all(cluster.startswith('"cluster_') for cluster in clusters)
    labelled = [n for n in range(len(words) - 2) if words[n + 1 : n + 3] == ["[", "label"] and words[n] != "graph"]
    nodes = [words[n] for n in labelled if words[n - 1] != "->"]
    assert len(nodes) == len(set(nodes))
    edges = [(words[n - 1], words[n + 1]) for n, word in enumerate(words) if word == "->"]
    assert {end for edge in edges for end in edge} <= set(nodes)
    tails = {words[n + 2] for n, word in enumerate(words) if word == "ltail"}
    assert tails <= set(clusters)
    return set(nodes), set(clusters), edges


@pytest.mark.parametrize("flow", ALL, ids=lambda flow: flow.name)
def test_it_is_balanced_and_names_what_is_there(flow: Flow) -> None:
    nodes, _, _ = check(drawn(flow, "dot", known))
    assert {'"/start', '"/end'} <= nodes


@given(flows)
def test_any_flow(flow: Flow) -> None:
    check(drawn(flow, "dot"))


@given(st.text(max_size=60))
def test_any_text_stays_within_its_quotes(text: str) -> None:
    dot = drawn(Flow(name="any", steps=(SetStep(set=Template(value=text)),)), "dot")
    nodes, _, edges = check(dot)
    assert nodes == {'"/start', '"set', '"/end'}
    assert len(edges) == 2


def test_the_style_is_that_of_faas_flow() -> None:
    text = drawn(CHOICES, "dot")
    assert re.search(r'"size/choose" \[label="if".*shape=diamond.*fillcolor="#fff1d6"', text)
    assert re.search(r'"choose/nothing"|"choose.case_1/nothing"', text)
    assert re.search(r'"choose.otherwise.b" \[label="b".*shape=box.*fillcolor="#ddf4ff"', text)
    assert re.search(r'"/end" \[label="end".*shape=invhouse', text)
    assert '"prepare.price" -> "prepare.mail" [style=dotted];' in drawn(GRAPH, "dot")
    assert '"charge" -> "charge/undo" [style=dashed]; {rank=same; "charge"; "charge/undo";}' in drawn(HANDLERS, "dot")
    assert 'ltail="cluster_parallel"' in drawn(HANDLERS, "dot")


def test_backslashes_and_entities_mean_nothing() -> None:
    text = drawn(AWKWARD, "dot")
    assert r"end \\N \\l \\" in text
    assert r"/a\"b\\c/<d>&amp;e;#f" in text


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("flow", ALL, ids=lambda flow: flow.name)
def test_graphviz_reads_it(flow: Flow) -> None:
    done = subprocess.run(["dot", "-Tcanon"], input=drawn(flow, "dot", known), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "syntax error" not in done.stderr
