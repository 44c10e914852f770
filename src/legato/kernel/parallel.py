"""Branches at once: all of them, or as many as are needed; and how their values become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from legato.errors import NotJSON
from legato.kernel.calls import Flowing, Forked, LinkedStep, Placed, made, mistake
from legato.kernel.frame import inner_frame, together
from legato.kernel.joint import Joint
from legato.kernel.modified import ABSENT, Maker
from legato.kernel.scheduler import Fiber, Join, Node, StepFailed
from legato.kernel.trail import Trail, unwind
from legato.kernel.watchers import Quorum
from legato.model.outcome import Failure, Outcome
from legato.model.payload import MAX_BYTES, Payload, join_object, too_large

if TYPE_CHECKING:
    from legato.kernel.frame import Frame
    from legato.kernel.run import Run

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Merge(msgspec.Struct, frozen=True):
    """How the branches' values become one: see model.steps.ParallelStep."""

    kind: Literal["name", "lenient", "flat", "first", "made"] = "name"
    prefer: tuple[str, ...] = ()
    maker: Maker | None = None


class LinkedParallel(Forked):
    """Branches at once. When one fails for good and cannot be spared, the others are cancelled."""

    __slots__ = ("branches", "framed", "ids", "joint", "merge", "names", "needed", "place", "undoable")

    def __init__(
        self,
        path: str,
        branches: Mapping[str, LinkedStep],
        merge: Merge,
        needed: int,
        framed: bool,
        ids: Sequence[str],
    ) -> None:
        self.place = Placed(path)
        self.names = tuple(branches)
        self.joint = Joint("branch", self.names)
        self.branches = tuple(branches.values())
        self.merge = merge
        self.needed = needed
        self.framed = framed
        self.ids = ids
        self.undoable = any(branch.undoable for branch in self.branches)

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """Start every branch with the same value and join the results into one object."""
        if self.framed:
            nodes, trails = self._begin(run, fiber, value, frame)
        else:
            nodes, trails = [branch.fork(run, fiber, value, frame) for branch in self.branches], []
        if self.needed:
            yield from self._wait_for_enough(run, fiber, nodes, trails, frame)
        else:
            join = Join.of(nodes)
            yield join
            if join.failed:
                yield from self._fail(run, nodes)
        return self._merge(nodes, value, frame)

    def _begin(
        self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None
    ) -> tuple[list[Node], list[Trail | None]]:
        nodes: list[Node] = []
        trails: list[Trail | None] = []
        for branch in self.branches:
            inner, trail = inner_frame(run, frame, branch.undoable, value)
            trails.append(trail)
            nodes.append(branch.fork(run, fiber, value, inner))
        together(frame, [trail for trail in trails if trail is not None])
        return nodes, trails

    def _wait_for_enough(
        self, run: Run, fiber: Fiber, nodes: list[Node], trails: list[Trail | None], frame: Frame | None
    ) -> Flowing:
        """Wait until enough branches have succeeded; then what the others have begun is cancelled and undone."""
        quorum = Quorum.of(nodes, self.needed, ABSENT)
        yield quorum
        if quorum.succeeded < self.needed:
            if all(node.error is None for node in nodes if node.ended):
                run.cancel_nodes(nodes, "cancelled")
                yield Join.of(nodes, eager=False)
                skipped = sum(node.value is ABSENT for node in nodes)
                detail = f"`join` needs {self.needed} of {len(nodes)} branches to succeed, and {skipped} were skipped"
                raise mistake(detail, self.place.of(frame))
            yield from self._fail(run, nodes)
        run.cancel_nodes(nodes, "cancelled")
        yield Join.of(nodes, eager=False)
        for step_id, node, trail in zip(self.ids, nodes, trails, strict=True):
            if node.error is None:
                continue
            path = f"{self.place.of(frame)}.{step_id}"
            if isinstance(node.error, StepFailed):
                failure = node.error.failure
                run.spared(path, failure)
            else:
                failure = Failure("cancelled", Outcome("cancelled", detail="enough of the others succeeded"), path)
            if trail:
                yield from unwind(run, fiber, trail, failure.undo, 0, failure)
        return nodes[0].value

    def _fail(self, run: Run, nodes: Sequence[Node]) -> Flowing:
        first = next(node.error for node in nodes if node.error is not None)
        run.cancel_nodes(nodes, "cancelled")
        yield Join.of(nodes, eager=False)
        raise with_siblings(first, nodes)

    def _merge(self, nodes: Sequence[Node], value: Payload, frame: Frame | None) -> Payload:
        merge = self.merge
        if not self.framed or merge.kind == "lenient":
            return self.joint.whole(nodes, self.place, frame, merge.kind == "lenient")
        there = [(n, node.value) for n, node in enumerate(nodes) if node.error is None and node.value is not ABSENT]
        if merge.kind == "first":
            return there[0][1] if there else value
        if merge.kind == "flat":
            return self._flat({self.names[n]: value for n, value in there}, frame)
        joined = self.joint.some(there, self.place, frame)
        if merge.maker is None:
            return joined
        assert frame is not None
        frame.value, frame.where = joined, self.place.of(frame)
        return made(merge.maker.payload, frame)

    def _flat(self, values: Mapping[str, Payload], frame: Frame | None) -> Payload:
        """The branches' own keys together; where several have one, that of the branch which is preferred counts."""
        path, fields = self.place.of(frame), dict[str, msgspec.Raw]()
        owners: dict[str, str] = {}
        rank = {name: n for n, name in enumerate(self.merge.prefer)}
        room = MAX_BYTES
        for name, value in values.items():
            try:
                document = value.json()
                room -= len(document)
                if room < 0:
                    raise mistake(
                        too_large(f"the merged object, at branch {name} with its {len(document):,} bytes,"), path
                    )
                own = _fields(document)
            except NotJSON as error:
                raise mistake(f"branch {name!r} cannot be joined: {error}", path) from None
            except msgspec.ValidationError:
                raise mistake(f"branch {name!r} cannot be merged flat: it is not an object", path) from None
            for key, part in own.items():
                other = owners.get(key)
                if other is not None and not (name in rank or other in rank):
                    detail = f"branches {other!r} and {name!r} both have {key!r}: say which one counts with `prefer`"
                    raise mistake(detail, path)
                if other is None or rank.get(name, len(rank)) < rank.get(other, len(rank)):
                    fields[key], owners[key] = part, name
        prefixes = [msgspec.json.encode(key) + b":" for key in fields]
        return join_object(prefixes, [bytes(part) for part in fields.values()])


def with_siblings(first: BaseException, nodes: Sequence[Node]) -> BaseException:
    """The first error, with the failures of all that failed of themselves."""
    failures = [node.error.failure for node in nodes if isinstance(node.error, StepFailed)]
    if isinstance(first, StepFailed) and len(failures) > 1 and not first.failure.siblings:
        return StepFailed(first.failure.beside(tuple(failures)))
    return first
