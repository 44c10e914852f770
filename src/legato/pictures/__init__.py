"""Pictures of flows: SVG that needs nothing else, Mermaid, Graphviz, and JSON for programs.

From the model to a text, and nothing else: no file is opened here, and nothing is asked. `parts` walks a flow,
`drawing` makes a sketch of it, and one module for each form writes it down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from legato.model.flow import Flow
from legato.pictures.dot import dot
from legato.pictures.drawing import sketched
from legato.pictures.export import export
from legato.pictures.mermaid import mermaid
from legato.pictures.parts import Resolve, Whole, parts_of
from legato.pictures.svg import svg

__all__ = ["FORMS", "Resolve", "drawn"]

# What a flow can be drawn as.
FORMS: Mapping[str, Callable[[Whole], str]] = {
    "svg": lambda whole: svg(sketched(whole)),
    "mermaid": lambda whole: mermaid(sketched(whole)),
    "dot": lambda whole: dot(sketched(whole)),
    "json": export,
}


def drawn(flow: Flow, form: str, resolve: Resolve | None = None) -> str:
    """A flow in one of FORMS; with `resolve`, which finds flows by name, those within it are drawn, too.

    The same flow gives the same text. Raises KeyError for another form.
    """
    return FORMS[form](parts_of(flow, resolve))
