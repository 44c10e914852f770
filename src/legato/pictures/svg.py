"""Pictures as SVG, drawn here from the first line to the last: no program, no script, no font that must be there.

Well-formed XML whatever a flow says; readable on light and dark; every node has a title for who cannot see it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from legato.pictures.boxes import EDGE, LINE_HEIGHT, TITLE_HEIGHT, Box, node_texts
from legato.pictures.layout import laid_out
from legato.pictures.routes import Point, Route, routes_of
from legato.pictures.sketch import MARKS, Group, Node, Picture

TURN = 6.0  # radius where an edge turns
ARROW = 4.0  # half the width of an arrow's head

_STYLE = """\
text{font-family:Helvetica,Arial,"Liberation Sans",sans-serif;fill:#1f2328}
.t{font-size:13px;font-weight:400}.l{font-size:11px;fill:#59636e}.e{font-size:11px;fill:#59636e}
.paper{fill:#fff}.halo{stroke:#fff;stroke-width:4px;paint-order:stroke;stroke-linejoin:round}
.frame{fill:#8c959f;fill-opacity:.07;stroke:#8c959f;stroke-opacity:.55}
.box{fill:#f6f8fa;stroke:#8c959f}.call,.python,.flow{fill:#ddf4ff;stroke:#4a90d9}
.choose,.each{fill:#fff1d6;stroke:#c77d0a}.start,.end{fill:#ffe3ee;stroke:#c2557f}
.undo{fill:#fbefff;stroke:#9a6bc9;stroke-dasharray:4 3}.fail{fill:#ffebe9;stroke:#cf5148}
.bar{fill:#59636e;stroke:none}.line{fill:none;stroke:#59636e;stroke-width:1.2}.head{fill:#59636e;stroke:none}
.order{stroke-dasharray:1.5 3.5;stroke-linecap:round}.dash{stroke-dasharray:5 3}
.error{stroke:#cf5148;stroke-opacity:.8}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.l,.e{fill:#9aa4af}.paper{fill:#0d1117}.halo{stroke:#0d1117}
.box{fill:#1b222b;stroke:#6e7781}.call,.python,.flow{fill:#10263d;stroke:#4a90d9}
.choose,.each{fill:#33260d;stroke:#c98a1b}.start,.end{fill:#3a1c29;stroke:#c2557f}
.undo{fill:#271c33;stroke:#9a6bc9}.fail{fill:#3a1a19;stroke:#d1605a}
.bar,.head{fill:#9aa4af}.line{stroke:#9aa4af}.error{stroke:#d1605a}}
"""


def svg(picture: Picture) -> str:
    """The picture as a document."""
    root = laid_out(picture.root)
    width, height = _px(root.width + 2 * EDGE), _px(root.height + 2 * EDGE)
    name, title = f"The flow {picture.name}", escape(picture.title)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label={quoteattr(name)}>',
        f"<title>{title}</title>",
        f"<style>\n{_STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
    ]
    boxes = list(root.all())
    for box in boxes:
        if isinstance(box.item, Group) and box.item.framed:
            lines.append(_frame(box, box.item))
    for route in routes_of(root):
        lines.append(_edge(route))
    for box in boxes:
        if isinstance(box.item, Node):
            lines.append(_node(box, box.item))
        elif box.item.framed:
            lines.append("".join(_texts(box.item, box.x + box.text, box.y + TITLE_HEIGHT, "start", "")))
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _frame(box: Box, group: Group) -> str:
    dash = ' stroke-dasharray="5 3"' if group.kind in ("error", "handler") else ""
    return (
        f"<g data-path={quoteattr(group.path)}><title>{escape(group.tip)}</title>"
        f'<rect class="frame" x="{_px(box.x)}" y="{_px(box.y)}" width="{_px(box.width)}" height="{_px(box.height)}" '
        f'rx="8"{dash}/></g>'
    )


def _node(box: Box, node: Node) -> str:
    shape = _shape(box, node)
    texts = "" if node.kind in MARKS else "".join(_texts(node, box.way, box.y + TITLE_HEIGHT, "middle", ""))
    if node.kind in ("choose", "each"):
        word = "if" if node.kind == "choose" else "each"
        level = _px(box.y + box.height / 2 + 4)
        texts = f'<text class="l" x="{_px(box.way)}" y="{level}" text-anchor="middle">{word}</text>'
    return f"<g data-path={quoteattr(node.path)}><title>{escape(node.tip)}</title>{shape}{texts}</g>"


def _shape(box: Box, node: Node) -> str:
    x, y, width, height = _px(box.x), _px(box.y), _px(box.width), _px(box.height)
    match node.kind:
        case "choose" | "each":
            middle, level = _px(box.way), _px(box.y + box.height / 2)
            points = f"{middle},{y} {_px(box.right)},{level} {middle},{_px(box.bottom)} {x},{level}"
            return f'<polygon class="{node.kind}" points="{points}"/>'
        case "merge" | "collect" | "nothing":
            radius = _px(box.width / 2)
            return f'<circle class="bar" cx="{_px(box.way)}" cy="{_px(box.y + box.height / 2)}" r="{radius}"/>'
        case "fork" | "join":
            return f'<rect class="bar" x="{x}" y="{y}" width="{width}" height="{height}" rx="2"/>'
        case "start" | "end":
            round_ = _px(min(box.height / 2, 16.0))
        case "call" | "python" | "flow" | "undo" | "callback":
            round_ = "3"
        case _:
            round_ = "9"
    return f'<rect class="box {node.kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="{round_}"/>'


def _texts(item: Node | Group, x: float, y: float, anchor: str, more: str) -> Iterator[str]:
    for n, (text, _) in enumerate(node_texts(item)):
        kind = "l" if n else "t"
        at = y + n * LINE_HEIGHT
        yield f'<text class="{kind}{more}" x="{_px(x)}" y="{_px(at)}" text-anchor="{anchor}">{escape(text)}</text>'


def _edge(route: Route) -> str:
    edge = route.edge
    style = {"next": "", "order": " order", "undo": " dash", "error": " dash error"}[edge.kind]
    label = f": {edge.label}" if edge.label else ""
    kind = {"next": "then", "order": "then, without a value", "undo": "undone by", "error": "on error"}[edge.kind]
    text = ""
    if route.label:
        x, y = route.at
        text = f'<text class="e halo" x="{_px(x)}" y="{_px(y)}" text-anchor="middle">{escape(route.label)}</text>'
    return (
        f"<g><title>{escape(f'{edge.source} {kind} {edge.target}{label}')}</title>"
        f'<path class="line{style}" d="{_path(route.points)}"/><path class="head" d="{_head(route.points)}"/>{text}</g>'
    )


def _path(points: list[Point]) -> str:
    """A line through points: corners are rounded, what leads aside and down at once swings."""
    (x, y), *_ = points
    words = [f"M{_px(x)} {_px(y)}"]
    for n, (start, end) in enumerate(pairwise(points)):
        if start[0] != end[0] and start[1] != end[1]:
            middle = (start[1] + end[1]) / 2
            words.append(f"C{_at(start[0], middle)} {_at(end[0], middle)} {_at(*end)}")
        elif n + 2 < len(points) and _turns(start, end, points[n + 2]):
            after = points[n + 2]
            reach = min(TURN, _distance(start, end) / 2, _distance(end, after) / 2)
            before, behind = _toward(end, start, reach), _toward(end, after, reach)
            words.append(f"L{_at(*before)} Q{_at(*end)} {_at(*behind)}")
        else:
            words.append(f"L{_at(*end)}")
    return " ".join(words)


def _turns(start: Point, corner: Point, end: Point) -> bool:
    """Whether two lines meet at a right angle."""
    across = start[1] == corner[1] and corner[0] == end[0]
    return across or (start[0] == corner[0] and corner[1] == end[1])


def _distance(one: Point, other: Point) -> float:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _toward(start: Point, end: Point, reach: float) -> Point:
    """The point so far from `start` on the way to `end`, which is straight above, below or beside."""
    distance = _distance(start, end) or 1.0
    return start[0] + (end[0] - start[0]) * reach / distance, start[1] + (end[1] - start[1]) * reach / distance


def _head(points: list[Point]) -> str:
    """The arrow's head: down, or to the right for what leads aside at its end."""
    (before, _), (x, y) = points[-2:] if len(points) > 1 else (points[0], points[0])
    if points[-2][1] == y and before != x:
        return f"M{_at(x, y)} L{_at(x - 2 * ARROW, y - ARROW)} L{_at(x - 2 * ARROW, y + ARROW)}Z"
    return f"M{_at(x, y)} L{_at(x - ARROW, y - 2 * ARROW)} L{_at(x + ARROW, y - 2 * ARROW)}Z"


def _at(x: float, y: float) -> str:
    return f"{_px(x)} {_px(y)}"


def _px(number: float) -> str:
    """A length with at most one digit behind the point."""
    return f"{number:.1f}".removesuffix(".0")
