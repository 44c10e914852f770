"""From a flow to its sketch: which nodes a step is drawn as, and what leads where.

A `fail` has no way out, a step with steps for its errors has two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from legato.model.flow import MAX_STEPS, Callback, Flow
from legato.model.steps import CallStep, ChooseStep, FailStep, ForeachStep, UndoCall
from legato.pictures import words
from legato.pictures.parts import Body, Part, Whole
from legato.pictures.pieces import NO_LABELS, Frame, Piece, between, chain, framed, one
from legato.pictures.sketch import Edge, Group, GroupKind, Item, Node, NodeKind, Picture

LABEL = 60  # characters of a condition at an edge

_CALLBACKS = {"always": "in the end", "success": "when it went well", "failure": "when it has failed"}


def sketched(whole: Whole) -> Picture:
    """The picture of a flow."""
    flow = whole.flow
    start = Node(path="/start", kind="start", title=words.said(flow.name), lines=_start_lines(whole), tip=_about(flow))
    output = () if flow.output is None else (words.value(flow.output),)
    end = Node(path="/end", kind="end", title="end", lines=output, tip="\n".join(["the flow's result", *output]))
    main = chain([one(start), _body_of(whole), one(end)])
    handlers = _handlers(whole)
    if flow.callback is not None:
        handlers.append(_callback(flow.callback))
    root = Group(arrangement="beside", children=(main.item, *handlers)) if handlers else main.item
    return Picture(name=flow.name, title=words.said(flow.description) or words.said(flow.name), root=root)


def _start_lines(whole: Whole) -> tuple[str, ...]:
    flow = whole.flow
    found = ["durable"] if flow.durable else []
    if flow.strategy == "forward":
        found.append("only forward")
    if flow.timeout is not None:
        found.append(f"timeout {words.duration(flow.timeout)}")
    if flow.answer_within is not None:
        found.append(f"answers within {words.duration(flow.answer_within)}")
    if whole.cut:
        found.append(f"more than {MAX_STEPS:,} steps: the rest is not shown")
    return tuple(found)


def _about(flow: Flow) -> str:
    about = [f"flow {words.said(flow.name)}", words.said(flow.description)]
    if flow.input is not None:
        about.append(f"input {words.plain(flow.input)}")
    return "\n".join(filter(None, about))


def _body_of(whole: Whole) -> Piece:
    if whole.flow.code and not whole.parts:
        title = f"Python code {words.said(whole.flow.code)}"
        return one(Node(path=f"{whole.path}/code", kind="python", title=title, tip="its steps show when it runs"))
    return _sequence(whole.parts, whole.path)


def _handlers(whole: Whole) -> list[Item]:
    """What a flow does when it has failed, and when it has ended: beside it, because nothing leads there."""
    handlers: list[Item] = []
    for parts, name, title in (
        (whole.on_failure, "failure", "when the flow has failed"),
        (whole.finally_, "finally", "in the end, always"),
    ):
        if parts:
            path = f"{whole.path}/{name}"
            handlers.append(framed(_sequence(parts, f"{path}."), Frame(path, "handler", title)).item)
    return handlers


def _callback(callback: Callback) -> Node:
    title, lines = f"callback {_CALLBACKS[callback.when]}", [f"POST {words.said(callback.url)}"]
    if callback.timeout is not None:
        lines.append(f"timeout {words.duration(callback.timeout)}")
    if callback.retry is not None:
        lines.append(words.retry(callback.retry))
    return Node(path="/callback", kind="callback", title=title, lines=tuple(lines), tip="\n".join([title, *lines]))


def _sequence(parts: Sequence[Part], prefix: str) -> Piece:
    if not parts:
        return one(Node(path=f"{prefix.removesuffix('.')}/nothing", kind="nothing", tip="nothing is done"))
    return chain([_part(part) for part in parts])


def _part(part: Part) -> Piece:
    """A step with its undo and with what follows its failure, both at its side."""
    main = _core(part)
    side: list[Item] = []
    edges: list[Edge] = []
    exits = main.exits or _despite(part, main)
    source = main.item.path if isinstance(main.item, Group) else main.entry
    if part.step.undo is not None:
        node = _undo(part.step.undo, part.path)
        side.append(node)
        edges.append(Edge(source=source, target=node.path, kind="undo"))
    if part.error is not None:
        path = f"{part.path}/error"
        steps = framed(_sequence(part.error.parts, f"{path}."), Frame(path, "error", "on error"))
        side.append(steps.item)
        edges.append(Edge(source=source, target=steps.entry, kind="error"))
        exits = (*exits, *steps.exits)
    if not side:
        return main._replace(exits=exits)
    return Piece(Group(arrangement="beside", children=(main.item, *side), edges=tuple(edges)), main.entry, exits)


def _despite(part: Part, piece: Piece) -> tuple[str, ...]:
    """The ways out of what cannot succeed: it may be skipped, its failure passed over, and a loop have no items."""
    step = part.step
    passed = step.on_error is not None and step.on_error.action != "steps"
    if passed or step.when or isinstance(step, ForeachStep):
        return (piece.item.path if isinstance(piece.item, Group) else piece.entry,)
    return ()


def _undo(undo: UndoCall, path: str) -> Node:
    title, lines = f"undo: {words.said(undo.function)}", list[str]()
    if (request := words.request(undo)) != "POST":
        lines.append(request)
    if undo.timeout is not None:
        lines.append(f"timeout {words.duration(undo.timeout)}")
    if undo.retry is not None:
        lines.append(words.retry(undo.retry))
    path = f"{path}/undo"
    return Node(path=path, kind="undo", title=title, lines=tuple(lines), tip="\n".join([path, title, *lines]))


def _core(part: Part) -> Piece:
    """A step as such."""
    bodies, kind = part.inner, part.kind
    if part.whole is not None:
        return _frame(part, "flow", _subflow(part.whole))
    if not bodies:
        return _leaf(part)
    match kind:
        case "parallel":
            return _frame(part, kind, _fan(part, "fork", "join", bodies))
        case "graph":
            return _frame(part, kind, _graph(part, bodies))
        case "foreach":
            return _frame(part, kind, _fan(part, "each", "collect", bodies))
        case "choose":
            return _frame(part, kind, _choose(part, bodies))
        case _:
            return _frame(part, "steps", _sequence(bodies[0].parts, bodies[0].path))


def _leaf(part: Part) -> Piece:
    step = part.step
    lines = words.lines(step)
    if isinstance(step, CallStep) and step.on_response:
        lines.append(f"answer read by {words.said(step.on_response)}")
    if part.note:
        lines.append(part.note)
    empty: NodeKind = "flow" if part.note else "nothing"  # of a kind that has steps within, and none to show
    kind = cast("NodeKind", part.kind) if part.kind in words.LEAVES else empty
    tip = "\n".join([part.path, words.title(step), *lines, *words.mappings(step)])
    piece = one(Node(path=part.path, kind=kind, title=words.named(part), lines=tuple(lines), tip=tip))
    return piece._replace(exits=()) if isinstance(step, FailStep) else piece


def _frame(part: Part, kind: GroupKind, piece: Piece) -> Piece:
    lines = words.lines(part.step)
    if part.note:
        lines.append(part.note)
    tip = "\n".join([part.path, words.title(part.step), *lines, *words.mappings(part.step)])
    return framed(piece, Frame(part.path, kind, words.named(part), tuple(lines), tip))


def _marks(part: Part, head: NodeKind, tail: NodeKind) -> tuple[Node, Node]:
    """What a step begins with, and what it ends in."""
    tip = f"{part.path}\n{words.title(part.step)}"
    return (
        Node(path=f"{part.path}/{head}", kind=head, tip=tip),
        Node(path=f"{part.path}/{tail}", kind=tail, tip=f"{tip}: the end"),
    )


def _place(body: Body) -> str:
    """What the path of a body's only mark begins with."""
    return f"{body.path}{body.name}" if body.role in ("branch", "node") else body.path


def _fan(
    part: Part, head: NodeKind, tail: NodeKind, bodies: Sequence[Body], labels: Mapping[int, str] = NO_LABELS
) -> Piece:
    return between(*_marks(part, head, tail), [_sequence(body.parts, _place(body)) for body in bodies], labels)


def _choose(part: Part, bodies: Sequence[Body]) -> Piece:
    pieces = [_sequence(body.parts, body.path) for body in bodies]
    labels = {n: _case_label(body) for n, body in enumerate(bodies)}
    if isinstance(part.step, ChooseStep) and part.step.otherwise is None:
        labels[len(pieces)] = "else"
        pieces.append(one(Node(path=f"{part.path}/nothing", kind="nothing", tip="nothing is done")))
    return between(*_marks(part, "choose", "merge"), pieces, labels)


def _case_label(body: Body) -> str:
    if body.role == "otherwise":
        return "otherwise"
    held = words.said(words.condition(body.when), LABEL)
    return f"{body.title}: {held}" if body.title else held


def _graph(part: Part, bodies: Sequence[Body]) -> Piece:
    pieces = {body.name: _sequence(body.parts, _place(body)) for body in bodies}
    edges = [
        Edge(
            source=source,
            target=pieces[body.name].entry,
            kind="order" if edge.order else "next",
            label="" if edge.transform is None else words.said(words.value(edge.transform), LABEL),
        )
        for body in bodies
        for before, edge in body.after.items()
        if before in pieces
        for source in pieces[before].exits
    ]
    head, tail = _marks(part, "fork", "join")
    starts = [body.name for body in bodies if not any(before in pieces for before in body.after)]
    into = [Edge(source=head.path, target=pieces[name].entry) for name in starts]
    followed = {before for body in bodies for before in body.after}
    ends = [piece for name, piece in pieces.items() if name not in followed]
    out = [Edge(source=source, target=tail.path) for piece in ends for source in piece.exits]
    items = [head, *(piece.item for piece in pieces.values()), *([tail] if out else [])]
    group = Group(arrangement="layers", children=tuple(items), edges=(*into, *edges, *out))
    return Piece(group, head.path, (tail.path,) if out else ())


def _subflow(whole: Whole) -> Piece:
    body, handlers = _body_of(whole), _handlers(whole)
    if not handlers:
        return body
    return body._replace(item=Group(arrangement="beside", children=(body.item, *handlers)))
